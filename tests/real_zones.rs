//! The whole promise with real servers: two zones of gunicorn and PostgreSQL, under steady load, and a fault at a time.
//!
//! Each run prints one line. What the line says is the measurement; the bounds asserted here leave room for a busy machine.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[path = "real/app_server.rs"]
mod app_server;
#[path = "real/database.rs"]
mod database;
#[path = "real/fault.rs"]
mod fault;
#[path = "real/haproxy.rs"]
mod haproxy;
#[path = "real/measurement.rs"]
mod measurement;
#[path = "real/namespace.rs"]
mod namespace;
mod support;
#[path = "real/zones.rs"]
mod zones;

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use fault::Fault;
use haproxy::Haproxy;
use measurement::Measurement;
use support::load::{Load, Plan};
use support::wait::PATIENCE;
use support::{Proxy, eventually};
use zones::Zones;

/// `[check]` of a run, and what it promises.
struct Settings {
    name: &'static str,
    interval: &'static str,
    timeout: &'static str,
    /// Requests before the fault: enough that the retry budget, a share of the last 10 s, is what it is in operation.
    warm_up: usize,
    /// From the fault to the last request into the failed zone, for a fault that shows at once and for one that hangs.
    promise: (Duration, Duration),
    /// How many times the promise is let pass here, where other work may run beside.
    slack: u32,
}

/// On a machine that is busy with other work everything takes longer, probes and clients included. By how much shows before the
/// fault: each millisecond of the slowest request there allows the failover this many more.
const STRAIN: u32 = 20;

const FAST: Settings = Settings {
    name: "200 ms",
    interval: "200ms",
    timeout: "100ms",
    warm_up: 120,
    promise: (Duration::from_millis(200), Duration::from_millis(500)),
    slack: 3,
};

const DEFAULT: Settings = Settings {
    name: "default",
    interval: "1s",
    timeout: "500ms",
    warm_up: 240,
    promise: (Duration::from_secs(3), Duration::from_secs(3)),
    slack: 1,
};

#[test]
fn every_fault_of_a_real_zone_moves_its_traffic_in_time() {
    let mut zones = Zones::start();
    let mut broken_promises = Vec::new();
    for settings in [FAST, DEFAULT] {
        for fault in Fault::possible() {
            let measurement = run(fault, &settings, &mut zones);
            say(&format!("checks {:<8} {measurement}", settings.name));
            broken_promises.extend(judge(&measurement, &settings));
        }
    }
    assert!(
        broken_promises.is_empty() || peer(),
        "{}",
        broken_promises.join("\n")
    );
}

/// One fault under load, from a healthy `fz-1` to a healthy `fz-1`.
fn run(fault: Fault, settings: &Settings, zones: &mut Zones) -> Measurement {
    for _ in 0..3 {
        let front = Front::start(zones, settings);
        let load = Plan {
            patience: Duration::from_secs(4),
            ..Plan::to(front.address())
        }
        .start();
        load.wait_for_more(settings.warm_up);
        if standby_serves(&load) {
            say("the machine is so busy that a healthy app server missed its checks; once more");
            continue;
        }
        let struck = SystemTime::now();
        fault.strike(&mut zones.preferred);
        eventually(PATIENCE, "the standby serves", || standby_serves(&load));
        load.wait_for_more(60);
        fault.heal(&mut zones.preferred);
        let records = load.finish();
        let access_log = front.stop();
        return Measurement::of(fault, struck, zones, &records, &access_log);
    }
    panic!("not one run without a failover before the fault");
}

/// What was promised and not kept.
fn judge(measurement: &Measurement, settings: &Settings) -> Vec<String> {
    let mut broken = Vec::new();
    let fault = measurement.fault;
    let promise = if fault.hangs() {
        settings.promise.1
    } else {
        settings.promise.0
    };
    let mut claim = |kept: bool, what: String| {
        if !kept {
            broken.push(format!("{fault}, checks {}: {what}", settings.name));
        }
    };
    let limit = promise * settings.slack + measurement.strain * STRAIN;
    claim(
        measurement.last_sent <= limit,
        format!(
            "the failed zone still got a request after {:?} (limit {limit:?})",
            measurement.last_sent
        ),
    );
    claim(
        measurement.posts_twice.is_empty(),
        format!("POSTs executed twice: {:?}", measurement.posts_twice),
    );
    // A stopped database or a 500 is an answer of the application: nobody may ask again in its name.
    let retried = matches!(fault, Fault::Killed | Fault::Frozen | Fault::BlackHole);
    claim(
        !retried || measurement.failed_idempotent.is_empty(),
        format!(
            "idempotent requests failed: {:#?}",
            measurement.failed_idempotent
        ),
    );
    broken
}

fn standby_serves(load: &Load) -> bool {
    load.records().iter().any(|record| {
        record
            .served_by
            .as_ref()
            .is_some_and(|server| server.starts_with("fz-2/"))
    })
}

/// What stands in front of the zones.
enum Front {
    Firedoor(Box<Proxy>),
    Peer(Haproxy),
}

impl Front {
    /// A fresh one, with `fz-1` active and nothing remembered.
    fn start(zones: &Zones, settings: &Settings) -> Self {
        let Settings {
            interval, timeout, ..
        } = settings;
        if peer() {
            return Self::Peer(Haproxy::start(zones, interval, timeout));
        }
        let check =
            format!("path = \"/healthz\"\ninterval = \"{interval}\"\ntimeout = \"{timeout}\"");
        let proxy = Proxy::builder()
            .check(&check)
            .toml(&zones.configuration())
            .start();
        proxy.until_status("both zones serve", |status| {
            let zones = status["zones"].as_array().expect("zones");
            zones.iter().all(|zone| zone["verdict"] == "serving") && zones[0]["active"] == true
        });
        Self::Firedoor(Box::new(proxy))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Firedoor(proxy) => proxy.address,
            Self::Peer(haproxy) => haproxy.address,
        }
    }

    /// Its access log, as far as there is one.
    fn stop(self) -> String {
        match self {
            Self::Firedoor(mut proxy) => {
                proxy.signal(rustix::process::Signal::TERM);
                proxy.wait_for_exit(PATIENCE);
                proxy.access_text()
            }
            Self::Peer(_) => String::new(),
        }
    }
}

/// Whether another proxy is measured instead.
fn peer() -> bool {
    std::env::var_os("FIREDOOR_TEST_PEER").is_some()
}

/// Past the test runner's capture: the figures are the point of this file.
fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").expect("standard error takes it");
}
