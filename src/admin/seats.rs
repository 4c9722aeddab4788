//! Who sits on the admin listener's connections, so that those who say nothing give way to those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// Connections at once.
pub(super) const ROOM: usize = 256;
/// How long a connection may be silent while all seats are taken. An asker needs far less; a patience of whole seconds would let a
/// few hundred silent connections keep `/health` from answering for as long.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// All seats that are taken, oldest first.
#[derive(Debug, Default)]
pub(super) struct Seats(Vec<Seat>);

#[derive(Debug)]
struct Seat {
    since: Instant,
    manners: Manners,
    connection: AbortHandle,
}

/// What one connection is doing, told by its own task.
#[derive(Clone, Debug, Default)]
pub(super) struct Manners(Arc<AtomicU8>);

const SILENT: u8 = 0;
const ASKING: u8 = 1;
const RESTING: u8 = 2;
const STREAMING: u8 = 3;

impl Manners {
    /// A request has come; it is answered when the guard is dropped.
    pub(super) fn ask(&self) -> Asking {
        self.0.store(ASKING, Ordering::Relaxed);
        Asking(self.clone())
    }

    /// A stream has begun; it ends when the guard is dropped. There is a bound on streams, so they keep their seats.
    pub(super) fn last(&self) -> Lasting {
        self.0.store(STREAMING, Ordering::Relaxed);
        Lasting(self.clone())
    }

    fn is(&self, what: u8) -> bool {
        self.0.load(Ordering::Relaxed) == what
    }
}

/// A request that is being answered.
pub(super) struct Asking(Manners);

impl Drop for Asking {
    fn drop(&mut self) {
        // Unless the answer is a stream, which goes on.
        let state = &self.0.0;
        let _streaming =
            state.compare_exchange(ASKING, RESTING, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct Lasting(Manners);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.0.store(RESTING, Ordering::Relaxed);
    }
}

impl Seats {
    pub(super) fn take(&mut self, manners: Manners, connection: AbortHandle) {
        self.0.push(Seat {
            since: Instant::now(),
            manners,
            connection,
        });
    }

    /// Whether there is no seat left, now that those whose connections have ended are free.
    pub(super) fn are_taken(&mut self) -> bool {
        self.0.retain(|seat| !seat.connection.is_finished());
        self.0.len() >= ROOM
    }

    /// Ends all connections that have been silent for too long; if there are none, the oldest one between two requests. Those
    /// that are being answered stay, and streams.
    pub(super) fn make_room(&self) {
        let overdue = |seat: &&Seat| seat.since.elapsed() >= PATIENCE;
        let mut silent = self
            .0
            .iter()
            .filter(overdue)
            .filter(|seat| seat.manners.is(SILENT))
            .peekable();
        if silent.peek().is_none() {
            let resting = self.0.iter().find(|seat| seat.manners.is(RESTING));
            resting.inspect(|seat| seat.connection.abort());
        }
        silent.for_each(|seat| seat.connection.abort());
    }
}
