//! The proofs of the decision: random histories and exhaustive walks, held to every invariant of the design.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

#[path = "simulation/example.rs"]
mod example;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/plant.rs"]
mod plant;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/replays.rs"]
mod replays;
#[path = "simulation/tape.rs"]
mod tape;
#[path = "simulation/walk.rs"]
mod walk;
#[path = "simulation/watch.rs"]
mod watch;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use example::zone;
use firedoor::config::{Config, Failback, Failover, MinHealthy};
use firedoor::moment::Moment;
use walk::walk;
use world::World;

const HISTORIES: u64 = 10_000;
const STEPS: u32 = 55;

fn start() -> Moment {
    Moment {
        instant: Instant::now(),
        wall: "2026-01-15T03:12:07Z".parse().unwrap(),
    }
}

/// `FIREDOOR_SEED=N` replays the one history of that seed; `FIREDOOR_HISTORIES` runs more or fewer.
#[test]
fn no_random_history_breaks_an_invariant() {
    run(&EVERYTHING, HISTORIES, |seed, at| {
        let mut world = World::new(seed, at);
        for _ in 0..STEPS {
            world.step();
        }
        std::mem::take(&mut world.watch.seen)
    });
}

/// The same for plans: what one predicts is what the running decision then does, at the same time, by the same rule.
#[test]
fn a_plan_predicts_what_the_decision_then_does() {
    run(&PLANS, HISTORIES, |seed, at| {
        let mut world = World::new(seed, at);
        for _ in 0..STEPS / 3 {
            world.step();
        }
        Seen::from([(world.foresee(), 1)])
    });
}

/// Runs a history per seed and adds up what was seen, which must be all of `everything`.
fn run(
    everything: &[&'static str],
    usual: u64,
    history: impl Fn(u64, Moment) -> Seen + Copy + Send,
) {
    let number = |name| Some(std::env::var(name).ok()?.parse().expect("a number"));
    let replay: Option<u64> = number("FIREDOOR_SEED");
    let first = replay.unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
    let histories =
        number("FIREDOOR_HISTORIES").unwrap_or(if replay.is_some() { 1 } else { usual });
    eprintln!("{histories} histories from seed {first}");
    let at = start();
    let middle = first + histories / 2;
    let halves = [first..middle, middle..first + histories];
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let run =
            |seeds: Range<u64>| move || seeds.map(|seed| guarded(seed, at, history)).reduce(add);
        let threads = halves.map(|seeds| scope.spawn(run(seeds)));
        let results = threads.map(|thread| thread.join());
        let results = results
            .into_iter()
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)));
        results.flatten().collect()
    });
    let seen = seen.into_iter().reduce(add).expect("at least one history");
    eprintln!("{seen:#?}");
    if histories >= usual {
        // A simulation in which something never happens proves nothing about it.
        for what in everything {
            let times = seen.get(what).copied().unwrap_or(0);
            let least = if usual == HISTORIES { 20 } else { 3 };
            assert!(times >= least, "{what}: only {times} times");
        }
    }
}

/// What happened, and how often.
type Seen = BTreeMap<&'static str, usize>;

fn add(mut all: Seen, more: Seen) -> Seen {
    for (what, times) in more {
        *all.entry(what).or_default() += times;
    }
    all
}

const EVERYTHING: [&str; 27] = [
    "drill begun",
    "drill ended",
    "drill flip",
    "promotion",
    "transition",
    "operator state",
    "verdict",
    "flip begun",
    "flip aborted",
    "failover",
    "degraded failover",
    "failback",
    "operator flip",
    "reload flip",
    "nowhere to go",
    "pinned",
    "min_stay",
    "max_flips_per_hour",
    "failback_window",
    "failback possible",
    "pin",
    "standby",
    "reloaded",
    "gray",
    "comparison",
    "same_everywhere",
    "another chance",
];

const PLANS: [&str; 9] = [
    "stay",
    "flip",
    "degraded flip",
    "flip after a rule held it back",
    "later flip",
    "failback",
    "failback possible",
    "nowhere to go",
    "withheld",
];

/// One history, and what happened in it.
fn guarded(seed: u64, start: Moment, history: impl Fn(u64, Moment) -> Seen) -> Seen {
    let run = catch_unwind(AssertUnwindSafe(|| history(seed, start)));
    run.unwrap_or_else(|panic| {
        eprintln!("replay with FIREDOOR_SEED={seed}");
        resume_unwind(panic)
    })
}

fn small_model(
    zones: &[&str],
    components: (&[&str], &[&str]),
    fall: u32,
    failover: Failover,
) -> Config {
    let zones: Vec<_> = zones
        .iter()
        .map(|name| zone(name, components.0, components.1))
        .collect();
    let mut config = example::config(
        &zones,
        &[MinHealthy::Percent(100.0)],
        &example::check(fall, fall),
        failover,
    );
    config.server.drain_timeout = Duration::from_secs(3);
    config
}

#[test]
fn no_way_through_two_zones_of_two_backends_breaks_an_invariant() {
    let failover = Failover {
        max_flips_per_hour: 2,
        ..example::failover()
    };
    let config = small_model(&["fz-1", "fz-2"], (&["app-1", "app-2"], &[]), 1, failover);
    let walked = walk(config, start(), 6);
    assert!(walked.states > 1000, "{walked:?}");
}

#[test]
fn no_way_through_two_zones_with_a_database_breaks_an_invariant() {
    let failover = Failover {
        failback: Failback::Auto,
        failback_after: Duration::from_secs(5),
        max_flips_per_hour: 3,
        ..example::failover()
    };
    let config = small_model(&["fz-1", "fz-2"], (&["app"], &["postgres"]), 2, failover);
    let walked = walk(config, start(), 6);
    assert!(walked.states > 1000, "{walked:?}");
}

#[test]
fn no_way_through_a_promotion_breaks_an_invariant() {
    let failover = Failover {
        failback: Failback::Auto,
        failback_after: Duration::from_secs(5),
        promote_command: vec!["promote".to_owned()],
        promote_timeout: Duration::from_secs(2),
        ..example::failover()
    };
    let config = small_model(&["fz-1", "fz-2"], (&["app"], &[]), 1, failover);
    let walked = walk(config, start(), 6);
    assert!(walked.states > 1000, "{walked:?}");
}

#[test]
fn no_way_through_three_zones_breaks_an_invariant() {
    let config = small_model(
        &["fz-1", "fz-2", "fz-3"],
        (&["app"], &["postgres"]),
        1,
        example::failover(),
    );
    let walked = walk(config, start(), 5);
    assert!(walked.states > 1000, "{walked:?}");
}
