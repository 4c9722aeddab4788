//! What a backend's bytes come through: a socket as it is, or TLS over it, or a stream of HTTP/2.
//!
//! One type for both, unlike with clients: a connection is kept, lent and handed on by code that would otherwise all exist twice. What
//! cleartext pays for it is a branch for each read and write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::multiplex::Stream;
use super::stream_tunnel::StreamTunnel;
use crate::proxy::socket::writing::{write_all_at_once, write_record};
use crate::worker::Open;

/// A backend's side of a connection.
///
/// With either, a read that is pending means that nothing comes before the doorbell rings: rustls takes in all that the socket has, and
/// hands out all that it has deciphered, before the socket itself is found empty.
pub(crate) enum BackendStream {
    Plain {
        stream: TcpStream,
        _open: Open,
    },
    /// On the heap: it is a kilobyte.
    Secured {
        stream: Box<TlsStream<TcpStream>>,
        _open: Open,
    },
    /// Only ever as the one side of a tunnel, with its place on the connection.
    Tunnel {
        tunnel: Box<StreamTunnel>,
        place: Box<Stream>,
    },
}

impl BackendStream {
    /// The socket, if it is all this stream's own.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain { stream, .. } => Some(stream),
            Self::Secured { stream, .. } => Some(stream.get_ref().0),
            Self::Tunnel { .. } => None,
        }
    }

    /// Whether it counts against the backend that it broke: not if it broke with others, of which one has counted.
    pub(crate) fn takes_blame(&self) -> bool {
        match self {
            Self::Plain { .. } | Self::Secured { .. } => true,
            Self::Tunnel { place, .. } => place.takes_blame(),
        }
    }

    /// Writes `bufs` with one call, over TLS as one record.
    pub(crate) fn poll_write_together(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain { stream, .. } => write_all_at_once(stream, cx, bufs),
            Self::Secured { stream, .. } => {
                let (socket, tls) = stream.get_mut();
                write_record(socket, tls, cx, bufs)
            }
            Self::Tunnel { tunnel, .. } => Pin::new(&mut **tunnel).poll_write_vectored(cx, bufs),
        }
    }
}

impl AsyncRead for BackendStream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_read(cx, buf),
            Self::Secured { stream, .. } => Pin::new(&mut **stream).poll_read(cx, buf),
            Self::Tunnel { tunnel, .. } => Pin::new(&mut **tunnel).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for BackendStream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_together(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_together(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What TLS may have kept of a write goes out here.
    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { .. } | Self::Tunnel { .. } => Poll::Ready(Ok(())),
            Self::Secured { stream, .. } => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Self::Secured { stream, .. } => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Tunnel { tunnel, .. } => Pin::new(&mut **tunnel).poll_shutdown(cx),
        }
    }
}
