//! Work that takes long for what else happens in one turn of the runtime: bodies that are compressed, TLS handshakes. One piece of it
//! is let through for each look at the network, so that a request that comes waits for one piece, however many are to be done.
//!
//! A task that yields by waking itself doesn't give way to the network: the runtime has sixty polls between two looks, and six of
//! them that compress have all sixty. A small request beside six downloads took a tenth (zstd) to a fifth (gzip) of a second that way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::Worker;
use super::clock::new_turn;

/// See the module's promise.
#[derive(Default)]
pub(crate) struct Turnstile {
    /// Somebody has been let through, or called, since the last look at the network.
    is_taken: Cell<bool>,
    taken: Notify,
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
}

/// The place in the line of one who waits.
struct Ticket {
    called: Cell<bool>,
    waker: RefCell<Waker>,
}

/// One who has pieces of such work to do. What is dropped doesn't wait any more.
#[derive(Default)]
pub(crate) struct Turn(Option<Rc<Ticket>>);

impl Turn {
    /// Ready when one piece may be done, now.
    pub(crate) fn poll(&mut self, turnstile: &Turnstile, cx: &Context<'_>) -> Poll<()> {
        match &self.0 {
            None if turnstile.is_taken.get() => {
                self.0 = Some(turnstile.queue_up(cx));
                Poll::Pending
            }
            None => {
                turnstile.take();
                Poll::Ready(())
            }
            Some(ticket) if ticket.called.get() => {
                self.0 = None;
                Poll::Ready(())
            }
            Some(ticket) => {
                ticket.waker.borrow_mut().clone_from(cx.waker());
                Poll::Pending
            }
        }
    }
}

impl Turnstile {
    fn take(&self) {
        self.is_taken.set(true);
        self.taken.notify_one();
    }

    fn queue_up(&self, cx: &Context<'_>) -> Rc<Ticket> {
        let ticket = Rc::new(Ticket {
            called: Cell::new(false),
            waker: RefCell::new(cx.waker().clone()),
        });
        self.waiting.borrow_mut().push_back(Rc::clone(&ticket));
        ticket
    }

    /// Lets one after the other through, for ever.
    ///
    /// Nobody owns the turnstile: one who is called and doesn't come, since its client doesn't read, would keep all others waiting.
    pub(super) async fn attend(&self) {
        loop {
            self.taken.notified().await;
            while self.is_taken.get() {
                // This is what comes back only after a look at the network.
                tokio::task::yield_now().await;
                new_turn();
                match self.next() {
                    Some(ticket) => {
                        ticket.called.set(true);
                        ticket.waker.borrow().wake_by_ref();
                    }
                    None => self.is_taken.set(false),
                }
            }
        }
    }

    /// Who has waited longest, of those who still do.
    fn next(&self) -> Option<Rc<Ticket>> {
        let mut waiting = self.waiting.borrow_mut();
        std::iter::from_fn(|| waiting.pop_front()).find(|ticket| Rc::strong_count(ticket) > 1)
    }
}

impl Worker {
    /// For work that takes long.
    pub(crate) fn turnstile(&self) -> &Turnstile {
        &self.turnstile
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Default)]
    struct Someone {
        turn: Turn,
        calls: Arc<Calls>,
    }

    impl Someone {
        fn passes(&mut self, turnstile: &Turnstile) -> bool {
            let waker = Waker::from(Arc::clone(&self.calls));
            self.turn
                .poll(turnstile, &Context::from_waker(&waker))
                .is_ready()
        }

        fn calls(&self) -> usize {
            self.calls.0.load(Ordering::Relaxed)
        }
    }

    /// Plays `scene` on a worker's runtime, with somebody who attends to the turnstile.
    fn play(scene: impl AsyncFnOnce(&Turnstile)) {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let turnstile = Rc::new(Turnstile::default());
            let attending = Rc::clone(&turnstile);
            tokio::task::spawn_local(async move { attending.attend().await });
            scene(&turnstile).await;
        });
    }

    /// Until the network has been looked at so often that whoever is to be called was.
    async fn looks() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn one_passes_between_two_looks_and_then_the_others_in_turn() {
        play(async |turnstile| {
            let [mut a, mut b, mut c] = <[Someone; 3]>::default();
            assert!(a.passes(turnstile));
            assert!(!a.passes(turnstile) && !b.passes(turnstile) && !c.passes(turnstile));
            let mut order = Vec::new();
            while order.len() < 30 {
                tokio::task::yield_now().await;
                let mut passed = 0;
                for (name, one) in [("a", &mut a), ("b", &mut b), ("c", &mut c)] {
                    if one.passes(turnstile) {
                        order.push(name);
                        passed += 1;
                        assert!(!one.passes(turnstile), "{name} queues up again");
                    }
                }
                assert!(passed < 2, "{order:?}");
            }
            assert_eq!(order, ["a", "b", "c"].repeat(10));
        });
    }

    #[test]
    fn who_is_called_and_does_not_come_or_is_gone_keeps_nobody_waiting() {
        play(async |turnstile| {
            let [mut a, mut idle, mut gone, mut last] = <[Someone; 4]>::default();
            assert!(a.passes(turnstile));
            for one in [&mut idle, &mut gone, &mut last] {
                assert!(!one.passes(turnstile));
            }
            drop(gone);
            looks().await;
            assert_eq!((idle.calls(), last.calls()), (1, 1));
            assert!(last.passes(turnstile));
            // It still has what it was called for.
            assert!(idle.passes(turnstile));
        });
    }

    #[test]
    fn who_comes_alone_does_not_wait() {
        play(async |turnstile| {
            let mut one = Someone::default();
            for _ in 0..3 {
                assert!(one.passes(turnstile));
                looks().await;
            }
            assert_eq!(one.calls(), 0);
        });
    }
}
