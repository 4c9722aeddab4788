//! What an HTTP/2 connection knows of its streams: how many there are, whether a header block is on its way, and how its client
//! behaves.

use std::cell::Cell;
use std::rc::Rc;

use super::clock::DRAIN_PATIENCE;
use super::{Cut, Downstream, Phase};
use crate::proxy::socket::intake::Intakes;
use crate::worker::millis;

/// Requests that a client may call off in haste beyond those that it lets end, in one connection. Each costs a backend work that nobody
/// wants ("rapid reset"); one is forgiven with each tick and each answer. A browser that leaves pages, or a call that is hedged, stays far below.
const CALLED_OFF: u32 = 200;

/// See the module's promise.
#[derive(Default)]
pub(super) struct Streams {
    live: Cell<u32>,
    /// Those that are tunnels.
    tunnels: Cell<u32>,
    /// A header block has begun and not ended.
    in_head: Cell<bool>,
    called_off: Cell<u32>,
    /// Bytes of bodies that clients have let us send.
    relayed: Cell<u64>,
    /// It shall open no more streams here.
    leaving: Cell<bool>,
    /// It sends much, and in large frames.
    uploading: Cell<bool>,
    /// Responses whose bodies are compressed now. There is no more than one with HTTP/1.1.
    compressed: Cell<usize>,
    /// What comes in them.
    intakes: Rc<Intakes>,
}

impl Streams {
    pub(super) fn is_in_head(&self) -> bool {
        self.in_head.get()
    }

    /// So many ticks have passed, or requests ended.
    pub(super) fn calm_down(&self, by: u32) {
        let called_off = self.called_off.get();
        if called_off > 0 {
            self.called_off.set(called_off.saturating_sub(by));
        }
    }
}

impl Downstream {
    /// All has come that a connection begins with: it is as good as one whose first stream has ended. Browsers and gRPC connect before they
    /// have anything to ask. Whoever doesn't say that much hasn't got more time than for a head.
    pub(in crate::proxy) fn begin_between(&self) {
        if self.phase.get() == Phase::Head {
            self.phase.set(Phase::Between);
            self.wait_for_stream();
        }
    }

    /// A stream begins with its request's head complete.
    pub(in crate::proxy) fn begin_stream(&self) {
        self.streams.live.set(self.streams.live.get() + 1);
        self.phase.set(Phase::Request);
        if !self.streams.in_head.get() {
            self.due.set(0);
        }
    }

    /// A stream has ended, whichever way.
    pub(in crate::proxy) fn end_stream(&self) {
        let live = self.streams.live.get() - 1;
        self.streams.live.set(live);
        if live == 0 {
            self.phase.set(Phase::Between);
            if !self.streams.in_head.get() {
                self.wait_for_stream();
            }
        }
    }

    /// A stream has become a tunnel. It sees to its own end, also when the worker's drain is over.
    pub(in crate::proxy) fn begin_tunnel(&self) {
        self.streams.tunnels.set(self.streams.tunnels.get() + 1);
    }

    /// It has said its last words.
    pub(in crate::proxy) fn end_tunnel(&self) {
        self.streams.tunnels.set(self.streams.tunnels.get() - 1);
        self.wake();
    }

    pub(in crate::proxy) fn has_tunnels(&self) -> bool {
        self.streams.tunnels.get() > 0
    }

    /// A header block begins: nothing else can come on this connection before its end (RFC 9113 4.3).
    pub(in crate::proxy) fn begin_block(&self) {
        self.streams.in_head.set(true);
        let limit = self.worker.limit(|limits| limits.header_timeout);
        let due = self.worker.now() + millis(limit);
        // The very first one has its time already.
        if self.phase.get() != Phase::Head {
            self.due.set(due);
        }
    }

    /// The header block has ended.
    pub(in crate::proxy) fn end_block(&self) {
        self.streams.in_head.set(false);
        match self.phase.get() {
            Phase::Request => self.due.set(0),
            Phase::Between => self.wait_for_stream(),
            Phase::Head | Phase::Idle => {}
        }
    }

    /// No longer than a moment, where none is wanted: for the client to have seen the GOAWAY, and for what crosses it.
    fn wait_for_stream(&self) {
        let patience = if self.worker.is_draining() || self.is_leaving() {
            DRAIN_PATIENCE
        } else {
            millis(self.worker.limit(|limits| limits.idle_timeout))
        };
        self.due.set(self.worker.now() + patience);
    }

    /// The client has called a request off as soon as it had made it.
    pub(in crate::proxy) fn called_off(&self) {
        let called_off = self.streams.called_off.get() + 1;
        self.streams.called_off.set(called_off);
        if called_off > CALLED_OFF {
            self.cut(Cut::Flood);
        }
    }

    /// A request has come to its end.
    pub(in crate::proxy) fn let_end(&self) {
        self.streams.calm_down(1);
    }

    /// So much of a response's body is on its way.
    pub(in crate::proxy) fn relay(&self, bytes: usize) {
        self.streams.relayed.set(self.relayed() + bytes as u64);
    }

    /// Bytes of all responses' bodies.
    pub(in crate::proxy) fn relayed(&self) -> u64 {
        self.streams.relayed.get()
    }

    /// The client shall make its next requests on another connection.
    pub(in crate::proxy) fn leave(&self) {
        self.streams.leaving.set(true);
        self.wake();
    }

    pub(in crate::proxy) fn is_leaving(&self) -> bool {
        self.streams.leaving.get()
    }

    /// The client sends much, and in large frames.
    pub(in crate::proxy) fn set_uploading(&self) {
        self.streams.uploading.set(true);
    }

    pub(in crate::proxy) fn is_uploading(&self) -> bool {
        self.streams.uploading.get()
    }

    /// The body of a response is compressed from here on.
    pub(in crate::proxy) fn begin_compressed_body(&self) {
        self.streams.compressed.set(self.compressed_bodies() + 1);
    }

    /// It has ended.
    pub(in crate::proxy) fn end_compressed_body(&self) {
        self.streams.compressed.set(self.compressed_bodies() - 1);
    }

    /// Bodies of its responses that are compressed now.
    pub(in crate::proxy) fn compressed_bodies(&self) -> usize {
        self.streams.compressed.get()
    }

    /// What comes in its streams.
    pub(in crate::proxy) fn intakes(&self) -> &Rc<Intakes> {
        &self.streams.intakes
    }

    /// Whether a header block has begun and not ended.
    pub(in crate::proxy) fn is_in_head(&self) -> bool {
        self.streams.is_in_head()
    }
}
