//! When failures are a backend's own, and when a pool has turned bad as a whole.

use super::*;

/// Entries a [`GRAIN`] apart, each `(requests, failures)`, the last one now.
fn live(entries: &[(u32, u32)]) -> (Live, Instant) {
    live_with(entries, false)
}

/// The same; the failures are server errors.
fn erring(entries: &[(u32, u32)]) -> Live {
    live_with(entries, true).0
}

fn live_with(entries: &[(u32, u32)], server_errors: bool) -> (Live, Instant) {
    let mut now = Instant::now();
    let mut live = Live::default();
    for (requests, failures) in entries {
        now += GRAIN;
        let tally = Tally {
            requests: *requests,
            failures: *failures,
            server_errors: if server_errors { *failures } else { 0 },
            ..Tally::default()
        };
        live.add(tally, now);
    }
    (live, now)
}

fn blamed(own: &[(u32, u32)], sibling: &[(u32, u32)]) -> Option<(u32, u32)> {
    let own = live(own).0;
    let sibling = meanwhile(&own, live(sibling).0);
    let stretch = blame(&own, std::iter::once(&sibling))?;
    Some((stretch.tally.requests, stretch.tally.failures))
}

/// Both were counted at the same times.
fn meanwhile(own: &Live, sibling: Live) -> Live {
    Live {
        recent: own
            .recent
            .iter()
            .zip(&sibling.recent)
            .map(|((at, _), (_, tally))| (*at, *tally))
            .collect(),
        ..sibling
    }
}

#[test]
fn a_good_past_does_not_hide_young_trouble() {
    let (one, now) = live(&[(50, 0), (50, 1), (50, 0), (3, 3), (3, 3)]);
    let stretch = one.turned_bad(|_| true).expect("six in a row");
    assert_eq!(
        stretch.describe(now),
        "6 of 6 live requests failed within 0.2 s"
    );
    assert!(live(&[(50, 0), (5, 5)]).0.turned_bad(|_| true).is_none());
    assert!(live(&[(50, 0), (10, 7)]).0.turned_bad(|_| true).is_none());
    assert!(
        live(&[(50, 0), (5, 5), (5, 3)])
            .0
            .turned_bad(|_| true)
            .is_some()
    );
}

#[test]
fn without_a_good_past_nobody_has_turned_bad() {
    assert!(live(&[(9, 9), (9, 9)]).0.turned_bad(|_| true).is_none());
    assert!(live(&[(50, 20), (9, 9)]).0.turned_bad(|_| true).is_none());
    assert!(live(&[(50, 20), (9, 9)]).0.is_bad());
}

#[test]
fn who_has_recovered_is_not_bad_any_more() {
    let (one, _) = live(&[(50, 0), (10, 10), (20, 0)]);
    assert!(!one.is_bad());
    assert_eq!(one.turned_bad(|_| true), None);
}

#[test]
fn a_sibling_that_fails_at_the_same_time_excuses_though_it_has_done_well_before() {
    let own = [(20, 0), (20, 0), (4, 4), (4, 4)];
    assert_eq!(
        blamed(&own, &[(20, 0), (20, 0), (4, 0), (4, 0)]),
        Some((8, 8))
    );
    assert_eq!(blamed(&own, &[(20, 0), (20, 0), (4, 4), (4, 4)]), None);
    // A single one at the same time will do, if nothing speaks against it.
    assert_eq!(
        blamed(&own, &[(20, 0), (20, 0), (0, 0), (1, 0)]),
        Some((8, 8))
    );
    assert_eq!(blamed(&own, &[(20, 0), (20, 0), (0, 0), (1, 1)]), None);
    assert_eq!(
        blamed(&own, &[(20, 0), (20, 0), (0, 0), (0, 0)]),
        None,
        "soon there will be one"
    );
    let own = [(20, 0), (20, 0), (4, 4), (4, 4), (4, 4)];
    let sibling = [(20, 0), (20, 0), (0, 0), (0, 0), (0, 0)];
    assert_eq!(
        blamed(&own, &sibling),
        Some((12, 12)),
        "it draws all requests, so that there never will be one"
    );
    // It has nothing to do at all: then one's own past counts.
    assert_eq!(
        blamed(&own, &[(0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]),
        Some((12, 12))
    );
}

#[test]
fn server_errors_alone_are_judged_by_comparison_only() {
    let (past, bad) = ((50, 0), (6, 6));
    let idle = Live::default();
    let judged = |live: &Live| blame(live, std::iter::once(&idle)).is_some();
    assert!(judged(&live(&[past, bad]).0), "cut, stalled, no HTTP");
    assert!(!judged(&erring(&[past, bad])), "one bad URL?");
    assert!(!judged(&erring(&[past, bad, bad, bad, bad])));
    let one = erring(&[past, bad]);
    let well = meanwhile(&one, live(&[past, (6, 0)]).0);
    assert!(blame(&one, std::iter::once(&well)).is_some());
    // Half of them broke off: that will do.
    let mut mixed = live(&[past, bad]).0;
    let now = mixed.recent.back().unwrap().0;
    mixed.recent.extend(
        erring(&[(6, 6)])
            .recent
            .iter()
            .map(|(_, tally)| (now + GRAIN, *tally)),
    );
    assert!(judged(&mixed));
}

#[test]
fn a_pool_is_bad_when_each_of_its_backends_does_its_part() {
    let (busy, quiet) = (
        live(&[(50, 0), (50, 0), (4, 4)]).0,
        live(&[(0, 0), (1, 0), (2, 2)]).0,
    );
    for each in [true, false] {
        let bad = all_bad(&[&busy, &quiet], each).expect("both are bad now");
        assert_eq!((bad.tally.requests, bad.tally.failures), (6, 6));
        let well = live(&[(50, 0), (50, 0), (6, 0)]).0;
        assert_eq!(all_bad(&[&busy, &well], each), None);
        assert_eq!(all_bad(&[&busy], each), None, "four requests say nothing");
        let one = live(&[(9, 9)]).0;
        assert!(all_bad(&[&one], each).is_some(), "whatever was before");
        assert_eq!(all_bad(&[], each), None);
    }
    let (all, none) = (live(&[(9, 9)]).0, live(&[(0, 0)]).0);
    assert!(all_bad(&[&all, &none], false).is_some());
    assert_eq!(all_bad(&[&all, &none], true), None, "one of them is idle");
}

fn share(failures: u32, requests: u32) -> TrialTally {
    TrialTally { requests, failures }
}

#[test]
fn a_standby_is_better_only_if_it_does_well_what_the_active_zone_fails() {
    let rows = [
        ((3, 3), (0, 4), 0, Trial::Better),
        ((4, 4), (0, 3), 0, Trial::Open),
        ((2, 2), (0, 9), 0, Trial::Open),
        ((4, 5), (0, 9), 0, Trial::Open),
        ((9, 9), (1, 11), 0, Trial::Open),
        ((10, 10), (1, 11), 0, Trial::Better),
        ((10, 20), (1, 19), 0, Trial::Open),
        ((10, 20), (1, 20), 0, Trial::Better),
        ((10, 21), (0, 21), 0, Trial::Open),
        ((4, 4), (4, 8), 0, Trial::Alike),
        ((0, 0), (4, 4), 0, Trial::Alike),
        ((0, 9), (0, 40), 0, Trial::Unclear),
        ((20, 20), (5, 40), 0, Trial::Unclear),
        // The second time, the third ... and for ever after.
        ((7, 7), (0, 7), 1, Trial::Open),
        ((6, 6), (0, 8), 1, Trial::Better),
        ((8, 8), (0, 12), 2, Trial::Open),
        ((12, 12), (0, 16), 30, Trial::Better),
    ];
    for (here, there, before, expected) in rows {
        let found = compare(share(here.0, here.1), share(there.0, there.1), before);
        assert_eq!(found, expected, "{here:?} {there:?} {before}");
    }
}

/// Whatever share of the requests fails, if it is the same in both zones, and so large that there is a trial.
#[test]
fn what_fails_alike_hardly_ever_seems_better() {
    let mut random = 7_u64;
    let mut fails = |percent: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::from((random >> 33) % 100 < percent)
    };
    for percent in (50..=100).step_by(5) {
        let mut better = 0;
        for _ in 0..20_000 {
            let (mut here, mut there) = (TrialTally::default(), TrialTally::default());
            let found = loop {
                there.add(share(fails(percent), 1));
                here.add(share(fails(percent), 1));
                match compare(here, there, 0) {
                    Trial::Open => {}
                    found => break found,
                }
            };
            better += usize::from(found == Trial::Better);
        }
        assert!(better < 200, "{percent} %: {better} of 20,000");
    }
}

#[test]
fn what_fails_half_the_time_shows_over_the_whole_window() {
    let own: Vec<(u32, u32)> = (0..20).map(|_| (2, 1)).collect();
    let sibling: Vec<(u32, u32)> = (0..20).map(|_| (2, 0)).collect();
    assert_eq!(blamed(&own, &sibling), Some((40, 20)));
}
