//! A pool that is gray as a whole, and whether a standby does better.

use firedoor::outcome::{Tally, TrialTally};
use firedoor::snapshot::Trial;

use super::*;

const TICK: Duration = Duration::from_millis(100);
/// Requests at once, half of them safe.
const REQUESTS: u32 = 6;

/// A site with two backends in each zone, and what fails there.
struct Site {
    stage: Stage,
    /// Percent of the requests that fail in each zone: safe ones, others.
    fails: [(u32, u32); 2],
    server_errors: bool,
    /// What is asked for at all: safe ones, others.
    asked: (bool, bool),
    random: fastrand::Rng,
    failed: u32,
}

impl Site {
    fn new(seed: u64) -> Self {
        let policy = Failover {
            gray: Gray::FailZone,
            ..failover()
        };
        let mut site = Self {
            stage: running(build(&["fz-1", "fz-2"], &["app-1", "app-2"], policy)),
            fails: [(0, 0); 2],
            server_errors: true,
            asked: (true, true),
            random: fastrand::Rng::with_seed(seed),
            failed: 0,
        };
        site.live(SECOND * 3);
        site
    }

    /// As the data path does it: of safe requests every other one is the standby's while there is a trial.
    fn live(&mut self, time: Duration) {
        let end = self.stage.now.instant + time;
        while self.stage.now.instant < end {
            let routing = self.stage.checker.routing();
            let active = routing.active;
            let mut tallies = [[Tally::default(); 2]; 2];
            for number in 0..REQUESTS {
                let safe = number % 2 == 0;
                if !(if safe { self.asked.0 } else { self.asked.1 }) {
                    continue;
                }
                let dealt = routing.trial.filter(|_| safe);
                let zone = match dealt {
                    Some(Trial { to, .. }) if number % 4 == 0 => to,
                    _ => active,
                };
                let (safe_fails, other_fails) = self.fails[zone];
                let percent = if safe { safe_fails } else { other_fails };
                let fails = u32::from(self.random.u32(0..100) < percent);
                self.failed += fails;
                let tally = &mut tallies[zone][(number / 2 % 2) as usize];
                tally.requests += 1;
                tally.failures += fails;
                tally.server_errors += if self.server_errors { fails } else { 0 };
                if dealt.is_some() {
                    let more = TrialTally {
                        requests: 1,
                        failures: fails,
                    };
                    tally.trial.add(more);
                }
            }
            for (zone, slots) in tallies.iter().enumerate() {
                for (slot, tally) in slots.iter().enumerate() {
                    if tally.requests > 0 {
                        self.stage.put_tally(zone, slot, *tally);
                    }
                }
            }
            self.stage.pass(TICK);
        }
    }

    fn told(&self, wanted: &str) -> usize {
        self.stage
            .count(|what| matches!(what, What::Withheld { rule, .. } if *rule == wanted))
    }
}

#[test]
fn a_zone_that_cuts_every_answer_is_left_after_a_few_of_them_however_well_it_did_before() {
    for seed in 0..20 {
        let mut site = Site::new(seed);
        site.server_errors = false;
        site.fails[0] = (100, 100);
        while site.stage.active() == "fz-1" {
            site.live(TICK);
            assert!(site.failed < 30, "{} failed", site.failed);
        }
        let flip = site.stage.flips()[0];
        let reason = &flip.reasons[0];
        assert!(reason.contains("gray as a whole"), "{reason}");
        assert!(
            reason
                .contains("live requests dealt out to both zones fz-1 failed 3 of 3, fz-2 0 of 4"),
            "{reason}"
        );
        assert_eq!(site.told("comparison"), 1);
        site.live(SECOND * 60);
        assert_eq!(site.stage.flips().len(), 1);
    }
}

#[test]
fn a_bad_release_in_one_zone_only_is_left_as_well() {
    for percent in [60, 75, 90, 100] {
        let mut site = Site::new(u64::from(percent));
        site.fails[0] = (percent, percent);
        site.live(SECOND * 20);
        assert_eq!(site.stage.active(), "fz-2", "{percent} %");
        site.live(SECOND * 60);
        assert_eq!(site.stage.flips().len(), 1);
    }
}

#[test]
fn a_fault_of_the_application_that_shows_in_every_zone_never_flips() {
    for percent in [60, 80, 100] {
        for server_errors in [true, false] {
            let mut site = Site::new(7);
            site.server_errors = server_errors;
            site.fails = [(percent, percent); 2];
            site.live(SECOND * 300);
            assert_eq!(site.stage.flips().len(), 0, "{percent} %, {server_errors}");
            let told = site.told("same_everywhere");
            assert!((1..=8).contains(&told), "{told} times");
            if percent == 100 {
                let reasons = site.stage.reasons(0).join("; ");
                assert!(reasons.contains("the application's own fault"), "{reasons}");
            }
            // It gets well, and nobody remarks on it any more.
            site.fails = [(0, 0); 2];
            site.live(SECOND * 90);
            assert_eq!(site.stage.reasons(0), [""; 0]);
            assert_eq!(site.stage.checker.routing().trial, None);
        }
    }
}

#[test]
fn one_bad_url_flips_nothing_when_nothing_else_is_asked() {
    for asked in [(true, false), (false, true), (true, true)] {
        let mut site = Site::new(3);
        // It fails wherever it is asked.
        site.fails = [(100, 100); 2];
        site.asked = asked;
        site.live(SECOND * 100);
        assert_eq!(site.stage.flips().len(), 0, "{asked:?}");
        let rule = if asked.0 {
            "same_everywhere"
        } else {
            "comparison"
        };
        assert!(site.told(rule) >= 1, "{asked:?}");
        // A zone that has been excused is not excused for ever.
        site.asked = (true, true);
        site.fails = [(100, 100), (0, 0)];
        site.live(SECOND * 80);
        assert_eq!(site.stage.active(), "fz-2", "{asked:?}");
    }
}

/// A database that has become read-only in both zones: no safe request knows of it.
#[test]
fn what_only_unsafe_requests_know_of_proves_nothing() {
    let mut site = Site::new(5);
    site.fails = [(0, 100); 2];
    site.live(SECOND * 200);
    assert_eq!(site.stage.flips().len(), 0);
    assert_eq!(
        site.told("same_everywhere"),
        0,
        "nor that all zones are alike"
    );
}

#[test]
fn a_standby_that_turns_out_as_bad_is_not_left_for_the_first_zone_again() {
    let mut site = Site::new(11);
    site.fails[0] = (100, 100);
    site.live(SECOND * 2);
    assert_eq!(site.stage.active(), "fz-2");
    site.fails[1] = (100, 100);
    site.live(SECOND * 300);
    assert_eq!(site.stage.flips().len(), 1);
    assert!(site.told("same_everywhere") >= 1);
}

#[test]
fn nobody_is_put_on_trial_where_nothing_could_come_of_it() {
    let mut site = Site::new(1);
    site.stage.break_("fz-2:postgres");
    site.stage.settle();
    site.fails[0] = (100, 100);
    site.live(SECOND * 5);
    assert_eq!(site.stage.checker.routing().trial, None, "no standby");
    site.stage.heal("fz-2:postgres");
    site.stage.settle();
    site.asked.0 = false;
    site.live(SECOND * 2);
    assert_eq!(
        site.stage.checker.routing().trial,
        Some(Trial { pool: 0, to: 1 })
    );
    let reasons = site.stage.reasons(0).join("; ");
    assert!(
        reasons.contains("fz-2 is asked whether it does better"),
        "{reasons}"
    );
    site.stage.break_("fz-2:app-1");
    site.stage.settle();
    assert_eq!(
        site.stage.checker.routing().trial,
        None,
        "it has gone meanwhile"
    );
    assert_eq!(site.stage.reasons(0), [""; 0]);
    let mut config = build(&["fz-1", "fz-2"], &["app-1", "app-2"], failover());
    config.failover.gray = Gray::Eject;
    site.stage.heal("fz-2:app-1");
    site.stage.settle();
    site.live(SECOND);
    assert!(site.stage.checker.routing().trial.is_some());
    site.stage.reload(config);
    assert_eq!(
        site.stage.checker.routing().trial,
        None,
        "not wanted any more"
    );
    site.live(SECOND * 20);
    assert_eq!(site.stage.flips().len(), 0);
}
