//! What h2 has written, until all the frames of one turn go out together.
//!
//! h2 hands over each DATA frame by itself and flushes in between, so that ten responses that are ready at once would be ten sends.
//! Here a flush only means that the frames come before what follows; the connection's task sends them when its turn is over.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use crate::proxy::client::downstream_socket::DownstreamSocket;
use crate::proxy::client::stream::ClientStream;

/// Bytes that are copied to go out with others. More goes to the socket as it is, behind what lies here.
const ROOM: usize = 16 * 1024;

thread_local! {
    /// Room for the connection of this thread that is the next to have something to say.
    static SPARE: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(ROOM));
}

/// A client's socket, and what is still to go out by it.
pub(super) struct Outlet<S> {
    pub(super) socket: DownstreamSocket<S>,
    waiting: BytesMut,
}

impl<S: ClientStream> Outlet<S> {
    pub(super) fn new(socket: DownstreamSocket<S>) -> Self {
        Self {
            socket,
            waiting: BytesMut::new(),
        }
    }

    /// Takes `frames`, whole where there is room; never `Ready(0)` for frames that aren't empty.
    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        frames: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = frames.iter().map(|frame| frame.len()).sum::<usize>();
        if self.waiting.len() + length > ROOM {
            return self.poll_pass(cx, frames);
        }
        if self.waiting.capacity() == 0 {
            self.waiting = SPARE.take();
        }
        self.waiting.reserve(length);
        for frame in frames {
            self.waiting.extend_from_slice(frame);
        }
        Poll::Ready(Ok(length))
    }

    /// Sends what waits, and as much of `frames` as the socket takes.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        frames: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let socket = Pin::new(&mut self.socket);
            let before = self.waiting.len();
            if before == 0 {
                return socket.poll_write_vectored(cx, frames);
            }
            let together: Vec<_> = [IoSlice::new(&self.waiting)]
                .into_iter()
                .chain(frames.iter().map(|frame| IoSlice::new(frame)))
                .collect();
            let sent = ready!(socket.poll_write_vectored(cx, &together))?;
            self.waiting.advance(sent.min(before));
            if sent > before {
                return Poll::Ready(Ok(sent - before));
            }
        }
    }

    /// Sends what waits. Until it is ready, it calls again by itself.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(sent);
        }
        // An idle connection keeps no room.
        let mut room = mem::take(&mut self.waiting);
        if room.capacity() > 0 {
            room.clear();
            SPARE.set(room);
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
