//! When failures are a backend's own, and when a pool has turned bad as a whole.

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
    assert!(live(&[(50, 20), (9, 9)]).0.is_bad());
}

#[test]
fn who_has_recovered_is_not_bad_any_more() {
    let (one, _) = live(&[(50, 0), (10, 10), (20, 0)]);
    assert!(!one.is_bad());
    assert_eq!(one.turned_bad(), None);
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
fn a_pool_has_the_past_of_all_its_backends_together() {
    let (busy, quiet) = (
        live(&[(50, 0), (50, 0), (6, 6)]).0,
        live(&[(0, 0), (1, 0), (6, 6)]).0,
    );
    assert!(quiet.turned_bad().is_none(), "it had done nothing before");
    let turned = all_turned_bad(&[&busy, &quiet]).expect("both are bad now");
    assert_eq!((turned.tally.requests, turned.tally.failures), (13, 12));
    let well = live(&[(50, 0), (50, 0), (6, 0)]).0;
    assert_eq!(all_turned_bad(&[&busy, &well]), None);
    assert_eq!(
        all_turned_bad(&[&quiet, &quiet]),
        None,
        "nobody did well before"
    );
    assert_eq!(all_turned_bad(&[]), None);
}

#[test]
fn what_fails_half_the_time_shows_over_the_whole_window() {
    let own: Vec<(u32, u32)> = (0..20).map(|_| (2, 1)).collect();
    let sibling: Vec<(u32, u32)> = (0..20).map(|_| (2, 0)).collect();
    assert_eq!(blamed(&own, &sibling), Some((40, 20)));
}
