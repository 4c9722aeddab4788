//! A client's socket, as hyper and h2 read and write it: it counts bytes and notes stalls, and does nothing else.
//!
//! It passes vectored writes on. Forgetting that would work, and would silently make hyper copy every body.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::downstream::Downstream;
use super::stream::ClientStream;
use crate::proxy::socket::doorbell::Doorbell;
use crate::proxy::socket::reading::Reading;

/// The client's socket. Tells its [`Downstream`] of every read, write and stall.
pub(crate) struct DownstreamSocket<S> {
    stream: S,
    state: Rc<Downstream>,
    reading: Reading,
}

impl<S: ClientStream> DownstreamSocket<S> {
    /// It must only ever be polled with `doorbell` as the waker.
    pub(crate) fn new(stream: S, state: Rc<Downstream>, doorbell: Arc<Doorbell>) -> Self {
        Self {
            stream,
            state,
            reading: Reading::new(doorbell),
        }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// Sends interim responses, which must stand before whatever hyper sends next.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut out) = self.state.interim_out() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &out))?;
            out.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: ClientStream> AsyncRead for DownstreamSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = this.reading.poll(&mut this.stream, cx, buf);
        if buf.filled().len() > before {
            this.state.has_read();
        }
        result
    }
}

impl<S: ClientStream> AsyncWrite for DownstreamSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let result = self.stream.poll_write_together(cx, &[IoSlice::new(buf)]);
        self.state.has_written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let result = self.stream.poll_write_together(cx, bufs);
        self.state.has_written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only once its own buffer is empty: with what TLS still has, the client has taken everything.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interim(cx))?;
        loop {
            let taken = self.stream.poll_leftover(cx);
            if matches!(taken, Poll::Ready(Ok(0))) {
                break;
            }
            self.state.has_written(&taken);
            ready!(taken)?;
        }
        self.state.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
