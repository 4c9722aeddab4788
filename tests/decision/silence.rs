//! Silence hastens once, and ever less as long as the probes find nothing wrong.

use std::time::Instant;

use firedoor::outcome::Silence;
use firedoor::zone::ComponentId;

use super::*;

const TOLD_EVERY: Duration = Duration::from_millis(10);

fn silence() -> Sign {
    Sign::Silence(Silence {
        lasted: Duration::from_millis(104),
        usual: Some(Duration::from_millis(12)),
    })
}

fn hourly() -> Config {
    let zones = ["fz-1", "fz-2"].map(|name| zone(name, &["app-1"], &[]));
    let mut check = check(2, 3);
    check.interval = Duration::from_secs(3600);
    config(&zones, &[ALL], &check, failover())
}

fn app(stage: &Stage) -> ComponentId {
    stage.backend(0, 0).id
}

fn tell(stage: &mut Stage, sign: Sign) {
    let component = app(stage);
    let observation = Observation { component, sign };
    stage.checker.handle_observation(observation, stage.now);
}

/// Lets `time` pass while `sign`, if any, is told again and again. When the app server was probed meanwhile.
fn probed_while_told(stage: &mut Stage, sign: Option<Sign>, time: Duration) -> Vec<Instant> {
    let end = stage.now.instant + time;
    let mut probed = Vec::new();
    while stage.now.instant < end {
        stage.now = stage.now.after(TOLD_EVERY);
        stage.checker.handle_timeout(stage.now);
        if let Some(sign) = sign {
            tell(stage, sign);
        }
        while let Some(probe) = stage.checker.poll_probe() {
            if probe.component == app(stage) {
                probed.push(stage.now.instant);
            }
            stage
                .checker
                .handle_outcome(probe.component, probe.round, example::pass(), stage.now);
        }
    }
    probed
}

/// Whether a probe of the app server is due now.
fn is_asked(stage: &mut Stage) -> bool {
    let component = app(stage);
    let probes = std::iter::from_fn(|| stage.checker.poll_probe());
    let probes: Vec<_> = probes.collect();
    for probe in &probes {
        stage
            .checker
            .handle_outcome(probe.component, probe.round, example::pass(), stage.now);
    }
    probes.iter().any(|probe| probe.component == component)
}

#[test]
fn a_silent_backend_that_fails_its_probes_flips_its_zone_at_once() {
    let mut stage = running(hourly());
    stage.break_("fz-1:app-1");
    tell(&mut stage, silence());
    stage.pass(Duration::from_millis(50));
    assert_eq!(stage.active(), "fz-2");
    let hastened = |what: &What| matches!(what, What::Transition { hastened_by, .. } if *hastened_by == Some(silence()));
    assert_eq!(stage.count(hastened), 1);
    let evidence = &stage.flips()[0].evidence[0];
    assert_eq!(evidence.hastened_by, Some(silence()));
    assert_eq!(
        evidence.hastened_by.unwrap().to_string(),
        "no answer for 104 ms, usually after 12.0 ms"
    );
    // What is up again owes no explanation.
    stage.heal("fz-1:app-1");
    stage.pass(SECOND * 36_000);
    let report = stage.checker.report(stage.now);
    let healed = &report.zones[0].components[0];
    assert_eq!((healed.status, healed.hastened_by), (Status::Up, None));
}

#[test]
fn a_healthy_backend_that_is_silent_for_ever_is_soon_probed_no_more_than_others() {
    let mut stage = running(two_zones());
    let minute = SECOND * 60;
    let usual = probed_while_told(&mut stage, None, minute).len();
    let at_first = probed_while_told(&mut stage, Some(silence()), minute).len();
    assert!(at_first > usual, "it hastens");
    assert!(at_first <= usual + 10, "{at_first} probes, usually {usual}");
    let later = probed_while_told(&mut stage, Some(silence()), minute).len();
    // The probes of silence come after an interval that isn't jittered.
    assert!(
        later.abs_diff(usual) <= 6,
        "{later} probes, usually {usual}"
    );
    assert_eq!(stage.active(), "fz-1");
    assert_eq!(stage.backend(0, 0).status, Status::Up);
}

#[test]
fn however_long_the_interval_silence_is_worth_a_probe_every_ten_seconds() {
    let mut stage = running(hourly());
    probed_while_told(&mut stage, Some(silence()), SECOND * 60);
    let probes = probed_while_told(&mut stage, Some(silence()), SECOND * 300);
    let gaps = probes.windows(2).map(|pair| pair[1] - pair[0]);
    let (short, long) = (SECOND * 10, SECOND * 10 + TOLD_EVERY * 2);
    assert!((29..=31).contains(&probes.len()), "{}", probes.len());
    for gap in gaps {
        assert!((short..=long).contains(&gap), "{gap:?}");
    }
}

#[test]
fn many_that_tell_of_the_same_silence_get_one_probe() {
    let mut stage = running(hourly());
    for _ in 0..64 {
        tell(&mut stage, silence());
    }
    let probe = stage.checker.poll_probe().expect("a probe");
    stage.now = stage.now.after(Duration::from_millis(30));
    // Told while the probe is on its way: it answers these as well.
    for _ in 0..64 {
        tell(&mut stage, silence());
    }
    stage
        .checker
        .handle_outcome(probe.component, probe.round, example::pass(), stage.now);
    assert!(probed_while_told(&mut stage, None, SECOND * 600).is_empty());
}

#[test]
fn after_a_while_without_silence_it_hastens_as_at_first() {
    let mut stage = running(two_zones());
    probed_while_told(&mut stage, Some(silence()), SECOND * 30);
    tell(&mut stage, silence());
    assert!(!is_asked(&mut stage), "it was nothing again and again");
    // Twice the interval, and into the middle of one.
    probed_while_told(&mut stage, None, Duration::from_millis(2500));
    for _ in 0..2 {
        tell(&mut stage, silence());
        assert!(is_asked(&mut stage));
        // As long as at first, and then it may ask again.
        stage.pass(Duration::from_millis(60));
    }
}

#[test]
fn other_signs_hasten_whatever_silence_has_been() {
    let mut stage = running(hourly());
    probed_while_told(&mut stage, Some(silence()), SECOND * 30);
    tell(&mut stage, silence());
    assert!(!is_asked(&mut stage));
    tell(&mut stage, Trouble::Reset.into());
    assert!(is_asked(&mut stage));
}

#[test]
fn a_probe_that_fails_gives_silence_its_weight_back() {
    let mut stage = running(hourly());
    probed_while_told(&mut stage, Some(silence()), SECOND * 30);
    stage.break_("fz-1:app-1");
    tell(&mut stage, Trouble::Reset.into());
    stage.answer();
    stage.heal("fz-1:app-1");
    stage.pass(SECOND);
    assert_eq!(stage.backend(0, 0).status, Status::Up);
    tell(&mut stage, silence());
    assert!(is_asked(&mut stage));
}
