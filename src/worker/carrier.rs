//! The tasks of connections to backends that several requests share.

use super::Worker;

impl Worker {
    /// Lets the driver of a shared connection run on this thread. It ends by itself, soon after its last user.
    #[expect(clippy::unused_self, reason = "only a worker's own thread can run it")]
    pub(crate) fn carry(&self, driver: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(driver);
    }
}
