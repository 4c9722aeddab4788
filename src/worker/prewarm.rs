//! Lets the connections that are due be opened ahead, each round a task of its own.

use std::rc::Rc;

use super::Worker;
use crate::proxy::backend::prewarm;

impl Worker {
    /// See [`prewarm`]. After the drain has begun there is nothing to open ahead for.
    pub(super) fn prewarm(self: &Rc<Self>) {
        if self.is_draining() {
            return;
        }
        for opening in prewarm::due(&self.view(), self.now()) {
            let worker = Rc::clone(self);
            tokio::task::spawn_local(async move { opening.run(&worker).await });
        }
    }
}
