//! What a client's bytes come through: a socket as it is, or TLS over it. Whatever works with either is compiled once for each, so
//! that cleartext pays nothing for TLS.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::proxy::socket::writing::{write_all_at_once, write_leftover, write_record};

/// A client's side of a connection.
pub(crate) trait ClientStream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Whether nobody on the way can read what passes.
    const SECURED: bool;

    /// The socket itself, for what isn't about bytes.
    fn socket(&self) -> &TcpStream;

    /// Writes `bufs` with one call, as one record.
    fn poll_write_together(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Hands the kernel what earlier writes have left with us, and says how much it took. 0: there is nothing left.
    fn poll_leftover(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Says `words` and that nothing follows, as far as there is room for it at once: for a client that may never read it.
    fn bid_farewell(&mut self, words: &[u8]);
}

impl ClientStream for TcpStream {
    const SECURED: bool = false;

    fn socket(&self) -> &TcpStream {
        self
    }

    fn poll_write_together(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        write_all_at_once(self, cx, bufs)
    }

    fn poll_leftover(&mut self, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    fn bid_farewell(&mut self, words: &[u8]) {
        if !words.is_empty() {
            let _sent = self.try_write(words);
        }
    }
}

/// TLS after its handshake. On the heap: it is a kilobyte, and moves more than once.
///
/// A read that is pending means here too that nothing comes before the doorbell rings: rustls takes in all that the socket has, and
/// hands out all that it has deciphered, before the socket itself is found empty. It takes in nothing while it writes.
pub(crate) struct Secured(Box<TlsStream<TcpStream>>);

impl Secured {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self(Box::new(stream))
    }

    fn inner(&mut self) -> Pin<&mut TlsStream<TcpStream>> {
        Pin::new(&mut *self.0)
    }
}

impl ClientStream for Secured {
    const SECURED: bool = true;

    fn socket(&self) -> &TcpStream {
        self.0.get_ref().0
    }

    fn poll_write_together(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (socket, tls) = self.0.get_mut();
        write_record(socket, tls, cx, bufs)
    }

    fn poll_leftover(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (socket, tls) = self.0.get_mut();
        write_leftover(socket, tls, cx)
    }

    fn bid_farewell(&mut self, words: &[u8]) {
        let (_, tls) = self.0.get_mut();
        let _buffered = tls.writer().write(words);
        tls.send_close_notify();
        let mut unwoken = Context::from_waker(Waker::noop());
        while matches!(self.poll_leftover(&mut unwoken), Poll::Ready(Ok(1..))) {}
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_together(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_together(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    /// Tells the client that this is the end, not a cut, before it closes our half.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
