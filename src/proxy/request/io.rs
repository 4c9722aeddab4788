//! The two sockets of a request: they count bytes and note stalls, and do nothing else.
//!
//! Both pass vectored writes on. Forgetting that would work, and would silently make hyper copy every body.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::backend::backend_stream::BackendStream;
use crate::proxy::backend::doorbell::Doorbell;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::message::interim::Interim;

/// The client's socket. Tells its [`Downstream`] of every read, write and stall.
pub(crate) struct DownstreamSocket<S> {
    stream: S,
    state: Rc<Downstream>,
    reading: Reading,
}

/// A backend's socket, which outlives the requests that use it.
pub(crate) struct UpstreamSocket {
    stream: BackendStream,
    traffic: Rc<Traffic>,
    reading: Reading,
    /// The doorbell. hyper's own waker wakes nobody, see [`crate::proxy::backend::exclusive`].
    waker: Waker,
}

/// The reading side of a socket: what was found empty is looked at again only when its doorbell has rung.
struct Reading {
    doorbell: Arc<Doorbell>,
    empty: bool,
}

/// What has passed through an upstream socket since the current request was handed to it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes that the kernel has taken, or TLS for it. Zero: the request may go elsewhere, whatever its method.
    pub(crate) written: Cell<u64>,
    /// How often hyper has flushed since this was set to 0.
    pub(crate) rounds: Cell<u32>,
    /// The search for interim responses in what comes back.
    pub(crate) interim: RefCell<Interim>,
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

impl UpstreamSocket {
    /// It rings `doorbell`, whoever polls it.
    pub(crate) fn new(
        stream: BackendStream,
        traffic: Rc<Traffic>,
        doorbell: Arc<Doorbell>,
    ) -> Self {
        Self {
            stream,
            traffic,
            waker: Waker::from(Arc::clone(&doorbell)),
            reading: Reading::new(doorbell),
        }
    }

    pub(crate) fn into_stream(self) -> BackendStream {
        self.stream
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            let written = &self.traffic.written;
            written.set(written.get() + *count as u64);
        }
    }
}

impl Reading {
    fn new(doorbell: Arc<Doorbell>) -> Self {
        Self {
            doorbell,
            empty: false,
        }
    }

    fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.empty && !self.doorbell.has_rung() {
            return Poll::Pending;
        }
        self.doorbell.listen();
        let result = Pin::new(stream).poll_read(cx, buf);
        self.empty = result.is_pending();
        result
    }
}

impl Traffic {
    /// A new request is about to use the socket.
    pub(crate) fn reset(&self) {
        self.written.set(0);
        self.interim.borrow_mut().reset();
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

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let cx = &mut Context::from_waker(&this.waker);
        let before = buf.filled().len();
        let result = this.reading.poll(&mut this.stream, cx, buf);
        if buf.filled().len() > before {
            this.traffic
                .interim
                .borrow_mut()
                .see(&buf.filled()[before..]);
        }
        result
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let cx = &mut Context::from_waker(&this.waker);
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let cx = &mut Context::from_waker(&this.waker);
        let result = this.stream.poll_write_together(cx, bufs);
        this.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.traffic.rounds.update(|rounds| rounds + 1);
        Pin::new(&mut this.stream).poll_flush(&mut Context::from_waker(&this.waker))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_shutdown(&mut Context::from_waker(&this.waker))
    }
}
