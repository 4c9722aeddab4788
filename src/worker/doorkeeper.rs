//! The task that accepts on one listening socket.

use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Worker;
use crate::proxy::client::accept::{self, Door};

/// See the module's promise.
pub(super) struct Doorkeeper {
    stop: Rc<Notify>,
    accepting: JoinHandle<()>,
}

impl Doorkeeper {
    pub(super) fn new(worker: &Rc<Worker>, listener: TcpListener, door: Door) -> Self {
        let stop = Rc::new(Notify::new());
        let accepting = accept::run(Rc::clone(worker), listener, door, Rc::clone(&stop));
        Self {
            stop,
            accepting: tokio::task::spawn_local(accepting),
        }
    }

    /// Returns when those whom the kernel had let in have their seats. Without waiting for that, a worker that happens to
    /// have no connection would think itself drained, and its end would reset them. It never takes long: after the word,
    /// nothing in [`accept::run`] waits.
    pub(super) async fn dismiss(self) {
        self.stop.notify_one();
        let _ended = self.accepting.await;
    }
}
