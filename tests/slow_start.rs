//! Slow start: a backend that comes into a running pool gets its share of the requests little by little.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;

use support::behaviour;
use support::pair::{EAGER, Pair, sound};
use support::wait::PATIENCE;
use support::{Origin, Proxy, RawClient, eventually};

/// So long that no machine is slow enough to notice that it goes by.
const LONG: &str = "10h";

/// A check that no busy machine fails: a flap would be a slow start.
const PATIENT: &str = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"10s\"";

#[track_caller]
fn start(pair: &Pair, sections: &str) -> Proxy {
    let proxy = pair.builder(sections).check(PATIENT).start();
    proxy.until_all_up();
    proxy
}

fn sections(balance: &str, slow_start: &str) -> String {
    format!(
        "{EAGER}\n[upstream]\nbalance = \"{balance}\"\n\
         [[pool]]\nname = \"default\"\nmin_healthy = 1\nslow_start = \"{slow_start}\"\n\
         sticky = {{ cookie = \"FIREDOOR\" }}\n"
    )
}

/// How many of `total` requests each backend answers. Over a few connections, so that both workers get some of them.
#[track_caller]
fn answers(proxy: &Proxy, total: usize) -> HashMap<String, usize> {
    let mut clients: Vec<RawClient> = (0..4).map(|_| proxy.client()).collect();
    let mut counts = HashMap::new();
    for number in 0..total {
        let client = &mut clients[number % 4];
        let response = client.exchange("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
        assert_eq!(response.status, 200);
        *counts.entry(response.text()).or_default() += 1;
    }
    counts
}

/// The part of 200 requests that `backend` answers, in per cent.
#[track_caller]
fn share(proxy: &Proxy, backend: &str) -> usize {
    answers(proxy, 200).get(backend).copied().unwrap_or(0) / 2
}

/// A newcomer among two has 5 % by turns, and less than 10 % by load. A fifth is 6 standard deviations away.
#[track_caller]
fn assert_slow(proxy: &Proxy, backend: &str) {
    let share = share(proxy, backend);
    assert!(share < 20, "{backend} gets {share} %");
    eventually(PATIENCE, "it gets a request now and then", || {
        proxy.get("/").text() == backend
    });
}

/// By turns, two backends have half of the requests each; the two workers take turns of their own.
#[track_caller]
fn assert_equal(proxy: &Proxy, backend: &str) {
    let share = share(proxy, backend);
    assert!((45..=55).contains(&share), "{backend} gets {share} %");
}

fn order(proxy: &Proxy, path: &str) {
    let answer = proxy.admin_post(&format!("/v1/{path}"), "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}

#[track_caller]
fn until(proxy: &Proxy, slot: usize, condition: &str) {
    proxy.until_status(condition, |status| {
        status["zones"][0]["components"][slot]["status"] == condition
    });
}

/// `app-2` of the preferred zone goes down and comes up again.
#[track_caller]
fn bounce(pair: &mut Pair, proxy: &Proxy) {
    pair.preferred.servers[1].refuse();
    until(proxy, 1, "down");
    pair.preferred.servers[1].restart();
    until(proxy, 1, "up");
}

#[test]
fn who_comes_up_beside_a_sibling_starts_slowly_by_either_balance() {
    for balance in ["round-robin", "least-loaded"] {
        let mut pair = Pair::start();
        let proxy = start(&pair, &sections(balance, LONG));
        bounce(&mut pair, &proxy);
        assert_slow(&proxy, "fz-1 app-2");
    }
}

#[test]
fn nobody_starts_slowly_at_the_start_of_the_process_nor_after_a_flip() {
    let mut pair = Pair::start();
    let mut proxy = start(&pair, &sections("round-robin", LONG));
    assert_equal(&proxy, "fz-1 app-2");
    proxy.crash_and_restart();
    proxy.until_all_up();
    assert_equal(&proxy, "fz-1 app-2");

    bounce(&mut pair, &proxy);
    assert_slow(&proxy, "fz-1 app-2");
    order(&proxy, "zones/fz-2/activate");
    assert_equal(&proxy, "fz-2 app-2");
    order(&proxy, "failback");
    assert_equal(&proxy, "fz-1 app-2");
}

#[test]
fn who_returns_from_drain_or_maintenance_starts_slowly_and_keeps_its_sessions() {
    let pair = Pair::start();
    let proxy = start(&pair, &sections("round-robin", LONG));
    let mut cookie = String::new();
    eventually(PATIENCE, "app-2 gets a new client", || {
        let response = proxy.get("/");
        let set = response.field("set-cookie").unwrap();
        cookie = set.split(';').next().unwrap().to_owned();
        response.text() == "fz-1 app-2"
    });
    for state in ["drain", "maintenance"] {
        order(&proxy, &format!("zones/fz-1/backends/app-2/{state}"));
        assert_eq!(share(&proxy, "fz-1 app-2"), 0, "{state}");
        order(&proxy, "zones/fz-1/backends/app-2/ready");
        assert_slow(&proxy, "fz-1 app-2");
        for _ in 0..20 {
            let response = proxy.client().exchange(format!(
                "GET / HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n\r\n"
            ));
            assert_eq!(response.text(), "fz-1 app-2", "{state}");
        }
    }
}

#[test]
fn who_joins_by_a_reload_starts_slowly_until_a_reload_says_otherwise() {
    let pair = Pair::start();
    let third = Origin::start(sound("fz-1", "app-3"));
    let mut proxy = Proxy::builder()
        .check(PATIENT)
        .toml(&sections("round-robin", LONG))
        .zone("fz-1", &[&pair.preferred.servers[0]])
        .start();
    proxy.until_all_up();
    let grown = |slow_start| {
        Proxy::builder()
            .check(PATIENT)
            .toml(&sections("round-robin", slow_start))
            .zone("fz-1", &[&pair.preferred.servers[0], &third])
    };
    proxy.rewrite_config(grown(LONG));
    order(&proxy, "reload");
    proxy.until_all_up();
    assert_slow(&proxy, "fz-1 app-3");
    proxy.rewrite_config(grown("0s"));
    order(&proxy, "reload");
    assert_equal(&proxy, "fz-1 app-3");
}

#[test]
fn in_the_end_it_has_its_whole_share() {
    let mut pair = Pair::start();
    let proxy = start(&pair, &sections("round-robin", "2s"));
    bounce(&mut pair, &proxy);
    // One look may be lucky while it still grows.
    for _ in 0..2 {
        eventually(PATIENCE, "it has half of the requests", || {
            (49..=51).contains(&share(&proxy, "fz-1 app-2"))
        });
    }
}

#[test]
fn a_newcomer_takes_all_that_its_full_siblings_cannot() {
    let old = Origin::named("old");
    let mut new = Origin::named("new");
    // Who would have to wait for a place gets a 503 instead.
    let sections = sections("least-loaded", LONG).replace("\"10s\"", "\"0s\"");
    assert!(sections.contains("hold_time = \"0s\""));
    let proxy = Proxy::builder()
        .check(PATIENT)
        .toml(&sections)
        .zone("fz-1", &[])
        .backend("app-1", old.address(), "max_in_flight = 1")
        .backend("app-2", new.address(), "")
        .start();
    proxy.until_all_up();
    new.refuse();
    until(&proxy, 1, "down");
    new.restart();
    until(&proxy, 1, "up");
    old.behave(behaviour::hang());
    let mut stuck = Vec::new();
    eventually(PATIENCE, "the old one is full", || {
        let mut client = proxy.client();
        client.send("GET /stuck HTTP/1.1\r\nHost: app.example\r\n\r\n");
        stuck.push(client);
        eventually(PATIENCE, "somebody has it", || {
            old.count() + new.count() >= stuck.len()
        });
        old.count() > 0
    });
    assert_eq!(answers(&proxy, 30)["new"], 30);
}
