//! Two zones of scripted app servers, each with a database that only a `tcp` check ever sees.

use std::collections::HashMap;

use super::behaviour::{Behaviour, answer};
use super::load::Record;
use super::origin::Origin;
use super::proxy::{Builder, Proxy};
use super::wait::{PATIENCE, eventually_some};

/// One zone.
pub struct Zone {
    pub name: &'static str,
    /// `app-1` and `app-2`.
    pub servers: [Origin; 2],
    pub database: Origin,
}

/// Both; `preferred` is `fz-1`.
pub struct Pair {
    pub preferred: Zone,
    pub standby: Zone,
}

/// Checks that see a fault soon, and that a busy machine still passes; who wants them to see one that hangs needs a shorter `timeout`.
pub const PROMPT: &str = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"10s\"\nconfirm_interval = \"20ms\"\nrise = 2";

/// Flips as often as a test wants to see.
pub const EAGER: &str =
    "[failover]\nmin_stay = \"0s\"\nmax_flips_per_hour = 1000\nhold_time = \"10s\"\n";

impl Pair {
    pub fn start() -> Self {
        Self {
            preferred: Zone::start("fz-1"),
            standby: Zone::start("fz-2"),
        }
    }

    /// The configuration of both zones with the lines of `sections` (and of `[check]`: `PROMPT`).
    pub fn builder(&self, sections: &str) -> Builder {
        let mut builder = Proxy::builder().check(PROMPT).toml(sections).in_memory();
        for zone in self.zones() {
            let servers: Vec<&Origin> = zone.servers.iter().collect();
            builder = builder.zone(zone.name, &servers).dependency(
                "database",
                zone.database.address(),
                "",
            );
        }
        builder
    }

    /// A proxy with `sections`, once both zones serve and `fz-1` is active.
    #[track_caller]
    pub fn proxy(&self, sections: &str) -> Proxy {
        let proxy = self.builder(sections).start();
        until_both_serve(&proxy);
        assert_eq!(active(&proxy), "fz-1");
        proxy
    }

    pub fn zones(&self) -> [&Zone; 2] {
        [&self.preferred, &self.standby]
    }

    /// Ids of POSTs that reached an app server more than once, over both zones.
    pub fn posts_twice(&self) -> Vec<String> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for server in self.zones().into_iter().flat_map(|zone| &zone.servers) {
            for (id, count) in server.posts() {
                *counts.entry(id).or_default() += count;
            }
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(id, _)| id)
            .collect()
    }
}

impl Zone {
    fn start(name: &'static str) -> Self {
        Self {
            name,
            servers: ["app-1", "app-2"].map(|server| Origin::start(sound(name, server))),
            database: Origin::named("database"),
        }
    }

    /// Its app servers refuse connections from now on.
    pub fn refuse(&mut self) {
        for server in &mut self.servers {
            server.refuse();
        }
    }

    /// Its app servers are back.
    pub fn restart(&mut self) {
        for server in &mut self.servers {
            server.restart();
        }
    }

    /// How many requests it has got.
    pub fn count(&self) -> usize {
        self.servers.iter().map(Origin::count).sum()
    }
}

/// What an app server does that nothing is wrong with.
pub fn sound(zone: &str, server: &str) -> Behaviour {
    answer(
        200,
        &[&format!("X-Served-By: {zone}/{server}")],
        format!("{zone} {server}"),
    )
}

/// The active zone's name.
#[track_caller]
pub fn active(proxy: &Proxy) -> String {
    proxy.status()["active_zone"]
        .as_str()
        .expect("an active zone")
        .to_owned()
}

/// Waits until `zone` is active.
#[track_caller]
pub fn until_active(proxy: &Proxy, zone: &str) {
    proxy.until_status(&format!("{zone} is active"), |status| {
        status["active_zone"] == zone
    });
}

/// Waits until both zones serve.
#[track_caller]
pub fn until_both_serve(proxy: &Proxy) {
    until_verdict(proxy, "fz-1", "serving");
    until_verdict(proxy, "fz-2", "serving");
}

/// Waits until `zone` has that verdict.
#[track_caller]
pub fn until_verdict(proxy: &Proxy, zone: &str, verdict: &str) {
    proxy.until_status(&format!("{zone} is {verdict}"), |status| {
        let zones = status["zones"].as_array().expect("zones");
        zones
            .iter()
            .any(|z| z["name"] == zone && z["verdict"] == verdict)
    });
}

/// The journal's entries of `kind`, oldest first.
#[track_caller]
pub fn journal(proxy: &Proxy, kind: &str) -> Vec<serde_json::Value> {
    let journal = proxy
        .admin_get(&format!("/v1/journal?limit=1000&kind={kind}"))
        .json();
    journal["entries"]
        .as_array()
        .unwrap_or_else(|| panic!("entries in {journal:#}"))
        .clone()
}

/// The same, once there are `count`: the journal is durable a moment after the snapshot is published.
#[track_caller]
pub fn journal_of(proxy: &Proxy, kind: &str, count: usize) -> Vec<serde_json::Value> {
    eventually_some(PATIENCE, &format!("{count} {kind} in the journal"), || {
        let entries = journal(proxy, kind);
        (entries.len() >= count).then_some(entries)
    })
}

/// Asserts that every request got a 2xx.
#[track_caller]
pub fn assert_none_failed(records: &[Record]) {
    let failed: Vec<&Record> = records
        .iter()
        .filter(|record| !record.succeeded())
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} requests failed: {failed:#?}",
        failed.len(),
        records.len()
    );
}

/// Asserts that every idempotent request got a 2xx.
#[track_caller]
pub fn assert_no_get_failed(records: &[Record]) {
    let gets: Vec<Record> = records
        .iter()
        .filter(|record| record.idempotent())
        .cloned()
        .collect();
    assert!(!gets.is_empty(), "no GET was sent");
    assert_none_failed(&gets);
}
