//! How long something took, many times: counted in bins, so that neither its memory nor a look at it grows with the number.

use std::time::Duration;

use crate::telemetry::counters::Counter;

/// The upper ends of all bins but the last, in microseconds: up to 10 s each is at most half as much again as the one before, so that a quantile
/// is told well enough. What is shown by ([`Spread::OF_REQUESTS`] and the others) is among them.
const ENDS: [u64; 38] = [
    100, 150, 200, 250, 350, 500, 750, //
    1_000, 1_500, 2_000, 2_500, 3_500, 5_000, 7_500, //
    10_000, 15_000, 20_000, 25_000, 35_000, 50_000, 75_000, //
    100_000, 150_000, 200_000, 250_000, 350_000, 500_000, 750_000, //
    1_000_000, 1_500_000, 2_000_000, 2_500_000, 3_500_000, 5_000_000, 7_500_000, //
    10_000_000, 30_000_000, 60_000_000,
];

const BINS: usize = ENDS.len() + 1;

/// One worker's counts.
#[derive(Debug)]
pub(super) struct Bins {
    bins: [Counter; BINS],
    micros: Counter,
}

/// What has been counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    bins: [u64; BINS],
    micros: u64,
}

impl Default for Bins {
    fn default() -> Self {
        Self {
            bins: std::array::from_fn(|_| Counter::default()),
            micros: Counter::default(),
        }
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            bins: [0; BINS],
            micros: 0,
        }
    }
}

/// In which bin it belongs: an end belongs to its own bin. Looked up by the number's length in bits, since of each length there are three bins
/// at most: a search through all of them would cost every request more than all the rest of its counting.
fn bin(micros: u64) -> usize {
    let mut at = FIRST[(u64::BITS - micros.leading_zeros()) as usize];
    while ENDS.get(at).is_some_and(|end| *end < micros) {
        at += 1;
    }
    at
}

/// The bin of the smallest number of each length in bits.
const FIRST: [usize; u64::BITS as usize + 1] = {
    let mut first = [0; u64::BITS as usize + 1];
    let (mut bits, mut at) = (1, 0);
    while bits < first.len() {
        let smallest = 1 << (bits - 1);
        while at < ENDS.len() && ENDS[at] < smallest {
            at += 1;
        }
        first[bits] = at;
        bits += 1;
    }
    first
};

impl Bins {
    /// By the one worker whose counts these are.
    pub(super) fn count(&self, micros: u64) {
        self.bins[bin(micros)].add(1);
        self.micros.add(micros);
    }

    pub(super) fn add_to(&self, sum: &mut Spread) {
        for (sum, bin) in sum.bins.iter_mut().zip(&self.bins) {
            *sum += bin.read();
        }
        sum.micros += self.micros.read();
    }
}

impl Spread {
    /// The ends that requests' durations are shown by, in microseconds: those of OpenTelemetry's `http.server.request.duration`, and
    /// some below and above, since near backends answer within less than 5 ms.
    pub const OF_REQUESTS: &[u64] = &[
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000,
        750_000, 1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000, 30_000_000, 60_000_000,
    ];
    /// Fewer, for what there are many of and each takes a steady time.
    pub const OF_CHECKS: &[u64] = &[1_000, 5_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000];
    /// For what takes from microseconds to minutes.
    pub const OF_FLIPS: &[u64] = &[
        100, 1_000, 5_000, 25_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 30_000_000, 60_000_000,
    ];

    /// One more.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.bins[bin(micros)] += 1;
        self.micros = self.micros.saturating_add(micros);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// All of their times together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// How many took no longer than each of `ends` and longer than the one before; the last: longer than all of them. `ends` must be some of
    /// those that are counted by.
    pub fn by(&self, ends: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; ends.len() + 1];
        for (at, count) in self.bins.iter().enumerate() {
            let end = ENDS.get(at).copied().unwrap_or(u64::MAX);
            counts[ends.partition_point(|shown| *shown < end)] += count;
        }
        counts
    }

    /// What has been counted since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            bins: std::array::from_fn(|at| self.bins[at].saturating_sub(before.bins[at])),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

    /// With what `other` has counted.
    pub fn add(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.micros = self.micros.saturating_add(other.micros);
    }

    /// The time, in milliseconds, that this part of them (0 to 1) took at most, as if each bin were filled evenly; `None` if nothing was
    /// counted. What took longer than a minute counts as a minute.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a part of a number of requests")]
        let (rank, mut below) = (count as f64 * part, 0.0);
        for (at, filled) in self.bins.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a number of requests")]
            let filled = *filled as f64;
            if filled > 0.0 && below + filled >= rank {
                let from = at.checked_sub(1).map_or(0, |before| ENDS[before]);
                let to = ENDS.get(at).copied().unwrap_or(from);
                #[expect(clippy::cast_precision_loss, reason = "a minute at most")]
                let (from, to) = (from as f64, to as f64);
                let micros = (to - from).mul_add((rank - below) / filled, from);
                return Some(micros / 1e3);
            }
            below += filled;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_rise_and_all_that_is_shown_is_counted_by() {
        assert!(ENDS.is_sorted_by(|a, b| a < b));
        let near = ENDS.windows(2).filter(|pair| pair[1] <= 10_000_000);
        assert!(near.into_iter().all(|pair| pair[1] * 2 <= pair[0] * 3));
        for shown in [Spread::OF_REQUESTS, Spread::OF_CHECKS, Spread::OF_FLIPS] {
            assert!(shown.iter().all(|end| ENDS.contains(end)), "{shown:?}");
            assert!(shown.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn every_time_finds_the_bin_that_a_search_finds() {
        let near = ENDS.iter().flat_map(|end| [end - 1, *end, end + 1]);
        let powers = (0..64).flat_map(|bits| [1 << bits, (1_u64 << bits) - 1]);
        for micros in near.chain(powers).chain([u64::MAX]) {
            let searched = ENDS.partition_point(|end| *end < micros);
            assert_eq!(bin(micros), searched, "{micros}");
        }
    }

    #[test]
    fn a_time_at_an_end_belongs_below_it_and_what_exceeds_all_is_counted_too() {
        let bins = Bins::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001, u64::MAX / 2] {
            bins.count(micros);
        }
        let mut sum = Spread::default();
        bins.add_to(&mut sum);
        let shown = sum.by(Spread::OF_REQUESTS);
        assert_eq!((shown[0], shown[1]), (2, 1));
        assert_eq!((shown[18], shown[19]), (1, 2));
        assert_eq!(shown.iter().sum::<u64>(), sum.count());
        assert_eq!(sum.count(), 6);
    }

    #[test]
    fn quantiles_lie_within_the_bin_where_they_are() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile(0.5), None);
        for _ in 0..98 {
            spread.record(Duration::from_micros(1_200));
        }
        for _ in 0..2 {
            spread.record(Duration::from_millis(300));
        }
        let at = |part| spread.quantile(part).unwrap();
        assert!((1.0..=1.5).contains(&at(0.5)), "{}", at(0.5));
        assert!((250.0..=350.0).contains(&at(0.99)), "{}", at(0.99));
        spread.record(Duration::from_secs(3600));
        assert!((at_most(&spread) - 60_000.0).abs() < 1e-6);
    }

    fn at_most(spread: &Spread) -> f64 {
        spread.quantile(1.0).unwrap()
    }

    #[test]
    fn a_span_is_what_came_between() {
        let mut spread = Spread::default();
        spread.record(Duration::from_millis(5));
        let before = spread.clone();
        spread.record(Duration::from_millis(7));
        let span = spread.since(&before);
        assert_eq!((span.count(), span.sum()), (1, Duration::from_millis(7)));
        let mut both = before;
        both.add(&span);
        assert_eq!(both, spread);
    }
}
