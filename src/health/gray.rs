//! Gray failures: a backend that passes its checks but fails live requests. Pure.
//!
//! Live requests fail for reasons that have nothing to do with a backend (a bad release, a broken shared service, one
//! client's nonsense), so their share of failures is judged only by comparison: with the backends of the same pool, or, where
//! those say nothing, with the backend's own past. A pool that fails as a whole is not a backend's fault.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::outcome::Tally;

/// How far back "now" reaches.
const WINDOW: Duration = Duration::from_secs(10);
/// Fewer requests say nothing.
const ENOUGH: u32 = 10;
/// How long a first ejection lasts; the n-th in a row lasts n times as long.
const EJECTION: Duration = Duration::from_secs(10);
/// No ejection lasts longer, and after as long without one they are counted anew.
const LONGEST: Duration = Duration::from_secs(300);

/// How live requests went at one backend, and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Newest last; entries are at least a tenth of the window apart.
    recent: VecDeque<(Instant, Tally)>,
    /// What left the window.
    past: Tally,
    sentence: Sentence,
}

/// Being gray for a while: each time in a row for longer.
#[derive(Clone, Debug, Default)]
pub struct Sentence {
    until: Option<Instant>,
    served: Option<Instant>,
    times: u32,
}

impl Live {
    /// Adds what has happened since the last tally.
    pub fn add(&mut self, tally: Tally, now: Instant) {
        self.forget(now);
        match self.recent.back_mut() {
            Some((begin, last)) if *begin + WINDOW / 10 > now => add(last, tally),
            _ => self.recent.push_back((now, tally)),
        }
    }

    /// Lets what is older than the window become the past.
    pub fn forget(&mut self, now: Instant) {
        while let Some((begin, old)) = self.recent.front().copied()
            && begin + WINDOW <= now
        {
            self.recent.pop_front();
            add(&mut self.past, old);
        }
        if self.past.requests > 10_000 {
            // Halved, so that the distant past weighs less and less.
            self.past.requests /= 2;
            self.past.failures /= 2;
        }
    }

    /// What lies within the window.
    pub fn recent(&self) -> Tally {
        let mut sum = Tally::default();
        for (_, tally) in &self.recent {
            add(&mut sum, *tally);
        }
        sum
    }

    /// Whether it fails most requests now, but failed few before.
    pub fn turned_bad(&self) -> bool {
        is_bad(self.recent()) && is_good(self.past)
    }

    /// Whether it is gray.
    pub fn is_gray(&self) -> bool {
        self.sentence.until.is_some()
    }

    /// For how long it is gray.
    pub fn sentence(&mut self) -> &mut Sentence {
        &mut self.sentence
    }

    /// When it gets another chance.
    pub fn until(&self) -> Option<Instant> {
        self.sentence.until
    }

    /// Another chance begins without the bad record.
    pub fn acquit(&mut self, now: Instant) {
        self.recent.clear();
        self.sentence.end(now);
    }
}

impl Sentence {
    /// Begins; how long it lasts.
    pub fn begin(&mut self, now: Instant) -> Duration {
        let long_ago = |served: Instant| served + LONGEST <= now;
        if self.served.is_none_or(long_ago) {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        let length = EJECTION.saturating_mul(self.times).min(LONGEST);
        self.until = Some(now + length);
        length
    }

    /// Ends.
    pub fn end(&mut self, now: Instant) {
        if self.until.take().is_some() {
            self.served = Some(now);
        }
    }

    /// When it ends.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// Whether a backend is to blame for the failures of its requests. `siblings` are the other backends of its pool, in all zones.
pub fn is_to_blame<'a>(live: &Live, siblings: impl Iterator<Item = &'a Live>) -> bool {
    if !is_bad(live.recent()) {
        return false;
    }
    let with_enough: Vec<Tally> = siblings
        .map(Live::recent)
        .filter(|tally| tally.requests >= ENOUGH)
        .collect();
    if with_enough.is_empty() {
        live.turned_bad()
    } else {
        // One that does well at the same time is enough: the application works there. Their sum would not do: a second
        // gray backend would excuse the first.
        with_enough.into_iter().any(is_good)
    }
}

/// At least half of enough requests failed.
fn is_bad(tally: Tally) -> bool {
    tally.requests >= ENOUGH && u64::from(tally.failures) * 2 >= u64::from(tally.requests)
}

/// Less than a tenth of enough requests failed.
fn is_good(tally: Tally) -> bool {
    tally.requests >= ENOUGH && u64::from(tally.failures) * 10 < u64::from(tally.requests)
}

fn add(sum: &mut Tally, more: Tally) {
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.failures = sum.failures.saturating_add(more.failures);
}

/// `7 of 12 live requests failed within 10 s`
pub fn describe(tally: Tally) -> String {
    let Tally { requests, failures } = tally;
    format!(
        "{failures} of {requests} live requests failed within {} s",
        WINDOW.as_secs()
    )
}
