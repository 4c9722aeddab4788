//! A client's socket as h2 has it: with an eye on the frames that come, with an [`Outlet`] for those that go, and left behind when h2
//! is done with it, since what a client has to be told is still in the kernel then.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::outlet::Outlet;
use crate::proxy::client::downstream::{Cut, Downstream};
use crate::proxy::client::stream::ClientStream;

/// Bytes that are read before the streams have their turn: h2 would take in all that the kernel has, and what their tasks haven't
/// seen lies in memory.
const AT_ONCE: usize = 64 * 1024;

/// See the module's promise.
pub(super) struct Wire<S> {
    outlet: Rc<RefCell<Outlet<S>>>,
    state: Rc<Downstream>,
    frames: Frames,
    /// Bytes read in this turn.
    read: usize,
}

impl<S: ClientStream> Wire<S> {
    pub(super) fn new(outlet: &Rc<RefCell<Outlet<S>>>, state: &Rc<Downstream>) -> Self {
        Self {
            outlet: Rc::clone(outlet),
            state: Rc::clone(state),
            frames: Frames::default(),
            read: 0,
        }
    }

    fn see(&mut self, bytes: &[u8]) {
        let before = self.frames.block();
        self.frames.pass(bytes);
        if self.frames.is_begun() {
            self.state.begin_between();
        }
        self.state.intakes().count(self.frames.take_small());
        let after = self.frames.block();
        if after != before {
            match after {
                Some(_) => self.state.begin_block(),
                None => self.state.end_block(),
            }
        }
        if self.frames.is_misbegun() {
            self.state.cut(Cut::Protocol);
        }
        if self.frames.is_upload() {
            self.state.set_uploading();
        }
        if self
            .frames
            .is_flood(self.state.relayed(), self.state.worker.now())
        {
            self.state.cut(Cut::Flood);
        }
    }
}

impl<S: ClientStream> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read >= AT_ONCE || this.state.intakes().pause() {
            this.read = 0;
            // Woken by a look at the network. By itself it would be read again before the others have had theirs.
            let _then = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut this.outlet.borrow_mut().socket).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        this.read = if result.is_pending() {
            0
        } else {
            this.read + new.len()
        };
        if !new.is_empty() {
            this.see(new);
        }
        result
    }
}

impl<S: ClientStream> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.outlet.borrow_mut().poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The turn's end flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outlet.borrow_mut().poll_shutdown(cx)
    }
}
