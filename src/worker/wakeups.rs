//! Connections that the clock wakes, as when their time is over, are woken a few at a time, with a look at the network in between. A crowd
//! that has come together is due together, and the end of a connection takes longer than a request: sixty of them between two looks made
//! everybody else wait for milliseconds.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

use crate::proxy::client::downstream::Wakeup;

/// How many are woken between two looks. Where a worker has more to do than it can, there is one look for each sixty polls of tasks: with one
/// at a time, the end of a thousand would take seconds.
const FEW: usize = 8;

/// Connections whose tasks are to look around, as far as they are still there.
pub(super) struct Wakeups<T> {
    to_end: Line<T>,
    /// They can wait for all others.
    to_park: Line<T>,
    come: Notify,
}

type Line<T> = RefCell<VecDeque<Weak<T>>>;

impl<T> Default for Wakeups<T> {
    fn default() -> Self {
        Self {
            to_end: RefCell::default(),
            to_park: RefCell::default(),
            come: Notify::new(),
        }
    }
}

impl<T> Wakeups<T> {
    pub(super) fn join(&self, one: &Rc<T>, why: Wakeup) {
        let line = match why {
            Wakeup::End => &self.to_end,
            Wakeup::Park => &self.to_park,
        };
        line.borrow_mut().push_back(Rc::downgrade(one));
        self.come.notify_one();
    }

    /// Has `wake` wake a few, again and again, for ever.
    pub(super) async fn attend(&self, wake: impl Fn(&T, Wakeup)) {
        loop {
            self.come.notified().await;
            while self.wake_few(&wake) {
                // This is what comes back only after a look at the network.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether there was anybody to wake.
    fn wake_few(&self, wake: impl Fn(&T, Wakeup)) -> bool {
        for number in 0..FEW {
            let Some((one, why)) = self.next() else {
                return number > 0;
            };
            wake(&one, why);
        }
        true
    }

    fn next(&self) -> Option<(Rc<T>, Wakeup)> {
        let end = first(&self.to_end).map(|one| (one, Wakeup::End));
        end.or_else(|| first(&self.to_park).map(|one| (one, Wakeup::Park)))
    }
}

/// Of those who are still there.
fn first<T>(line: &Line<T>) -> Option<Rc<T>> {
    let mut line = line.borrow_mut();
    std::iter::from_fn(|| line.pop_front()).find_map(|one| one.upgrade())
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[test]
    fn a_crowd_is_woken_a_few_at_a_time_and_those_who_are_to_end_first() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let wakeups = Rc::new(Wakeups::default());
            let woken = Rc::new(RefCell::new(Vec::new()));
            let (attending, noting) = (Rc::clone(&wakeups), Rc::clone(&woken));
            let wake = move |number: &usize, why| noting.borrow_mut().push((*number, why));
            tokio::task::spawn_local(async move { attending.attend(wake).await });
            let crowd: Vec<Rc<usize>> = (0..100).map(Rc::new).collect();
            for _ in 0..2 {
                for why in [Wakeup::Park, Wakeup::End] {
                    crowd.iter().for_each(|one| wakeups.join(one, why));
                    wakeups.join(&Rc::new(1000), why);
                }
                let mut seen = 0;
                while seen < 2 * crowd.len() {
                    // Comes back after a look at the network, too.
                    tokio::task::yield_now().await;
                    let now = woken.borrow().len();
                    assert!(now - seen <= FEW, "{seen}, then {now}");
                    seen = now;
                }
                let all = |why| (0..crowd.len()).map(move |number| (number, why));
                let expected: Vec<_> = all(Wakeup::End).chain(all(Wakeup::Park)).collect();
                assert_eq!(woken.take(), expected);
            }
        });
    }
}
