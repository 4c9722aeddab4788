//! Random configurations.

use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use firedoor::config::{Check, Config, Failback, FailbackWindow, Failover, Gray, MinHealthy};

use crate::example::{self, ExampleZone};

pub(crate) fn build(
    zones: &[ExampleZone],
    pools: &[MinHealthy],
    check: &Check,
    failover: &Failover,
    rng: &mut Rng,
) -> Config {
    let mut config = example::config(zones, pools, check, failover.clone());
    config.server.drain_timeout = Duration::from_secs(rng.u64(0..4));
    if rng.u32(0..5) == 0 {
        // Only some pools are routed to.
        config.routes.truncate(1);
    }
    config
}

pub(crate) fn pools(rng: &mut Rng) -> Vec<MinHealthy> {
    let pools = if rng.u32(0..3) == 0 { 2 } else { 1 };
    (0..pools)
        .map(|_| match rng.u32(0..8) {
            0 => MinHealthy::Percent(50.0),
            1 => MinHealthy::Count(1),
            2 => MinHealthy::Count(0),
            3 => MinHealthy::Percent(70.0),
            _ => MinHealthy::Percent(100.0),
        })
        .collect()
}

pub(crate) fn zones(rng: &mut Rng, pools: usize) -> Vec<ExampleZone> {
    let count = *[1, 2, 2, 2, 3, 3].get(rng.usize(..6)).unwrap();
    let mut names = ["fz-1", "fz-2", "fz-3", "fz-4"];
    if rng.u32(0..6) == 0 {
        rng.shuffle(&mut names);
    }
    names[..count]
        .iter()
        .map(|name| zone(rng, name, pools))
        .collect()
}

pub(crate) fn zone(rng: &mut Rng, name: &str, pools: usize) -> ExampleZone {
    let mut backends = Vec::new();
    for pool in 0..pools {
        // Now and then, a zone lacks a pool.
        let least = usize::from(pool == 0 || rng.u32(0..10) > 0);
        for index in 0..rng.usize(least..=2) {
            backends.push((pool, format!("app-{pool}-{index}"), 1));
        }
    }
    let dependencies = (0..rng.usize(0..=2))
        .map(|index| (format!("dep-{index}"), 1, rng.u32(0..4) > 0))
        .collect();
    ExampleZone {
        name: name.to_owned(),
        backends,
        dependencies,
    }
}

pub(crate) fn check(rng: &mut Rng) -> Check {
    let mut check = example::check(1, 1);
    check.fall = NonZeroU32::new(rng.u32(1..=3)).unwrap();
    check.rise = NonZeroU32::new(rng.u32(1..=3)).unwrap();
    check.timeout = Duration::from_millis(rng.u64(10..1000));
    check
}

pub(crate) fn failover(rng: &mut Rng) -> Failover {
    let time = |rng: &mut Rng| jiff::civil::time(rng.i8(0..24), rng.i8(0..60), 0, 0);
    let failback = match rng.u32(0..4) {
        0 | 1 => Failback::Auto,
        2 => Failback::Window(FailbackWindow {
            from: time(rng),
            to: time(rng),
            zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        }),
        _ => Failback::Manual,
    };
    let promote = rng.u32(0..4) == 0;
    let gray = [Gray::Report, Gray::Eject, Gray::FailZone][rng.usize(..3)];
    Failover {
        gray,
        failback,
        failback_after: Duration::from_secs(rng.u64(0..20)),
        min_stay: Duration::from_secs(rng.u64(0..20)),
        max_flips_per_hour: rng.u32(0..12),
        promote_command: if promote {
            vec!["promote".to_owned()]
        } else {
            Vec::new()
        },
        promote_timeout: Duration::from_millis(rng.u64(100..4000)),
        ..example::failover()
    }
}
