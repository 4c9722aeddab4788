//! Which backend of the active zone gets the next attempt. Pure: load, weights and randomness come in.

use crate::config::Balance;

/// What a choice is made by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// At least 1.
    pub(crate) weight: u32,
    /// Requests of this worker in flight there.
    pub(crate) in_flight: u32,
    /// Its usual time to the response head, in microseconds, faded towards 0 while it isn't used.
    pub(crate) latency_us: f32,
}

/// Differences below this are the scheduler's and the caches', not the backends': whoever was asked last would be the quicker one,
/// and be asked again. Also what a backend costs that has never answered, so that its in-flight requests count.
const LEAST_LATENCY_US: f32 = 1000.0;

/// Picks one of `candidates` (an index), or `None` if there is none. `random` is uniform over all of `u64`; `turn` is the state
/// of round robin, of one worker and pool.
pub(crate) fn pick(
    balance: Balance,
    candidates: &[Candidate],
    random: u64,
    turn: &mut u64,
) -> Option<usize> {
    match candidates {
        [] => None,
        [_] => Some(0),
        _ => Some(match balance {
            Balance::LeastLoaded => least_loaded_of_two(candidates, random),
            Balance::RoundRobin => in_turn(candidates, turn),
        }),
    }
}

/// Two random choices, by weight; the less loaded one wins. Unlike the least loaded of all, this doesn't send the whole herd
/// to a backend that has just come up (Mitzenmacher 2001, "The power of two choices").
///
/// Wins the more surely, the more the other one would cost: certainly from half as much again. Were a hair's breadth enough, of two
/// equal backends with nothing to do the one that happened to be quicker would get nearly everything, and the other one would
/// be cold and unproven when it is needed.
fn least_loaded_of_two(candidates: &[Candidate], random: u64) -> usize {
    let total: u64 = candidates.iter().map(|c| u64::from(c.weight)).sum();
    let first = at_weight(candidates, (random & 0xffff_ffff) % total, None);
    let rest = total - u64::from(candidates[first].weight);
    let second = at_weight(candidates, (random >> 32) % rest, Some(first));
    let dearer = cost(candidates[first]) / cost(candidates[second]) - 1.0;
    if dearer * 2.0 > chance(random) {
        second
    } else {
        first
    }
}

/// A third number out of `random`, from 0 to 1: Fibonacci hashing, since its plain bits are those that chose the two.
fn chance(random: u64) -> f32 {
    let bits = random.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit exactly")]
    let bits = bits as f32;
    bits / 16_777_216.0
}

/// The candidate at `position` of the weights laid end to end, leaving out `skip`.
fn at_weight(candidates: &[Candidate], mut position: u64, skip: Option<usize>) -> usize {
    for (index, candidate) in candidates.iter().enumerate() {
        if Some(index) == skip {
            continue;
        }
        let weight = u64::from(candidate.weight);
        if position < weight {
            return index;
        }
        position -= weight;
    }
    usize::from(skip == Some(0))
}

/// What one more request would cost there: its own time, and that of those in flight, who share the backend by its weight. The weight
/// doesn't divide the request's own time: the choice of the two has counted it already, and with nothing in flight a heavy
/// backend would get everything instead of its share.
fn cost(candidate: Candidate) -> f32 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a comparison of loads, not an account"
    )]
    let (in_flight, weight) = (candidate.in_flight as f32, candidate.weight.max(1) as f32);
    (in_flight / weight + 1.0) * candidate.latency_us.max(LEAST_LATENCY_US)
}

/// By weight, in turn: the weights laid end to end, one step of the way a request.
fn in_turn(candidates: &[Candidate], turn: &mut u64) -> usize {
    let total: u64 = candidates.iter().map(|c| u64::from(c.weight)).sum();
    let position = *turn % total;
    *turn = turn.wrapping_add(1);
    // Golden-ratio stepping spreads a heavy backend's turns instead of bunching them.
    if candidates.iter().all(|c| c.weight == candidates[0].weight) {
        return usize::try_from(position).unwrap_or(0) % candidates.len();
    }
    at_weight(candidates, spread(position, total), None)
}

/// A fixed permutation of `0..total` that keeps neighbours apart.
fn spread(position: u64, total: u64) -> u64 {
    let mut step = (total as u128 * 618 / 1000) as u64;
    step = step.max(1);
    while gcd(step, total) != 1 {
        step += 1;
    }
    (position * step) % total
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What part of its usual share of the requests, in thousandths, a backend gets that has been up for `age`: from a tenth
/// (Envoy's `min_weight_percent`) evenly to all of it. Both in milliseconds; without a `slow_start`, all of it.
pub(crate) fn part(age: u64, slow_start: u64) -> u64 {
    const LEAST: u64 = WHOLE / 10;
    if age >= slow_start {
        return WHOLE;
    }
    LEAST + (WHOLE - LEAST) * age / slow_start
}

/// All of the usual share, in thousandths.
pub(crate) const WHOLE: u64 = 1000;

/// Whether a candidate with this `part` sits a pick out in which the largest one is `most`: where all are equally new, nobody
/// does. `random` is uniform over all of `u64`.
///
/// Not a smaller weight instead: in the choice of two by load, with few requests in flight, it would lose every comparison
/// until it is nearly as heavy as the others, and then get half of all requests at once.
pub(crate) fn sits_out(part: u64, most: u64, random: u64) -> bool {
    random % most.max(1) >= part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(weight: u32, in_flight: u32, latency_us: f32) -> Candidate {
        Candidate {
            weight,
            in_flight,
            latency_us,
        }
    }

    fn counts(balance: Balance, candidates: &[Candidate], picks: u64) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut turn = 0;
        let mut counts = vec![0; candidates.len()];
        for _ in 0..picks {
            let picked = pick(balance, candidates, random.u64(..), &mut turn);
            counts[picked.expect("candidates")] += 1;
        }
        counts
    }

    #[test]
    fn nothing_to_pick_from_picks_nothing() {
        assert_eq!(pick(Balance::LeastLoaded, &[], 1, &mut 0), None);
    }

    #[test]
    fn of_two_the_one_with_fewer_requests_in_flight_wins() {
        let two = [candidate(1, 9, 500.0), candidate(1, 0, 500.0)];
        assert_eq!(counts(Balance::LeastLoaded, &two, 1000), [0, 1000]);
    }

    #[test]
    fn of_two_equally_busy_ones_the_faster_wins() {
        let two = [candidate(1, 3, 9000.0), candidate(1, 3, 3000.0)];
        assert_eq!(counts(Balance::LeastLoaded, &two, 1000), [0, 1000]);
    }

    #[test]
    fn the_slightly_slower_one_keeps_a_part_that_shrinks_evenly() {
        let share = |slower: f32| {
            let two = [candidate(1, 0, 5000.0 * slower), candidate(1, 0, 5000.0)];
            counts(Balance::LeastLoaded, &two, 10_000)[0]
        };
        for (slower, expected) in [
            (1.0, 5000),
            (1.1, 4000),
            (1.25, 2500),
            (1.4, 1000),
            (1.5, 0),
        ] {
            let share = share(slower);
            assert!(share.abs_diff(expected) < 200, "{slower}: {share}");
        }
    }

    #[test]
    fn with_nothing_in_flight_requests_follow_the_weights() {
        let two = [candidate(1, 0, 500.0), candidate(3, 0, 500.0)];
        let light = counts(Balance::LeastLoaded, &two, 10_000)[0];
        assert!(light.abs_diff(2500) < 200, "{light}");
    }

    #[test]
    fn a_heavy_backend_carries_more_in_flight_before_the_other_one_is_taken() {
        let two = [candidate(1, 2, 500.0), candidate(4, 3, 500.0)];
        assert_eq!(counts(Balance::LeastLoaded, &two, 1000), [0, 1000]);
        let two = [candidate(1, 0, 500.0), candidate(4, 3, 500.0)];
        assert_eq!(counts(Balance::LeastLoaded, &two, 1000), [1000, 0]);
    }

    #[test]
    fn equals_share_equally() {
        let three = [candidate(1, 0, 0.0); 3];
        for count in counts(Balance::LeastLoaded, &three, 9000) {
            assert!((2700..3300).contains(&count), "{count}");
        }
    }

    #[test]
    fn round_robin_follows_the_weights_exactly() {
        let three = [
            candidate(1, 0, 0.0),
            candidate(2, 0, 0.0),
            candidate(5, 0, 0.0),
        ];
        assert_eq!(counts(Balance::RoundRobin, &three, 800), [100, 200, 500]);
    }

    #[test]
    fn a_slow_start_grows_evenly_from_a_tenth_to_the_whole() {
        assert_eq!(
            [0, 5_000, 15_000, 30_000].map(|age| part(age, 30_000)),
            [100, 250, 550, WHOLE]
        );
        assert_eq!(part(0, 0), WHOLE);
        assert_eq!(part(u64::MAX, 30_000), WHOLE);
        let all: Vec<u64> = (0..30_000).map(|age| part(age, 30_000)).collect();
        assert!(all.is_sorted());
    }

    /// The shares of requests, in thousandths, of backends that have come up for so many thousandths.
    fn shares(balance: Balance, parts: &[u64]) -> Vec<u64> {
        const PICKS: u64 = 40_000;
        let mut random = fastrand::Rng::with_seed(11);
        let mut turn = 0;
        let mut counts = vec![0; parts.len()];
        let most = *parts.iter().max().expect("parts");
        for _ in 0..PICKS {
            let there: Vec<usize> = (0..parts.len())
                .filter(|at| !sits_out(parts[*at], most, random.u64(..)))
                .collect();
            let candidates = vec![candidate(1, 0, 0.0); there.len()];
            let picked = pick(balance, &candidates, random.u64(..), &mut turn);
            counts[there[picked.expect("the newest ones alone sit out")]] += 1;
        }
        counts.iter().map(|count| count * 1000 / PICKS).collect()
    }

    #[test]
    fn a_newcomer_gets_its_part_of_a_share_by_either_balance() {
        for balance in [Balance::LeastLoaded, Balance::RoundRobin] {
            for (parts, expected) in [
                (vec![WHOLE, 100], vec![950, 50]),
                (vec![WHOLE, 500], vec![750, 250]),
                (vec![WHOLE, WHOLE, 300], vec![450, 450, 100]),
                // As new as each other, however new.
                (vec![100, 100], vec![500, 500]),
                (vec![400, 400, 100], vec![458, 458, 83]),
            ] {
                for (share, expected) in shares(balance, &parts).into_iter().zip(expected) {
                    assert!(
                        share.abs_diff(expected) < 15,
                        "{balance:?} {parts:?}: {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_oldest_never_sits_out() {
        let mut random = fastrand::Rng::with_seed(3);
        for part in [1, 100, 333, 999, WHOLE] {
            assert!((0..1000).all(|_| !sits_out(part, part, random.u64(..))));
            assert!(!sits_out(part, part, u64::MAX));
        }
    }

    #[test]
    fn round_robin_does_not_bunch_a_heavy_backend() {
        let two = [
            candidate(4, 0, 0.0),
            candidate(4, 0, 0.0),
            candidate(8, 0, 0.0),
        ];
        let mut turn = 0;
        let picks: Vec<_> = (0..16)
            .filter_map(|_| pick(Balance::RoundRobin, &two, 0, &mut turn))
            .collect();
        let longest = picks
            .chunk_by(|a, b| a == b)
            .map(<[usize]>::len)
            .max()
            .expect("picks");
        assert!(longest <= 2, "{picks:?}");
    }
}
