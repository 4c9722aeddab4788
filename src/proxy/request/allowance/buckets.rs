//! Rates, in memory of a fixed size.
//!
//! What a client has taken is one number, the time at which it owes nothing any more (the "theoretical arrival time" of GCRA, the
//! leaky bucket as a meter). Who owes nothing is like a client that has never come, so forgetting that one loses nothing: the table only has
//! to hold those who have lately come, and forgets the others by itself.
//!
//! A line of the table is a cache line of eight clients that a seeded hash brings together. When a ninth comes, the one who owes least
//! goes. That is the rule that can't be abused: an attacker with a million addresses makes room for its new ones at the cost
//! of its own other new ones, since whoever has come once owes least of all. Whoever is at its limit owes most, and stays there. The
//! well-behaved lose by it at most what they owe. Random eviction, or the oldest first, would let an attacker wash its debts
//! away with fresh addresses; `governor` keeps all of them, and grows.
//!
//! One word per client, changed by one compare-and-swap: no lock, and nothing is ever half written.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Rate;

/// 64 bytes each.
pub(super) const LINES: usize = 1 << 14;
const CLIENTS: usize = 8;

/// A word's lower bits: a time in microseconds, going round every 12.7 days. Above it: which client of the line.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// By how much one worker's look at the clock may be older than another's, in microseconds, and more than that by far.
const SKEW: u64 = 1_000_000;

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Buckets(Box<[Line]>);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; CLIENTS]);

impl Buckets {
    pub(super) fn new() -> Self {
        Self((0..LINES).map(|_| Line::default()).collect())
    }

    /// Takes one from what the client with this `hash` may have; `Err`: microseconds until there will be one.
    pub(super) fn take(&self, hash: u64, rate: Rate, now: u64) -> Result<(), u64> {
        let micros =
            |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(TIME / 4);
        let (interval, most) = (micros(rate.interval), micros(rate.refill()));
        #[expect(clippy::cast_possible_truncation, reason = "its lower bits are wanted")]
        let line = &self.0[hash as usize % LINES].0;
        let mark = hash >> TIME_BITS << TIME_BITS;
        // Whoever has to try again does so because another one got through, and at its limit nobody does.
        loop {
            let words = line.each_ref().map(|word| word.load(Ordering::Relaxed));
            let known = words.iter().position(|word| word & !TIME == mark);
            let (at, debt) = match known {
                Some(at) => (at, debt(words[at], now)),
                None => (least(&words, now), 0),
            };
            let owes = |debt| mark | ((now + debt) & TIME);
            let swap = |to| {
                let (from, order) = (words[at], Ordering::Relaxed);
                line[at].compare_exchange_weak(from, to, order, order)
            };
            if debt > most + SKEW {
                // From before a reload. Left as it is, it would last as long as under the old rate.
                let _or_another_does = swap(owes(most));
                return Err(interval);
            }
            if debt + interval > most {
                return Err(debt + interval - most);
            }
            if swap(owes(debt + interval)).is_ok() {
                return Ok(());
            }
        }
    }
}

/// How long the client of `word` still owes something.
fn debt(word: u64, now: u64) -> u64 {
    let ahead = (word & TIME).wrapping_sub(now & TIME) & TIME;
    // Nobody owes so much: it is a time of the past, or of a round before.
    if u128::from(ahead) > Rate::LONGEST.as_micros() {
        0
    } else {
        ahead
    }
}

/// Who owes least.
fn least(words: &[u64; CLIENTS], now: u64) -> usize {
    let debts = words.iter().map(|word| debt(*word, now)).enumerate();
    debts.min_by_key(|(_, debt)| *debt).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
