//! A WebSocket over HTTP/2 (RFC 8441): bytes both ways in the data of one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// How much is taken of one write, in bytes: a frame as everybody accepts it.
const PIECE: usize = 16 * 1024;

/// Both ways of a tunnel. Dropping it resets what hasn't ended.
pub(crate) struct Tunnel {
    to: SendStream<Bytes>,
    from: RecvStream,
    piece: Bytes,
    ended: bool,
    /// Its place on the connection.
    _stream: Stream,
}

impl Tunnel {
    pub(super) fn new(to: SendStream<Bytes>, from: RecvStream, stream: Stream) -> Self {
        Self {
            to,
            from,
            piece: Bytes::new(),
            ended: false,
            _stream: stream,
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.piece.has_remaining() {
            match ready!(self.from.poll_data(cx)) {
                Some(Ok(data)) => {
                    let _released = self.from.flow_control().release_capacity(data.len());
                    self.piece = data;
                }
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.piece.len().min(buf.remaining());
        buf.put_slice(&self.piece.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.to.reserve_capacity(bytes.len().min(PIECE));
        while self.to.capacity() == 0 {
            match ready!(self.to.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = bytes.len().min(self.to.capacity()).min(PIECE);
        let piece = Bytes::copy_from_slice(&bytes[..count]);
        match self.to.send_data(piece, false) {
            Ok(()) => Poll::Ready(Ok(count)),
            Err(error) => Poll::Ready(Err(reset(error))),
        }
    }

    /// The connection's own task flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// An end of the stream is a tunnel's FIN (RFC 8441 5).
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.ended = true;
        let sent = self.to.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(reset))
    }
}

/// The stream was reset, or its connection has broken: an RST (RFC 8441 5).
fn reset(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
