//! Connections at once, counted per client in memory of a fixed size.
//!
//! A line of the table is a cache line of eight clients. None of those who have a connection can be forgotten, or its count would
//! be wrong from then on. So a ninth of one line isn't counted at all: let in, and no harm to the others. With the 20,000 connections
//! of `max_connections` by default, each of another client, that befalls 2 in a million of them, and who it befalls is up to a seeded hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// 64 bytes each.
const LINES: usize = 1 << 14;
const CLIENTS: usize = 8;

/// A word's lower half is the number; its upper half says which client of the line.
const NUMBER: u64 = u32::MAX as u64;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Places(Box<[Line]>);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; CLIENTS]);

/// One connection of a client, counted out when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    line: usize,
    /// `None`: it isn't counted.
    at: Option<usize>,
}

impl Default for Places {
    fn default() -> Self {
        Self((0..LINES).map(|_| Line::default()).collect())
    }
}

impl Places {
    /// Counts one in for the client with this `hash`, unless it has `max` already.
    pub(super) fn enter(places: &Arc<Self>, hash: u64, max: u32) -> Option<Place> {
        #[expect(clippy::cast_possible_truncation, reason = "its lower bits are wanted")]
        let line = hash as usize % LINES;
        let mark = hash & !NUMBER;
        let words = &places.0[line].0;
        let at = loop {
            let seen = words.each_ref().map(|word| word.load(Ordering::Acquire));
            let own = |word: &u64| word & !NUMBER == mark;
            // It may be there twice, if it has come to two workers at the same time.
            let number: u64 = seen.iter().filter(|w| own(w)).map(|w| w & NUMBER).sum();
            if number >= u64::from(max) {
                return None;
            }
            let free = |word: &u64| word & NUMBER == 0;
            let Some(at) = (seen.iter().position(own)).or_else(|| seen.iter().position(free))
            else {
                break None;
            };
            let after = if own(&seen[at]) {
                seen[at] + 1
            } else {
                mark | 1
            };
            let swapped = words[at].compare_exchange_weak(
                seen[at],
                after,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if swapped.is_ok() {
                break Some(at);
            }
        };
        let places = Arc::clone(places);
        Some(Place { places, line, at })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.places.0[self.line].0[at].fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests;
