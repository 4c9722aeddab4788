//! Who is woken by a connection, and by what not.
//!
//! hyper's halves of a connection to a backend (the one that takes requests and gives bodies, the one that moves bytes) wake each
//! other through channels. Here one task polls both, one right after the other, so that such a wake only schedules the task for
//! another look at what it has just seen: two of four looks at a request were of that kind. And since a socket that was found
//! empty stays so until its doorbell rings, most reads need not ask the runtime at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Stands between a connection and the task that polls it. A waker has to be shareable among threads; this one never leaves its own,
/// so that no ordering matters and no lock is ever waited for.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    task: Mutex<Option<Waker>>,
    rung: AtomicBool,
    muffled: AtomicBool,
}

impl Doorbell {
    /// Wakes `task` from now on.
    pub(crate) fn call(&self, task: &Waker) {
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }

    /// Wakes nobody from now on.
    pub(crate) fn call_nobody(&self) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets `act` wake nobody. Only for what is followed by a look at the connection, or needs none; never around reads and writes:
    /// the runtime rings too when it wants a task to give way.
    pub(crate) fn muffled<T>(&self, act: impl FnOnce() -> T) -> T {
        self.muffled.store(true, Ordering::Relaxed);
        let done = act();
        self.muffled.store(false, Ordering::Relaxed);
        done
    }

    /// Whether it has rung since the last [`Self::listen`].
    pub(crate) fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Forgets that it has rung.
    pub(crate) fn listen(&self) {
        self.rung.store(false, Ordering::Relaxed);
    }
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.muffled.load(Ordering::Relaxed) {
            return;
        }
        self.rung.store(true, Ordering::Relaxed);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Sleeper(AtomicUsize);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_wakes_whom_it_calls_unless_it_is_muffled() {
        let (first, second) = (Arc::new(Sleeper::default()), Arc::new(Sleeper::default()));
        let doorbell = Arc::new(Doorbell::default());
        let button = Waker::from(Arc::clone(&doorbell));
        let woken = || {
            let count = |sleeper: &Sleeper| sleeper.0.load(Ordering::Relaxed);
            (count(&first), count(&second))
        };
        button.wake_by_ref();
        assert!(doorbell.has_rung(), "even where nobody is called");

        doorbell.call(&Waker::from(Arc::clone(&first)));
        doorbell.listen();
        doorbell.muffled(|| button.wake_by_ref());
        assert_eq!((woken(), doorbell.has_rung()), ((0, 0), false));
        button.wake_by_ref();
        assert_eq!((woken(), doorbell.has_rung()), ((1, 0), true));

        doorbell.call(&Waker::from(Arc::clone(&second)));
        button.wake_by_ref();
        doorbell.call_nobody();
        button.wake();
        assert_eq!(woken(), (1, 1));
    }
}
