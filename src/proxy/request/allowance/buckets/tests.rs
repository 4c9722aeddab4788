use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn rate(interval: u64, burst: u32) -> Rate {
    Rate {
        interval: Duration::from_micros(interval),
        burst: NonZeroU32::new(burst).expect("some"),
    }
}

/// How many of `count` are let through at `now`.
fn through(buckets: &Buckets, hash: u64, rate: Rate, now: u64, count: usize) -> usize {
    (0..count)
        .filter(|_| buckets.take(hash, rate, now).is_ok())
        .count()
}

#[test]
fn a_burst_goes_through_at_once_and_then_one_an_interval() {
    let buckets = Buckets::new();
    let rate = rate(1000, 5);
    assert_eq!(through(&buckets, 7, rate, 10_000, 9), 5);
    assert_eq!(buckets.take(7, rate, 10_000), Err(1000));
    assert_eq!(buckets.take(7, rate, 10_600), Err(400));
    assert_eq!(through(&buckets, 7, rate, 11_000, 9), 1);
    assert_eq!(through(&buckets, 7, rate, 13_500, 9), 2);
    // After a pause the whole burst, and no more.
    assert_eq!(through(&buckets, 7, rate, 1_000_000, 9), 5);
    // Nobody else has paid for it.
    assert_eq!(through(&buckets, 8 << TIME_BITS, rate, 1_000_000, 9), 5);
}

#[test]
fn a_client_at_its_limit_stays_there_however_many_addresses_come() {
    let buckets = Buckets::new();
    let seed = RandomState::new();
    let rate = rate(1_000_000, 100);
    let abuser = seed.hash_one("the abuser");
    let now = 50;
    assert_eq!(through(&buckets, abuser, rate, now, 200), 100);
    let refused = (0..1_000_000_u32)
        .filter(|address| buckets.take(seed.hash_one(address), rate, now).is_err())
        .count();
    // Another million addresses are another million clients; none of them has used up anything, and none is refused.
    assert_eq!(refused, 0);
    assert_eq!(through(&buckets, abuser, rate, now, 10), 0);
    assert_eq!(size_of_val(&*buckets.0), 1 << 20);
}

/// An attacker who would wash one client's debt away has to owe more with eight others of its line, which only a hash that it
/// doesn't know could tell it.
#[test]
fn who_owes_least_gives_way() {
    let buckets = Buckets::new();
    let rate = rate(1000, 100);
    let client = |number: u64| number << TIME_BITS;
    for number in 1..=8 {
        through(
            &buckets,
            client(number),
            rate,
            0,
            10 * usize::try_from(number).expect("small"),
        );
    }
    // The ninth of the line takes the place of the first, which owed 10.
    assert_eq!(through(&buckets, client(9), rate, 0, 1), 1);
    assert_eq!(through(&buckets, client(2), rate, 0, 100), 80);
    assert_eq!(through(&buckets, client(8), rate, 0, 100), 20);
    assert_eq!(through(&buckets, client(1), rate, 0, 200), 100);
}

#[test]
fn time_may_go_round() {
    let buckets = Buckets::new();
    let rate = rate(1000, 5);
    for turn in [TIME - 2500, TIME / 2 * 3, 2 * TIME - 4000, TIME / 2 * 9] {
        assert_eq!(
            through(&buckets, 7 << TIME_BITS, rate, turn, 9),
            5,
            "{turn}"
        );
        assert_eq!(
            through(&buckets, 7 << TIME_BITS, rate, turn + 5000, 9),
            5,
            "{turn}"
        );
    }
}

#[test]
fn a_debt_under_an_older_rate_is_a_burst_of_the_new_one() {
    let buckets = Buckets::new();
    through(&buckets, 7, rate(60_000_000, 100), 0, 100);
    assert_eq!(buckets.take(7, rate(1000, 5), 50), Err(1000));
    assert_eq!(buckets.take(7, rate(1000, 5), 950), Err(100));
    assert_eq!(through(&buckets, 7, rate(1000, 5), 3050, 9), 3);
}

#[test]
fn workers_whose_clocks_differ_a_little_refuse_all_the_same() {
    let buckets = Buckets::new();
    assert_eq!(through(&buckets, 7, rate(1000, 5), 60_000, 9), 5);
    assert_eq!(through(&buckets, 7, rate(1000, 5), 10_000, 9), 0);
    assert_eq!(through(&buckets, 7, rate(1000, 5), 59_900, 9), 0);
    assert_eq!(through(&buckets, 7, rate(1000, 5), 61_100, 9), 1);
}

#[test]
fn workers_that_count_the_same_client_let_no_more_through_together() {
    let buckets = Arc::new(Buckets::new());
    let rate = rate(1000, 5000);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let buckets = Arc::clone(&buckets);
            std::thread::spawn(move || through(&buckets, 7, rate, 9, 3000))
        })
        .collect();
    let all: usize = workers
        .into_iter()
        .map(|w| w.join().expect("it ends"))
        .sum();
    assert_eq!(all, 5000);
}

proptest! {
    /// Whatever the client's timing: never more than the burst and one an interval.
    #[test]
    fn nobody_gets_more_than_the_rate(
        pauses in proptest::collection::vec(0_u64..5000, 1..200), interval in 100_u64..5000, burst in 1_u32..20, start in 0..u64::MAX / 2,
    ) {
        let buckets = Buckets::new();
        let mut now = start;
        let mut let_through: Vec<u64> = Vec::new();
        for pause in pauses {
            now += pause;
            if buckets.take(3, rate(interval, burst), now).is_ok() {
                let_through.push(now);
            }
        }
        for (at, from) in let_through.iter().enumerate() {
            for (count, to) in (1_u64..).zip(&let_through[at..]) {
                prop_assert!(count <= u64::from(burst) + (to - from) / interval);
            }
        }
    }

    /// Who keeps to the rate is never refused, and who comes back when told to isn't either.
    #[test]
    fn the_well_behaved_are_never_refused(
        pauses in proptest::collection::vec(0_u64..3000, 1..100), interval in 100_u64..5000, burst in 1_u32..20,
    ) {
        let (steady, told) = (Buckets::new(), Buckets::new());
        let (mut now, mut back) = (0, 0);
        for pause in pauses {
            now += interval + pause;
            prop_assert_eq!(steady.take(3, rate(interval, burst), now), Ok(()));
            if let Err(wait) = told.take(3, rate(interval, burst), back) {
                prop_assert!(wait <= interval);
                back += wait;
                prop_assert_eq!(told.take(3, rate(interval, burst), back), Ok(()));
            }
        }
    }
}
