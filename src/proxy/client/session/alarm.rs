//! Wakes the task of a stream for what its client does, but not for what that task does itself.
//!
//! h2 wakes the task that waits for a stream also when this very task asks for leave to send and gets it at once. It would be
//! polled once more for each response, for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use crate::proxy::socket::doorbell::SleeperId;

/// What a stream is watched with, in the place of its task's own waker.
pub(super) struct Alarm {
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    task: SleeperId,
    off: AtomicBool,
}

impl Alarm {
    /// For streams that `task` serves, on its own thread.
    pub(super) fn new(task: SleeperId) -> Self {
        let off = AtomicBool::new(false);
        let bell = Arc::new(Bell { task, off });
        let waker = Waker::from(Arc::clone(&bell));
        Self { bell, waker }
    }

    /// To wait for the client with.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// Does what must not wake the task. It has to look for itself what has come of it.
    pub(super) fn off<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bell.off.store(true, Ordering::Relaxed);
        let done = act();
        self.bell.off.store(false, Ordering::Relaxed);
        done
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.off.load(Ordering::Relaxed) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::proxy::socket::doorbell::Sleeper;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_wakes_the_task_but_while_it_is_off() {
        let task = Arc::new(Task::default());
        let sleeper = Sleeper::default();
        sleeper.register(&Context::from_waker(&Waker::from(Arc::clone(&task))));
        let alarm = Alarm::new(sleeper.id());
        let woken = || task.0.load(Ordering::Relaxed);

        let watch = alarm.context().waker().clone();
        watch.wake_by_ref();
        assert_eq!(woken(), 1);
        alarm.off(|| watch.wake_by_ref());
        assert_eq!(woken(), 1);
        watch.wake();
        assert_eq!(woken(), 2);
        let watch = alarm.context().waker().clone();
        drop(sleeper);
        watch.wake();
        assert_eq!(woken(), 2, "it has gone");
    }
}
