//! What the worker tells a request: that time has passed, that there is a new snapshot.

use super::Exchange;

impl Exchange {
    /// Looks at the clock: wakes the task if something is due.
    pub(crate) fn sweep(&self, now: u64) {
        let is_due = |due: u64, now: u64| due != 0 && now >= due;
        if self.is_body_overdue()
            || is_due(self.request_due.get(), self.worker.awake())
            || is_due(self.body_due.get(), now)
        {
            self.body_due.set(0);
            self.wake();
        }
        if let Some(stream) = &self.stream
            && stream.write.is_over(now)
        {
            stream.cut.set(true);
            self.wake();
        }
    }

    /// There is a new snapshot.
    pub(crate) fn snapshot_changed(&self) {
        if self.watches.get() {
            self.wake();
        }
    }

    /// Whether its client has kept it waiting for too long.
    pub(in crate::proxy) fn is_overdue(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.cut.get())
    }
}
