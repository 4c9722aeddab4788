//! What comes in a stream of HTTP/2, kept compactly while nobody takes it.
//!
//! h2 keeps each DATA frame that waits by itself: a place in a list, some 400 bytes, and a share of the buffer that it was read into,
//! which lasts as long as any of its frames. A window of 256 KiB full of frames with one byte each would cost 100 MiB. h2 bounds that by a
//! budget of the whole connection (256 bytes for each small frame that waits, and those to streams that have been reset for ever), and
//! ends the connection, with everybody's streams, when one or two that nobody reads have used it up.
//!
//! So that budget is off on both sides. Instead the connection's own task copies together what waits, for all of its streams, each time
//! [`AT_ONCE`] small frames have come. A stream then costs as much memory as its window, however its frames are cut, and flow control does
//! the rest, for this stream alone: the other side hears of room only when the data is taken. With h2 there are never more than
//! [`AT_ONCE`] small frames and those of one read (some 3000 of 10 bytes), two megabytes. Where everything is taken as it comes, nothing is
//! ever copied.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use h2::{Error, RecvStream};
use http::HeaderMap;
use slab::Slab;

/// Payload of a DATA frame, in bytes, below which it is small: what it costs beside its data matters.
pub(crate) const SMALL: u64 = 4096;
/// Small frames that come before what waits is copied together.
const AT_ONCE: usize = 1024;
/// As much as is handed out at once of what was copied: the largest frame that we allow.
const PIECE: usize = 16 * 1024;

/// The streams of one connection that something comes in.
#[derive(Default)]
pub(crate) struct Intakes {
    open: RefCell<Slab<Weak<Intake>>>,
    /// Small frames since the last pause.
    small: Cell<usize>,
    due: Cell<bool>,
}

impl Intakes {
    /// So many small frames have come.
    pub(crate) fn count(&self, small: usize) {
        self.small.set(self.small.get() + small);
    }

    /// Whether nothing more is to be read before the connection's task has called [`Self::gather`]. Says so once.
    pub(crate) fn pause(&self) -> bool {
        let pause = self.small.get() >= AT_ONCE;
        if pause {
            self.small.set(0);
            self.due.set(true);
        }
        pause
    }

    /// Copies together what waits, if there was a pause for that.
    pub(crate) fn gather(&self) {
        if self.due.take() {
            for (_, intake) in self.open.borrow().iter() {
                if let Some(intake) = intake.upgrade() {
                    intake.tank.borrow_mut().gather();
                }
            }
        }
    }
}

/// One stream's. Dropped, with all who share it, before its end, it resets the stream.
pub(crate) struct Intake {
    tank: RefCell<Tank>,
    of: Rc<Intakes>,
    key: usize,
}

struct Tank {
    source: RecvStream,
    /// What came before anything that is still with h2.
    gathered: BytesMut,
    /// Who has found nothing last. h2 knows one waker of a stream, and we must not put another in its place.
    taker: Option<Waker>,
}

impl Intake {
    pub(crate) fn new(source: RecvStream, of: &Rc<Intakes>) -> Rc<Self> {
        let mut open = of.open.borrow_mut();
        let entry = open.vacant_entry();
        let intake = Rc::new(Self {
            tank: RefCell::new(Tank {
                source,
                gathered: BytesMut::new(),
                taker: None,
            }),
            of: Rc::clone(of),
            key: entry.key(),
        });
        entry.insert(Rc::downgrade(&intake));
        intake
    }

    /// The next data. Whoever takes it has room for it: the other side may send as much again.
    pub(crate) fn poll_data(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut tank = self.tank.borrow_mut();
        let data = if tank.gathered.is_empty() {
            match tank.source.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => data,
                Poll::Pending => {
                    tank.wait(cx);
                    return Poll::Pending;
                }
                ended => return ended,
            }
        } else {
            let piece = tank.gathered.len().min(PIECE);
            let piece = tank.gathered.split_to(piece).freeze();
            if tank.gathered.is_empty() {
                // The memory goes with the last piece.
                tank.gathered = BytesMut::new();
            }
            piece
        };
        // Not possible, and not needed, once the stream has ended badly: the next call says so.
        let _released = tank.source.flow_control().release_capacity(data.len());
        Poll::Ready(Some(Ok(data)))
    }

    /// What follows the data, once that has ended.
    pub(crate) fn poll_trailers(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, Error>> {
        let mut tank = self.tank.borrow_mut();
        let trailers = tank.source.poll_trailers(cx);
        if trailers.is_pending() {
            tank.wait(cx);
        }
        trailers
    }

    /// Whether nothing more will come.
    pub(crate) fn is_end_stream(&self) -> bool {
        let tank = self.tank.borrow();
        tank.gathered.is_empty() && tank.source.is_end_stream()
    }
}

impl Tank {
    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.taker {
            Some(taker) => taker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn gather(&mut self) {
        let taker = self.taker.as_ref().unwrap_or(Waker::noop());
        let mut cx = Context::from_waker(taker);
        // An error or the end is found again by who takes the data.
        while let Poll::Ready(Some(Ok(data))) = self.source.poll_data(&mut cx) {
            self.gathered.extend_from_slice(&data);
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let _known = self.of.open.borrow_mut().try_remove(self.key);
    }
}
