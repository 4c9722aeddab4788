//! Who is woken by a connection's socket, and when that socket is worth a look.
//!
//! A waker has to be shareable among threads, and pays for it with locked instructions, which were a quarter of a worker's own time. What
//! is here has to pay little: the task of a connection to a client stays the same for life, and a task that borrows a connection to a
//! backend is named by a number that means something on its own thread only.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use slab::Slab;

use crate::worker::new_turn;

/// Stands between a socket and the task that polls it, as the waker of all its reads and writes. A socket that was found empty stays so
/// until its doorbell rings, so that most reads need not ask the runtime at all.
#[derive(Debug)]
pub(crate) struct Doorbell {
    rung: AtomicBool,
    /// The one task that it will ever call.
    resident: OnceLock<Waker>,
    /// Where there is none: the [`Sleeper`] that it calls for now, if it isn't [`NOBODY`].
    guest: AtomicUsize,
}

const NOBODY: usize = usize::MAX;

impl Default for Doorbell {
    fn default() -> Self {
        Self {
            rung: AtomicBool::new(false),
            resident: OnceLock::new(),
            guest: AtomicUsize::new(NOBODY),
        }
    }
}

impl Doorbell {
    /// Wakes the task that is polled with `cx`, for life.
    pub(crate) fn belong(&self, cx: &Context<'_>) {
        let task = self.resident.get_or_init(|| cx.waker().clone());
        debug_assert!(task.will_wake(cx.waker()), "a task that moved");
    }

    /// Wakes `sleeper` from now on, who is of this thread, as all that rings must be.
    pub(crate) fn call(&self, sleeper: SleeperId) {
        self.guest.store(sleeper.0, Ordering::Relaxed);
    }

    /// Wakes nobody from now on.
    pub(crate) fn call_nobody(&self) {
        self.guest.store(NOBODY, Ordering::Relaxed);
    }

    /// Whether it has rung since the last [`Self::listen`].
    pub(crate) fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Forgets that it has rung.
    pub(crate) fn listen(&self) {
        self.rung.store(false, Ordering::Relaxed);
    }

    pub(crate) fn ring(&self) {
        new_turn();
        self.rung.store(true, Ordering::Relaxed);
        match self.resident.get() {
            Some(task) => task.wake_by_ref(),
            None => SleeperId(self.guest.load(Ordering::Relaxed)).wake(),
        }
    }
}

impl Wake for Doorbell {
    fn wake(self: std::sync::Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.ring();
    }
}

thread_local! {
    /// The tasks of this thread that serve requests, as far as they have been polled.
    static ASLEEP: RefCell<Slab<Option<Waker>>> = const { RefCell::new(Slab::new()) };
}

/// A task of this thread that serves a request, for whoever has to wake it.
#[derive(Debug)]
pub(crate) struct Sleeper(SleeperId);

/// Names a [`Sleeper`]. Once that is gone it may come to name another one, which is then woken for nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SleeperId(usize);

impl Default for Sleeper {
    fn default() -> Self {
        Self(SleeperId(ASLEEP.with_borrow_mut(|all| all.insert(None))))
    }
}

impl Sleeper {
    pub(crate) fn id(&self) -> SleeperId {
        self.0
    }

    /// It is the task that is polled with `cx`.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let old = ASLEEP.with_borrow_mut(|all| {
            let task = &mut all[self.0.0];
            if task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                return None;
            }
            task.replace(cx.waker().clone())
        });
        // Not before the list is given back: a task that ends with this looks into it.
        drop(old);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// For those who can't be given its name. Costs what this module is there to spare.
    pub(crate) fn waker(&self) -> Waker {
        let known = ASLEEP.with_borrow(|all| all[self.0.0].clone());
        known.unwrap_or_else(|| Waker::noop().clone())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // At the thread's end the list may have gone before; the task that its waker keeps ends after the list is given back.
        let task = ASLEEP.try_with(|all| all.borrow_mut().try_remove(self.0.0));
        drop(task);
    }
}

impl SleeperId {
    pub(crate) fn wake(self) {
        let _at_the_threads_end = ASLEEP.try_with(|all| {
            if let Some(Some(task)) = all.borrow().get(self.0) {
                task.wake_by_ref();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Task {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// A task that has been polled, and its name.
    fn asleep() -> (Arc<Task>, Sleeper) {
        let (task, sleeper) = (Arc::new(Task::default()), Sleeper::default());
        sleeper.register(&Context::from_waker(&Waker::from(Arc::clone(&task))));
        (task, sleeper)
    }

    #[test]
    fn a_lent_doorbell_wakes_whom_it_calls() {
        let ((first, one), (second, other)) = (asleep(), asleep());
        let doorbell = Arc::new(Doorbell::default());
        let button = Waker::from(Arc::clone(&doorbell));
        button.wake_by_ref();
        assert!(doorbell.has_rung(), "even where nobody is called");

        doorbell.call(one.id());
        doorbell.listen();
        assert!(!doorbell.has_rung());
        button.wake_by_ref();
        assert_eq!((first.woken(), second.woken()), (1, 0));
        assert!(doorbell.has_rung());

        doorbell.call(other.id());
        button.wake_by_ref();
        doorbell.call_nobody();
        button.wake_by_ref();
        assert_eq!((first.woken(), second.woken()), (1, 1));

        doorbell.call(one.id());
        drop(one);
        button.wake();
        assert_eq!((first.woken(), second.woken()), (1, 1), "it has gone");
        assert_eq!(Arc::strong_count(&first), 1, "nothing keeps it");
    }

    #[test]
    fn one_that_belongs_to_a_task_wakes_it_from_any_thread() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let doorbell = Arc::new(Doorbell::default());
        doorbell.belong(&Context::from_waker(&waker));
        let button = Waker::from(Arc::clone(&doorbell));
        std::thread::spawn(move || button.wake()).join().unwrap();
        assert!(doorbell.has_rung());
        assert_eq!(task.woken(), 1);
    }

    #[test]
    fn a_task_that_ends_with_its_last_waker_may_look_into_the_list() {
        struct Ends(#[expect(dead_code, reason = "dropped with it")] Sleeper);
        impl Wake for Ends {
            fn wake(self: Arc<Self>) {}
        }
        // A waker must be `Send`, so the sleeper inside is one too; it is dropped on its own thread here.
        let sleeper = Sleeper::default();
        let waker = Waker::from(Arc::new(Ends(Sleeper::default())));
        sleeper.register(&Context::from_waker(&waker));
        drop(waker);
        drop(sleeper);
        assert_eq!(ASLEEP.with_borrow(|all| all.len()), 0);
    }
}
