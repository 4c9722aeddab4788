//! firedoor itself is out of descriptors: that looks like everybody's failure, and is nobody's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::pair::{EAGER, Pair, active, journal, until_active, until_both_serve};
use support::wait::{PATIENCE, within};
use support::{Origin, Proxy, RawClient, eventually};

/// Descriptors that the process may have from now on. All low numbers are in use, so that it gets no new one at all.
fn limit(proxy: &Proxy, descriptors: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: descriptors.or(maximum),
        maximum,
    };
    let pid = Pid::from_raw(proxy.pid().cast_signed()).unwrap();
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

fn checks(pair: &Pair) -> u64 {
    let servers = pair.zones().into_iter().flat_map(|zone| &zone.servers);
    servers.map(Origin::checks).sum()
}

fn complaints(proxy: &Proxy) -> usize {
    proxy
        .log()
        .matches("firedoor itself can't make connections")
        .count()
}

#[test]
fn probes_without_descriptors_of_our_own_fail_nobody() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    // An app server hears of us over connections that are there already.
    let mut admin = RawClient::connect(proxy.admin);
    let mut status = || {
        let request = format!("GET /v1/status HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.admin);
        admin.exchange(request).json()
    };
    status();

    limit(&proxy, Some(3));
    eventually(PATIENCE, "it says what ails it", || complaints(&proxy) > 0);
    let before = checks(&pair);
    assert!(
        !within(Duration::from_secs(1), || {
            let status = status();
            status["epoch"] != 1 || status["zones"][0]["verdict"] != "serving"
        }),
        "{}",
        proxy.log()
    );
    assert_eq!(complaints(&proxy), 1, "once, not for each probe");
    // One may have been under way, of each component.
    assert!(checks(&pair) <= before + 4);

    limit(&proxy, None);
    eventually(PATIENCE, "it probes again", || checks(&pair) > before + 8);
    until_both_serve(&proxy);
    let transitions = journal(&proxy, "transition");
    assert!(
        transitions.iter().all(|entry| entry["to"] == "up"),
        "{transitions:#?}"
    );
    assert_eq!(
        (active(&proxy), proxy.get("/").status),
        ("fz-1".to_owned(), 200)
    );

    // And what fails now fails by its own fault.
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
}

#[test]
fn a_request_that_finds_no_descriptor_blames_no_app_server_and_is_answered_once_there_is_one() {
    let origin = Origin::named("a");
    let proxy = Proxy::builder()
        .toml("[failover]\nhold_time = \"1h\"\n[[route]]\npath = \"/app\"\npool = \"default\"")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let mut client = proxy.client();
    // Its connection has a descriptor, and none leads to the app server.
    let refused = client.exchange("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert_eq!(refused.status, 404);
    limit(&proxy, Some(3));
    eventually(PATIENCE, "it says what ails it", || complaints(&proxy) > 0);
    client.send("POST /app HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n\r\n");
    assert!(
        !within(Duration::from_millis(400), || origin.count() > 0),
        "it found a descriptor"
    );
    limit(&proxy, None);
    assert_eq!(client.response_to("POST").status, 200);
    assert_eq!(origin.count(), 1);
    let status = proxy.status();
    assert_eq!(status["zones"][0]["verdict"], "serving", "{status:#}");
}
