//! Connections that the clock wakes, as when their time is over, are woken one after the other, with a look at the network in between. A
//! crowd that has come together is due together, and the end of a connection takes longer than a request: sixty of them between two
//! looks made everybody else wait for milliseconds.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Waker;

use tokio::sync::Notify;

use super::Worker;

/// The tasks of connections that are to look around.
#[derive(Default)]
pub(super) struct Wakeups {
    line: RefCell<VecDeque<Waker>>,
    come: Notify,
}

impl Wakeups {
    /// Wakes one after the other, for ever.
    pub(super) async fn attend(&self) {
        loop {
            self.come.notified().await;
            while let Some(task) = self.next() {
                task.wake();
                // This is what comes back only after a look at the network.
                tokio::task::yield_now().await;
            }
        }
    }

    fn join(&self, task: Waker) {
        self.line.borrow_mut().push_back(task);
        self.come.notify_one();
    }

    fn next(&self) -> Option<Waker> {
        self.line.borrow_mut().pop_front()
    }
}

impl Worker {
    /// Wakes the task of a connection when its turn has come. One that looks around before then needs no more.
    pub(crate) fn wake_in_turn(&self, task: Waker) {
        self.wakeups.join(task);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[derive(Default)]
    struct Gone(AtomicUsize);

    impl Wake for Gone {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_crowd_ends_one_after_the_other_and_all_of_it() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let (wakeups, gone) = (Rc::new(Wakeups::default()), Arc::new(Gone::default()));
            let attending = Rc::clone(&wakeups);
            tokio::task::spawn_local(async move { attending.attend().await });
            for crowd in [100, 1, 50] {
                let before = gone.0.load(Ordering::Relaxed);
                for _ in 0..crowd {
                    wakeups.join(Waker::from(Arc::clone(&gone)));
                }
                let mut seen = before;
                while seen < before + crowd {
                    // Comes back after a look at the network, too.
                    tokio::task::yield_now().await;
                    let now = gone.0.load(Ordering::Relaxed);
                    assert!(now - seen <= 1, "{seen}, then {now}");
                    seen = now;
                }
            }
        });
    }
}
