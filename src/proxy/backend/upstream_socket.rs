//! A backend's socket, as hyper reads and writes it: it counts bytes, looks for interim responses, and lets large bodies
//! gather.
//!
//! It passes vectored writes on. Forgetting that would work, and would silently make hyper copy every body.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::backend_stream::BackendStream;
use crate::proxy::message::interim::Interim;
use crate::proxy::socket::doorbell::Doorbell;
use crate::proxy::socket::gathering::Gathering;
use crate::proxy::socket::reading::Reading;

/// A backend's socket, which outlives the requests that use it.
pub(crate) struct UpstreamSocket {
    stream: BackendStream,
    traffic: Rc<Traffic>,
    reading: Reading,
    gathering: Gathering,
    /// The doorbell. hyper's own waker wakes nobody, see [`crate::proxy::backend::exclusive`].
    waker: Waker,
}

/// What has passed through an upstream socket since the current request was handed to it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes that the kernel has taken, or TLS for it. Zero: the request may go elsewhere, whatever its method.
    pub(crate) written: Cell<u64>,
    /// Bytes that have come, the head among them.
    read: Cell<u64>,
    /// Bytes of the response's body, as its head has them; 0: it doesn't say.
    length: Cell<u64>,
    /// How often hyper has flushed since this was set to 0.
    pub(crate) rounds: Cell<u32>,
    /// The search for interim responses in what comes back.
    pub(crate) interim: RefCell<Interim>,
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
            gathering: Gathering::default(),
        }
    }

    pub(crate) fn into_stream(self) -> BackendStream {
        self.stream
    }

    /// What hyper is told of an attempt to write.
    ///
    /// An app may answer before it has read everything, and close. Its answer then lies in our socket, behind the reset that a write meets
    /// first, and hyper looks for nothing more once a write has failed. So nothing is told of that: a socket that can't be written to has
    /// come to its end for reading too, and rings for that by itself, after all that has come.
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(count)) => {
                let written = &self.traffic.written;
                written.set(written.get() + count as u64);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Traffic {
    /// A new request is about to use the socket.
    pub(crate) fn reset(&self) {
        self.written.set(0);
        self.read.set(0);
        self.length.set(0);
        self.interim.borrow_mut().reset();
    }

    /// The response's head has come, and says this of the `length` of its body, in bytes.
    pub(crate) fn expect(&self, length: Option<u64>) {
        self.length.set(length.unwrap_or(0));
    }

    /// Bytes of the response that are still to come at least.
    fn rest(&self) -> u64 {
        self.length.get().saturating_sub(self.read.get())
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
        let (traffic, socket) = (&this.traffic, this.stream.socket());
        let new = &buf.filled()[before..];
        if result.is_pending() {
            let (read, rest) = (traffic.read.get(), traffic.rest());
            this.gathering.wait(read, rest, socket, cx);
        } else if !new.is_empty() {
            traffic.read.set(traffic.read.get() + new.len() as u64);
            this.gathering.note(new.len(), traffic.rest(), socket);
            traffic.interim.borrow_mut().see(new);
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
        this.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let cx = &mut Context::from_waker(&this.waker);
        let result = this.stream.poll_write_together(cx, bufs);
        this.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.traffic.rounds.update(|rounds| rounds + 1);
        let cx = &mut Context::from_waker(&this.waker);
        match Pin::new(&mut this.stream).poll_flush(cx) {
            // As above.
            Poll::Ready(Err(_)) => Poll::Pending,
            flushed => flushed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_shutdown(&mut Context::from_waker(&this.waker))
    }
}
