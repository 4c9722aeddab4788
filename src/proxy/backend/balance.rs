//! Which backend of the active zone gets the next attempt. Pure: load, weights and randomness come in.

use crate::config::Balance;

/// What a choice is made by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// At least 1.
    pub(crate) weight: u32,
    /// Requests of this worker in flight there.
    pub(crate) in_flight: u32,
    /// Its usual time to the response head, in microseconds, [`faded`] while it doesn't answer.
    pub(crate) latency_us: f32,
}

/// Differences below this are the scheduler's, the caches' and cold connections', not the backends': by them, of two equals the one
/// that was asked last would be the quicker one and be asked again, and the other one not even to correct what is believed of
/// it. Requests in flight and chance decide there. Also what a backend costs that has never answered.
const LEAST_LATENCY_US: f32 = 10_000.0;
/// How much of what was believed an answer leaves.
const KEPT: f32 = 0.8;
/// In milliseconds. A power of two, so that no division is left.
const HALF_LIFE: f32 = 2048.0;

/// What `latency_us` still counts for in a choice, `age` milliseconds after the last answer: a backend that is believed slow isn't
/// asked, so that nothing but time can correct it. One slow answer costs it seconds.
pub(crate) fn faded(latency_us: f32, age: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a rough age")]
    let age = age as f32;
    latency_us * (-age / HALF_LIFE).exp2()
}

/// The usual latency after an answer that took `took_us`, `age` milliseconds after the one before; 0 before the first.
///
/// A slower answer counts for a fifth however old the others are, and the first one, too: it may be a cold start, or a slow
/// report. What was believed for want of answers yields to a quicker one at once, or the backend would be left alone as long again.
pub(crate) fn learned(latency_us: f32, took_us: f32, age: u64) -> f32 {
    let kept = if took_us < latency_us {
        faded(KEPT, age)
    } else {
        KEPT
    };
    latency_us.mul_add(kept, took_us * (1.0 - kept))
}

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
/// equally slow backends the one that happened to be quicker would get nearly everything, and the other one would be cold and
/// unproven when it is needed.
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
mod tests;
