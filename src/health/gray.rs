//! Gray failures: a backend that passes its checks but fails live requests. Pure.
//!
//! Live requests fail for reasons that have nothing to do with a backend (a bad release, a broken shared service, one
//! client's nonsense), so their share of failures is judged only by comparison: with the backends of the same pool, or, where
//! those say nothing, with the backend's own past. A pool that fails as a whole is not a backend's fault.
//!
//! What is compared is a stretch of time that ends now: the whole window, or, where the trouble is younger, as little of it as
//! proves something. Over the whole window alone, a backend that has done well would have to fail for seconds before it shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::outcome::Tally;

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

    /// What it has done since `since`, as far as that lies within the window.
    fn since(&self, since: Instant) -> Tally {
        let mut stretches = self
            .stretches()
            .take_while(|stretch| stretch.since >= since);
        stretches
            .by_ref()
            .last()
            .map_or(Tally::default(), |stretch| stretch.tally)
    }

    /// The shortest stretch in which it fails too many requests, if it does.
    pub fn bad_stretch(&self) -> Option<Stretch> {
        let whole = self.stretches().last()?;
        self.stretches()
            .find(|stretch| is_bad(stretch.tally))
            .or_else(|| is_mostly_bad(whole.tally).then_some(whole))
    }

    /// A stretch in which it fails too many requests, though it failed few before it.
    pub fn turned_bad(&self) -> Option<Stretch> {
        let whole = self.stretches().last()?;
        let mut before = self.past;
        add(&mut before, whole.tally);
        let well_before = |stretch: &Stretch| {
            is_good(Tally {
                requests: before.requests - stretch.tally.requests,
                failures: before.failures - stretch.tally.failures,
            })
        };
        self.stretches()
            .find(|stretch| is_bad(stretch.tally) && well_before(stretch))
            .or_else(|| (is_mostly_bad(whole.tally) && well_before(&whole)).then_some(whole))
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
        let Tally { requests, failures } = self.tally;
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

    /// When it ends.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// The stretch whose failures a backend is to blame for, if there is one. `siblings` are the other backends of its pool, in all
/// zones.
pub fn blame<'a>(live: &Live, siblings: impl Iterator<Item = &'a Live>) -> Option<Stretch> {
    let bad = live.bad_stretch()?;
    let mut busy = siblings.filter(|sibling| sibling.is_busy()).peekable();
    if busy.peek().is_none() {
        return live.turned_bad();
    }
    // One that does well at the same time is enough: the application works there. Their sum would not do: a second gray backend
    // would excuse the first.
    busy.any(|sibling| does_well(sibling.since(bad.since)))
        .then_some(bad)
}

/// Too many of a few requests failed for that to be chance, where less than a tenth do otherwise.
fn is_bad(Tally { requests, failures }: Tally) -> bool {
    (requests >= ALL_FAILED && failures == requests)
        || (requests >= ENOUGH && u64::from(failures) * 5 >= u64::from(requests) * 4)
}

/// At least half of enough requests failed, for as long as is looked back.
fn is_mostly_bad(Tally { requests, failures }: Tally) -> bool {
    requests >= ENOUGH && u64::from(failures) * 2 >= u64::from(requests)
}

/// Less than a tenth of enough requests failed.
fn is_good(tally: Tally) -> bool {
    tally.requests >= ENOUGH && does_well(tally)
}

/// Less than a tenth of some requests failed.
fn does_well(Tally { requests, failures }: Tally) -> bool {
    requests >= SOUND && u64::from(failures) * 10 < u64::from(requests)
}

fn add(sum: &mut Tally, more: Tally) {
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.failures = sum.failures.saturating_add(more.failures);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries a [`GRAIN`] apart, each `(requests, failures)`, the last one now.
    fn live(entries: &[(u32, u32)]) -> (Live, Instant) {
        let mut now = Instant::now();
        let mut live = Live::default();
        for (requests, failures) in entries {
            now += GRAIN;
            let tally = Tally {
                requests: *requests,
                failures: *failures,
            };
            live.add(tally, now);
        }
        (live, now)
    }

    fn blamed(own: &[(u32, u32)], sibling: &[(u32, u32)]) -> Option<(u32, u32)> {
        let ((own, _), (sibling, _)) = (live(own), live(sibling));
        let sibling = Live {
            // Both were counted at the same times.
            recent: own
                .recent
                .iter()
                .zip(&sibling.recent)
                .map(|((at, _), (_, tally))| (*at, *tally))
                .collect(),
            ..sibling
        };
        let stretch = blame(&own, std::iter::once(&sibling))?;
        Some((stretch.tally.requests, stretch.tally.failures))
    }

    #[test]
    fn a_good_past_does_not_hide_young_trouble() {
        let (one, now) = live(&[(50, 0), (50, 1), (50, 0), (3, 3), (3, 3)]);
        let stretch = one.turned_bad().expect("six in a row");
        assert_eq!(
            stretch.describe(now),
            "6 of 6 live requests failed within 0.2 s"
        );
        assert!(live(&[(50, 0), (5, 5)]).0.turned_bad().is_none());
        assert!(live(&[(50, 0), (10, 7)]).0.turned_bad().is_none());
        assert!(live(&[(50, 0), (5, 5), (5, 3)]).0.turned_bad().is_some());
    }

    #[test]
    fn without_a_good_past_nobody_has_turned_bad() {
        assert!(live(&[(9, 9), (9, 9)]).0.turned_bad().is_none());
        assert!(live(&[(50, 20), (9, 9)]).0.turned_bad().is_none());
        assert!(live(&[(50, 20), (9, 9)]).0.bad_stretch().is_some());
    }

    #[test]
    fn who_has_recovered_is_not_bad_any_more() {
        let (one, _) = live(&[(50, 0), (10, 10), (20, 0)]);
        assert_eq!((one.bad_stretch(), one.turned_bad()), (None, None));
    }

    #[test]
    fn a_sibling_that_fails_at_the_same_time_excuses_though_it_has_done_well_before() {
        let own = [(20, 0), (20, 0), (4, 4), (4, 4)];
        assert_eq!(
            blamed(&own, &[(20, 0), (20, 0), (4, 0), (4, 0)]),
            Some((8, 8))
        );
        assert_eq!(blamed(&own, &[(20, 0), (20, 0), (4, 4), (4, 4)]), None);
        // Too little is known of it at the same time: soon there will be more.
        assert_eq!(blamed(&own, &[(20, 0), (20, 0), (2, 0), (2, 0)]), None);
        // It has nothing to do at all: then one's own past counts.
        assert_eq!(
            blamed(&own, &[(0, 0), (0, 0), (0, 0), (0, 0)]),
            Some((8, 8))
        );
    }

    #[test]
    fn what_fails_half_the_time_shows_over_the_whole_window() {
        let own: Vec<(u32, u32)> = (0..20).map(|_| (2, 1)).collect();
        let sibling: Vec<(u32, u32)> = (0..20).map(|_| (2, 0)).collect();
        assert_eq!(blamed(&own, &sibling), Some((40, 20)));
    }
}
