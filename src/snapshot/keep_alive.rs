//! Whether a backend keeps connections for another request. Asked once, by one worker, and known to all from then on.

use std::sync::atomic::{AtomicU8, Ordering};

/// What is known of one backend, over all workers.
#[derive(Debug, Default)]
pub struct KeepAlive(AtomicU8);

/// What may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Nothing.
    Unknown,
    /// Nothing yet: a worker is finding out.
    Asked,
    /// It keeps connections.
    Keeps,
    /// It closes each one after its answer.
    Closes,
}

/// The one who finds out. Without an [`Asking::answer`], somebody else may.
#[derive(Debug)]
pub struct Asking<'a>(&'a KeepAlive);

impl KeepAlive {
    /// What is known now.
    pub fn habit(&self) -> Habit {
        match self.0.load(Ordering::Relaxed) {
            ASKED => Habit::Asked,
            KEEPS => Habit::Keeps,
            CLOSES => Habit::Closes,
            _ => Habit::Unknown,
        }
    }

    /// Makes the caller the one who finds out, unless it is known or somebody does so already.
    pub fn ask(&self) -> Option<Asking<'_>> {
        self.0
            .compare_exchange(UNKNOWN, ASKED, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| Asking(self))
    }

    /// What comes back after a failure may be another server.
    pub fn forget(&self) {
        // Whoever is asking at the moment asks the old one, and finds that out.
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }
}

impl Asking<'_> {
    /// The backend has answered, and kept the connection or not.
    pub fn answer(self, keeps: bool) {
        self.settle(if keeps { KEEPS } else { CLOSES });
    }

    fn settle(&self, found: u8) {
        // Only if nobody has forgotten the question meanwhile.
        let _forgotten =
            self.0
                .0
                .compare_exchange(ASKED, found, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.settle(UNKNOWN);
    }
}

const UNKNOWN: u8 = 0;
const ASKED: u8 = 1;
const KEEPS: u8 = 2;
const CLOSES: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_all_know() {
        let keep_alive = KeepAlive::default();
        let asking = keep_alive.ask().unwrap();
        assert!(keep_alive.ask().is_none());
        asking.answer(true);
        assert_eq!(keep_alive.habit(), Habit::Keeps);
        assert!(keep_alive.ask().is_none());
    }

    #[test]
    fn one_that_closes_is_not_asked_again_until_it_has_failed() {
        let keep_alive = KeepAlive::default();
        keep_alive.ask().unwrap().answer(false);
        assert_eq!(keep_alive.habit(), Habit::Closes);
        assert!(keep_alive.ask().is_none());
        keep_alive.forget();
        assert!(keep_alive.ask().is_some());
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again() {
        let keep_alive = KeepAlive::default();
        drop(keep_alive.ask());
        assert!(keep_alive.ask().is_some());
    }
}
