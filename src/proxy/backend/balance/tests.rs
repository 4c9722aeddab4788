//! Shares, and how they follow what is learned.

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
    let two = [candidate(1, 3, 90_000.0), candidate(1, 3, 30_000.0)];
    assert_eq!(counts(Balance::LeastLoaded, &two, 1000), [0, 1000]);
}

#[test]
fn the_slightly_slower_one_keeps_a_part_that_shrinks_evenly() {
    let share = |slower: f32| {
        let two = [
            candidate(1, 0, 50_000.0 * slower),
            candidate(1, 0, 50_000.0),
        ];
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
fn how_quick_the_quick_ones_are_changes_no_share() {
    for weights in [(1, 1), (1, 3), (5, 2)] {
        for quicker in [0.0, 200.0, 3000.0, 9900.0] {
            for load in [0, 1, 7] {
                let (one, other) = weights;
                let two = [
                    candidate(one, load * one, 9900.0),
                    candidate(other, load * other, quicker),
                ];
                let share = counts(Balance::LeastLoaded, &two, 10_000)[0];
                let expected = u64::from(10_000 * one / (one + other));
                assert!(share.abs_diff(expected) < 200, "{two:?}: {share}");
            }
        }
    }
}

/// Two backends that are asked one request after the other, `pause` milliseconds apart; `took` says for how many microseconds
/// one of them takes that has answered so often. Which one was asked, and when.
fn one_after_the_other(
    requests: u64,
    pause: u64,
    took: impl Fn(usize, u64) -> f32,
) -> Vec<(usize, u64)> {
    let mut random = fastrand::Rng::with_seed(5);
    let (mut latency, mut answered, mut count) = ([0.0; 2], [0; 2], [0; 2]);
    let mut now = 1000;
    let asked = (0..requests).map(|_| {
        now += pause;
        let candidates = [0, 1].map(|at| candidate(1, 0, faded(latency[at], now - answered[at])));
        let picked = pick(Balance::LeastLoaded, &candidates, random.u64(..), &mut 0);
        let at = picked.expect("candidates");
        let took = took(at, count[at]);
        let asked_at = now;
        count[at] += 1;
        now += (took / 1000.0) as u64;
        latency[at] = learned(latency[at], took, now - answered[at]);
        answered[at] = now;
        (at, asked_at)
    });
    asked.collect()
}

#[test]
fn a_cold_first_answer_costs_an_equal_nothing() {
    let asked = one_after_the_other(100, 1, |at, count| match (at, count) {
        (0, 0) => 50_000.0,
        (_, 0) => 9000.0,
        _ => 200.0,
    });
    let first = asked.iter().filter(|(at, _)| *at == 0).count();
    assert!((30..=70).contains(&first), "{first}");
}

#[test]
fn one_slow_answer_costs_seconds() {
    for pause in [1, 50, 1000] {
        for slow in [0, 20] {
            for (took, most) in [(300_000.0, 10_000), (3_000_000.0, 16_000)] {
                let asked = one_after_the_other(100_000 / pause, pause, |at, count| {
                    if (at, count) == (0, slow) {
                        took
                    } else {
                        200.0
                    }
                });
                let times = asked.iter().filter(|(at, _)| *at == 0).map(|(_, now)| *now);
                let times: Vec<u64> = times.collect();
                let slow = slow as usize;
                let starved = times[slow + 1] - times[slow];
                assert!(starved < most, "{pause} {slow} {took}: {starved}");
                // And then it is an equal again.
                let later = times[slow] + 2 * most;
                let asked = asked.iter().filter(|(_, now)| *now > later);
                let (first, all) = asked.fold((0, 0), |(first, all), (at, _)| {
                    (first + u64::from(*at == 0), all + 1)
                });
                assert!(
                    (all * 3 / 10..=all * 7 / 10).contains(&first),
                    "{pause}: {first} of {all}"
                );
            }
        }
    }
}

#[test]
fn a_slow_one_that_stays_slow_gets_much_less() {
    for (pause, most) in [(1, 10), (50, 20), (1000, 200)] {
        let asked = one_after_the_other(
            10_000,
            pause,
            |at, _| {
                if at == 0 { 200_000.0 } else { 5000.0 }
            },
        );
        let slow = asked.iter().filter(|(at, _)| *at == 0).count() / 10;
        assert!(slow <= most, "{pause}: {slow} of 1000");
    }
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
