//! Random histories, written as firedoor writes them, read back and replayed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use firedoor::config::Detail;
use firedoor::health::checker::{Checker, Command, Replayed};
use firedoor::health::report::{Cause, Flip};
use firedoor::outcome::{Sign, Silence, Trouble};
use firedoor::zone::{ComponentKey, Operator};
use jiff::Timestamp;

use crate::plant::{Plant, config};
use crate::random;
use crate::world::World;
use crate::{Seen, run, start};

const HISTORIES: u64 = 400;
const STEPS: u32 = 120;

/// What a flip is known by: when, its epoch, from, to and why.
type Essence = (Timestamp, u64, String, String, Cause);

fn essence(at: Timestamp, flip: &Flip) -> Essence {
    let (from, to) = (flip.from.to_string(), flip.to.to_string());
    (at, flip.epoch, from, to, flip.cause)
}

fn essences(replayed: &Replayed) -> Vec<Essence> {
    let flips = replayed.flips.iter();
    flips
        .map(|(moment, flip)| essence(moment.wall, flip))
        .collect()
}

/// To the nanosecond, whatever happened: crashes, promotions, drills, lost probes, a process that was late by an hour.
#[test]
fn in_full_detail_the_recorded_configuration_leads_to_the_recorded_flips() {
    run(&FLIPS, HISTORIES, |seed, at| {
        let mut world = World::recorded(seed, at, Some(Detail::All));
        for _ in 0..STEPS {
            world.step();
        }
        let tape = world.tape.take().unwrap();
        let replayed = tape.replay(&world.watch.config, at.instant);
        let recorded: Vec<_> = tape
            .flips
            .iter()
            .map(|(at, flip)| essence(*at, flip))
            .collect();
        assert_eq!(essences(&replayed), recorded);
        assert_eq!(replayed.outage, replayed.recorded_outage);
        assert_eq!(replayed.apart, Duration::ZERO);
        assert_eq!(
            (replayed.too_slow, replayed.unknown, replayed.supposed),
            (0, 0, 0)
        );
        let mut seen = Seen::new();
        for (_, flip) in &tape.flips {
            *seen.entry(cause(flip.cause)).or_default() += 1;
        }
        *seen.entry("nothing").or_default() += usize::from(tape.flips.is_empty());
        seen
    });
}

const FLIPS: [&str; 5] = ["failover", "failback", "operator", "drill", "nothing"];

fn cause(cause: Cause) -> &'static str {
    firedoor::journal::cause(cause)
}

/// Two ordinary zones for some minutes, and what is left of the journal if the files of the first minutes are gone.
fn plant(seed: u64, detail: Detail, rotated: bool) -> (Plant, Replayed) {
    let start = start();
    let mut plant = Plant::new(seed, start, detail, 12);
    plant.live(Duration::from_secs(200));
    if rotated {
        plant.tape.turn_over(&plant.checker);
    }
    plant.live(Duration::from_secs(500));
    let replayed = plant.tape.replay(&Arc::new(config()), start.instant);
    (plant, replayed)
}

/// Asserts that the same flips happened, and none more than `within` earlier or later.
fn assert_same(plant: &Plant, replayed: &Replayed, within: Duration) -> usize {
    let recorded = plant.tape.flips.iter();
    let recorded: Vec<_> = recorded.map(|(at, flip)| essence(*at, flip)).collect();
    let replayed = essences(replayed);
    let kinds = |flips: &[Essence]| -> Vec<_> {
        let flips = flips.iter();
        flips
            .map(|(_, epoch, from, to, cause)| (*epoch, from.clone(), to.clone(), *cause))
            .collect()
    };
    assert_eq!(kinds(&replayed), kinds(&recorded));
    for (one, other) in replayed.iter().zip(&recorded) {
        let apart = one.0.duration_since(other.0).unsigned_abs();
        assert!(apart <= within, "{one:?}\n{other:?}");
    }
    recorded.len()
}

#[test]
fn in_full_detail_a_recording_whose_beginning_is_lost_leads_to_the_recorded_flips() {
    let flips = (0..15).map(|seed| {
        let (plant, replayed) = plant(seed, Detail::All, true);
        assert_same(&plant, &replayed, Duration::ZERO)
    });
    assert!(flips.sum::<usize>() > 60);
}

/// The same seeds each time: in coarse detail a flip may lie so close to a limit that chance decides.
#[test]
fn in_coarse_detail_the_recorded_flips_come_at_about_the_recorded_times() {
    for (detail, rotated) in [
        (Detail::Changes, false),
        (Detail::Changes, true),
        (Detail::Transitions, false),
    ] {
        let flips = (0..12).map(|seed| {
            let (plant, replayed) = plant(seed, detail, rotated);
            assert_same(&plant, &replayed, Duration::from_millis(100))
        });
        assert!(flips.sum::<usize>() > 50, "{detail:?}");
    }
}

#[test]
fn who_needs_more_failures_to_see_one_flips_later_and_has_more_outage() {
    for detail in [Detail::All, Detail::Changes, Detail::Transitions] {
        let (plant, same) = plant(3, detail, false);
        let mut slow = config();
        for pool in &mut slow.pools {
            let mut check = (*pool.check).clone();
            check.fall = NonZeroU32::new(20).unwrap();
            pool.check = Arc::new(check);
        }
        for zone in &mut slow.zones {
            for dependency in &mut zone.dependencies {
                dependency.check = Arc::clone(&slow.pools[0].check);
            }
        }
        let slow = plant.tape.replay(&Arc::new(slow), plant.now.instant);
        assert!(
            slow.outage > same.outage + Duration::from_millis(700),
            "{detail:?} {slow:#?}"
        );
        // By one measure for both: what was recorded is what it was.
        assert_eq!(slow.recorded_outage, same.recorded_outage);
        let pairs = same.flips.iter().zip(&slow.flips);
        let later = pairs.map(|((soon, _), (late, _))| {
            let later = late.wall.duration_since(soon.wall);
            Duration::try_from(later).expect("none comes earlier")
        });
        // Eighteen more confirming probes of 50 ms each.
        let expected = Duration::from_millis(890)..Duration::from_millis(1200);
        assert!(
            later.clone().any(|later| expected.contains(&later)),
            "{detail:?}"
        );
    }
}

/// Whatever was recorded, and whatever it is tried on: it comes to an end, always to the same one, and counts its flips.
#[test]
fn no_configuration_makes_a_replay_stumble() {
    let everything = ["flips", "no flips", "refused", "held"];
    run(&everything, 200, |seed, at| {
        let mut rng = Rng::with_seed(seed);
        let details = [Detail::All, Detail::Changes, Detail::Transitions];
        let detail = details[rng.usize(..3)];
        let mut world = World::recorded(seed, at, Some(detail));
        for _ in 0..STEPS {
            world.step();
        }
        let tape = world.tape.take().unwrap();
        let Some(reading) = tape.try_read(at.instant) else {
            return Seen::new();
        };
        let pools = random::pools(&mut rng);
        let zones = random::zones(&mut rng, pools.len());
        let mut check = random::check(&mut rng);
        check.interval = Duration::from_millis(rng.u64(20..5000));
        let failover = random::failover(&mut rng);
        let other = Arc::new(random::build(&zones, &pools, &check, &failover, &mut rng));
        let replayed = Checker::replay(&reading.recording, Arc::clone(&other)).unwrap();
        let again = Checker::replay(&reading.recording, other).unwrap();
        assert_eq!(replayed, again);
        let epochs: Vec<u64> = replayed.flips.iter().map(|(_, flip)| flip.epoch).collect();
        assert!(
            epochs.is_sorted_by(|one, next| one + 1 == *next),
            "{epochs:?}"
        );
        let moments = replayed.flips.iter().map(|(moment, _)| moment.instant);
        assert!(moments.is_sorted());
        let flips = if epochs.is_empty() {
            "no flips"
        } else {
            "flips"
        };
        Seen::from([
            (flips, 1),
            ("refused", replayed.refused.len()),
            ("held", replayed.held.len()),
        ])
    });
}

/// In the journal alone, what operators did is concluded from what came of it.
#[test]
fn what_operators_did_is_done_again() {
    let zone = |name: &str| name.to_owned();
    let reason = || Some("because".to_owned());
    let operator = |name: &str, state| Command::Operator {
        component: ComponentKey {
            zone: "fz-1".into(),
            name: name.into(),
        },
        state,
        reason: reason(),
    };
    let activate = |name: &str, hold| Command::Activate {
        zone: zone(name),
        hold,
        reason: reason(),
    };
    let drill = || Command::Drill {
        zone: zone("fz-1"),
        length: Duration::from_secs(20),
        reason: reason(),
    };
    for detail in [Detail::All, Detail::Changes, Detail::Transitions] {
        let start = start();
        let mut plant = Plant::new(7, start, detail, 0);
        let pin = |zone| Command::Pin {
            zone,
            reason: reason(),
        };
        let unpin = |zone| Command::Unpin {
            zone,
            reason: reason(),
        };
        // Each with the seconds after it.
        let orders = [
            (activate("fz-2", true), 7),
            (activate("fz-1", false), 7),
            (pin(zone("fz-2")), 7),
            (unpin(zone("fz-2")), 7),
            (
                Command::Failback {
                    hold: true,
                    reason: reason(),
                },
                7,
            ),
            (drill(), 30),
            (drill(), 7),
            (Command::AbortDrill { reason: reason() }, 7),
            (operator("app-1", Operator::Maintenance), 7),
            (operator("app-2", Operator::Drain), 7),
            (operator("app-1", Operator::Ready), 7),
            (operator("app-2", Operator::Ready), 7),
            (activate("fz-1", false), 7),
            (activate("fz-2", true), 60),
        ];
        // None of these is a failback by itself, but the last.
        let mut failback = config();
        failback.failover.failback_after = Duration::from_secs(50);
        plant.reload(failback.clone());
        plant.live(Duration::from_secs(5));
        for (order, seconds) in orders {
            plant.order(order);
            plant.live(Duration::from_secs(seconds));
        }
        let replayed = plant.tape.replay(&Arc::new(failback), start.instant);
        assert_eq!(replayed.refused, []);
        let flips = assert_same(&plant, &replayed, Duration::from_millis(100));
        // Four orders, two drills there and back, no backend in the first zone, two more orders, and the failback.
        assert_eq!(flips, 12, "{detail:?}: {:#?}", essences(&replayed));
    }
}

/// A backend whose live requests fail all the time, or are never answered, while its checks are fine.
#[test]
fn traffic_alone_does_not_fill_a_disk() {
    let silence = Sign::Silence(Silence {
        lasted: Duration::from_millis(100),
        usual: None,
    });
    for sign in [Sign::Trouble(Trouble::Reset), silence] {
        for (detail, most) in [(Detail::All, 4000), (Detail::Changes, 12)] {
            let start = start();
            let mut plant = Plant::new(1, start, detail, 12);
            for _ in 0..20_000 {
                plant.see(sign);
                plant.live(Duration::from_millis(1));
            }
            let lines = plant.tape.lines();
            assert!(lines < most, "{sign}, {detail:?}: {lines} lines");
            if detail == Detail::All {
                let replayed = plant.tape.replay(&Arc::new(config()), start.instant);
                assert_same(&plant, &replayed, Duration::ZERO);
            }
        }
    }
}

/// How soon a probe follows upon silence depends on when it was told before, and how soon a fault is found on that.
#[test]
fn what_silence_has_hastened_is_hastened_again() {
    run(&["flips"], 24, |seed, at| {
        let mut rng = Rng::with_seed(seed);
        let mut plant = Plant::new(seed, at, Detail::All, 60);
        let silence = Sign::Silence(Silence {
            lasted: Duration::from_millis(100),
            usual: None,
        });
        for _ in 0..1500 {
            plant.see(silence);
            let pause = match rng.u32(0..10) {
                0 => rng.u64(1000..4000),
                1..4 => rng.u64(1..20),
                _ => rng.u64(50..300),
            };
            plant.live(Duration::from_millis(pause));
        }
        let replayed = plant.tape.replay(&Arc::new(config()), at.instant);
        let flips = assert_same(&plant, &replayed, Duration::ZERO);
        Seen::from([("flips", flips)])
    });
}

/// Whatever has happened to a file: it is replayed as far as it is understood, or refused.
#[test]
fn no_damage_makes_a_replay_stumble() {
    run(&["replayed", "refused"], 60, |seed, at| {
        let mut rng = Rng::with_seed(seed);
        let details = [Detail::All, Detail::Changes, Detail::Transitions];
        let mut plant = Plant::new(seed, at, details[rng.usize(..3)], 8);
        plant.live(Duration::from_secs(60));
        let mut seen = Seen::new();
        for _ in 0..8 {
            let damaged = plant.tape.damaged(&mut rng);
            let kind = match damaged.try_replay(&Arc::new(config()), at.instant) {
                Some(replayed) => {
                    assert!(replayed.flips.len() < 1000);
                    "replayed"
                }
                None => "refused",
            };
            *seen.entry(kind).or_default() += 1;
        }
        seen
    });
}
