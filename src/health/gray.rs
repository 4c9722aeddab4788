//! Gray failures: a backend that passes its checks but fails live requests. Pure.
//!
//! Live requests fail for reasons that have nothing to do with a backend (a bad release, a broken shared service, one
//! client's nonsense), so their share of failures is judged only by comparison: with the backends of the same pool, or, where
//! those say nothing, with the backend's own past. That alone doesn't do for server errors: one bad URL that is asked again and
//! again brings as many of them as one likes, in the application's own words. Answers that are cut, stalled or no HTTP are not what
//! an application says of itself.
//!
//! A pool that fails as a whole is not a backend's fault. It may be its zone's, or the application's, and no past can tell these
//! apart: a bad release begins as suddenly as a broken disk. So a zone only fails for it if a standby has been seen to do better
//! with the same kind of requests at the same time (a [`Trial`]). What fails alike in both zones never flips.
//!
//! What is compared is a stretch of time that ends now: the whole window, or, where the trouble is younger, as little of it as
//! proves something. Over the whole window alone, a backend that has done well would have to fail for seconds before it shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::outcome::{Tally, TrialTally};

/// How far back "now" reaches.
const WINDOW: Duration = Duration::from_secs(10);
/// What is counted closer together than this is one entry.
const GRAIN: Duration = Duration::from_millis(100);
/// Fewer requests say nothing.
const ENOUGH: u32 = 10;
/// Fewer than [`ENOUGH`] do if all of them have failed. Envoy's outlier detection has 5 in a row.
const ALL_FAILED: u32 = 6;
/// So many of a sibling's say that it does well, if none of them has failed.
const SOUND: u32 = 5;
/// Before a zone is left, so many requests at each backend of the pool must have been made, and half of them failed.
const FEW: u32 = 2;
/// So many of a trial's requests in a row that a standby does well, ...
const BETTER: u32 = 4;
/// ... and so many that the active zone has failed meanwhile, tell the two apart. It has failed others before.
const WORSE: u32 = 3;
/// After so many that neither fail enough nor do well enough, they never will.
const UNDECIDED: u32 = 40;
/// How long a first ejection lasts; the n-th in a row lasts n times as long.
const EJECTION: Duration = Duration::from_secs(10);
/// No ejection lasts longer, and after as long without one they are counted anew.
const LONGEST: Duration = Duration::from_secs(300);

/// How live requests went at one backend, and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Newest last; entries are at least a [`GRAIN`] apart.
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
            Some((begin, last)) if *begin + GRAIN > now => add(last, tally),
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
            self.past.server_errors /= 2;
        }
    }

    /// The stretches of time within the window that end now, the shortest first.
    fn stretches(&self) -> impl Iterator<Item = Stretch> {
        self.recent
            .iter()
            .rev()
            .scan(Tally::default(), |sum, (begin, tally)| {
                add(sum, *tally);
                Some(Stretch {
                    since: *begin,
                    tally: *sum,
                })
            })
    }

    /// Whether it has done well since `since`, as far as is known. One that fails quickly draws the requests, so that there may be
    /// few at its siblings meanwhile: then those before count too, but one there must be.
    fn does_well_since(&self, since: Instant) -> bool {
        let meanwhile = self
            .stretches()
            .take_while(|stretch| stretch.since >= since)
            .last();
        let Some(Stretch { tally, .. }) = meanwhile else {
            return false;
        };
        if tally.requests >= SOUND {
            return does_well(tally);
        }
        let lately = self
            .stretches()
            .find(|stretch| stretch.tally.requests >= SOUND);
        tally.requests > 0
            && tally.failures == 0
            && lately.is_some_and(|lately| does_well(lately.tally))
    }

    /// Whether it has had no requests since `since`.
    fn is_idle_since(&self, since: Instant) -> bool {
        self.recent
            .iter()
            .all(|(begin, tally)| *begin < since || tally.requests == 0)
    }

    /// The stretches in which it fails too many requests.
    fn bad_stretches(&self) -> impl Iterator<Item = Stretch> {
        let whole = self.stretches().last();
        self.stretches()
            .filter(|stretch| is_bad(stretch.tally))
            .chain(whole.filter(|whole| is_mostly_bad(whole.tally)))
    }

    /// Whether it fails too many requests now.
    pub fn is_bad(&self) -> bool {
        self.bad_stretches().next().is_some()
    }

    /// The longest stretch in which it fails too many requests and that is `like` that, though it failed few before it.
    fn turned_bad(&self, like: impl Fn(Tally) -> bool) -> Option<Stretch> {
        let whole = self.stretches().last()?;
        let mut all = self.past;
        add(&mut all, whole.tally);
        let well_before = |stretch: &Stretch| {
            is_good(Tally {
                requests: all.requests - stretch.tally.requests,
                failures: all.failures - stretch.tally.failures,
                ..Tally::default()
            })
        };
        let bad = self.bad_stretches().filter(well_before);
        bad.filter(|stretch| like(stretch.tally)).last()
    }

    /// Whether at least half of its requests since `since` have failed, and it has had as many as `few`.
    fn does_badly_since(&self, since: Instant, few: u32) -> bool {
        let entries = self.recent.iter().filter(|(begin, _)| *begin >= since);
        let tally = entries.fold(Tally::default(), |mut sum, (_, tally)| {
            add(&mut sum, *tally);
            sum
        });
        tally.requests >= few && tally.failures * 2 >= tally.requests
    }

    /// Whether it has had requests enough within the window to be compared with.
    fn is_busy(&self) -> bool {
        self.stretches()
            .last()
            .is_some_and(|whole| whole.tally.requests >= ENOUGH)
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

/// A time that ends now, and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub since: Instant,
    /// How live requests went.
    pub tally: Tally,
}

impl Stretch {
    /// `7 of 12 live requests failed within 0.4 s`
    pub fn describe(&self, now: Instant) -> String {
        let Tally {
            requests, failures, ..
        } = self.tally;
        // An entry begins when it is counted, which is after the requests were made.
        let lasted = (now.saturating_duration_since(self.since) + GRAIN).min(WINDOW);
        format!(
            "{failures} of {requests} live requests failed within {:.1} s",
            lasted.as_secs_f64()
        )
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

    /// How many there were in a row, this one included.
    pub fn times(&self, now: Instant) -> u32 {
        let over = self.until.is_none() && self.served.is_some_and(|at| at + LONGEST <= now);
        if over { 0 } else { self.times }
    }

    /// When it ends.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// The stretch whose failures a backend is to blame for, if there is one. `siblings` are the other backends of its pool, in all
/// zones.
pub fn blame<'a>(live: &Live, siblings: impl Iterator<Item = &'a Live>) -> Option<Stretch> {
    let siblings: Vec<&Live> = siblings.collect();
    // One that does well at the same time is enough: the application works there. Their sum would not do: a second gray backend
    // would excuse the first.
    let compared = live.bad_stretches().find(|bad| {
        siblings
            .iter()
            .any(|sibling| sibling.does_well_since(bad.since))
    });
    let busy: Vec<&Live> = siblings.into_iter().filter(|s| s.is_busy()).collect();
    if busy.is_empty() {
        return compared.or_else(|| live.turned_bad(is_broken));
    }
    // One that fails quickly may draw all requests: then nobody is asked beside it, and never would be.
    let draws_all = |bad: &Stretch| {
        bad.tally.requests >= ENOUGH && busy.iter().all(|sibling| sibling.is_idle_since(bad.since))
    };
    compared.or_else(|| live.turned_bad(|_| true).filter(draws_all))
}

/// The longest stretch in which the backends of a pool fail too many requests, and none of them does well. They are judged together:
/// by the time that each has proved something by itself, twice as many requests have failed. `each`: nobody has been idle either, as
/// the others may be where one that fails quickly draws all requests.
pub fn all_bad(lives: &[&Live], each: bool) -> Option<Stretch> {
    let few = if each { FEW } else { 0 };
    let mut together = Live::default();
    for live in lives {
        together.recent.extend(&live.recent);
    }
    together
        .recent
        .make_contiguous()
        .sort_by_key(|(begin, _)| *begin);
    let shared = |bad: &Stretch| {
        lives
            .iter()
            .all(|live| live.does_badly_since(bad.since, few))
    };
    let bad: Vec<Stretch> = together.bad_stretches().collect();
    bad.into_iter().rev().find(shared)
}

/// What a trial has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Nothing yet.
    Open,
    /// The standby does well what the active zone fails: it is the zone's fault.
    Better,
    /// The standby fails them as well: it is the application's own fault, or that of what is asked of it.
    Alike,
    /// They show neither, however many of them.
    Unclear,
}

/// Compares the requests that were dealt out: those `here` in the active zone with those `there` at a standby. `before`: how many
/// trials in a row have been in vain; the more, the more has to be shown.
///
/// If both zones failed the same share of such requests, one half or more, the standby would seem better less than once in a hundred
/// times, and ever less in each trial that follows.
pub fn compare(here: TrialTally, there: TrialTally, before: u32) -> Trial {
    let half = |tally: TrialTally| u64::from(tally.failures) * 2 >= u64::from(tally.requests);
    let tenth = |tally: TrialTally| u64::from(tally.failures) * 10 < u64::from(tally.requests);
    let (worse, better) = (WORSE * (1 + before.min(3)), BETTER * (1 + before.min(3)));
    let opposite = here.failures == here.requests && there.failures == 0;
    let (worse, better) = if opposite {
        (here.failures >= worse, there.requests >= better)
    } else {
        let many = better.max(ENOUGH);
        let as_many = here.requests.min(2 * many);
        (
            here.failures >= many && half(here),
            there.requests >= as_many && tenth(there),
        )
    };
    if worse && better {
        Trial::Better
    } else if there.failures >= BETTER && half(there) {
        Trial::Alike
    } else if there.requests >= UNDECIDED {
        Trial::Unclear
    } else {
        Trial::Open
    }
}

/// Too many of a few requests failed for that to be chance, where less than a tenth do otherwise.
fn is_bad(
    Tally {
        requests, failures, ..
    }: Tally,
) -> bool {
    (requests >= ALL_FAILED && failures == requests)
        || (requests >= ENOUGH && u64::from(failures) * 5 >= u64::from(requests) * 4)
}

/// At least half of enough requests failed, for as long as is looked back.
fn is_mostly_bad(tally: Tally) -> bool {
    tally.requests >= ENOUGH && u64::from(tally.failures) * 2 >= u64::from(tally.requests)
}

/// It would be bad if what the application itself has called an error weren't one.
fn is_broken(tally: Tally) -> bool {
    let broken = Tally {
        failures: tally.failures.saturating_sub(tally.server_errors),
        ..tally
    };
    is_bad(broken) || is_mostly_bad(broken)
}

/// Less than a tenth of enough requests failed.
fn is_good(tally: Tally) -> bool {
    tally.requests >= ENOUGH && does_well(tally)
}

/// Less than a tenth of some requests failed.
fn does_well(tally: Tally) -> bool {
    tally.requests >= SOUND && u64::from(tally.failures) * 10 < u64::from(tally.requests)
}

fn add(sum: &mut Tally, more: Tally) {
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.failures = sum.failures.saturating_add(more.failures);
    sum.server_errors = sum.server_errors.saturating_add(more.server_errors);
}

#[cfg(test)]
mod tests;
