//! Planned flips lose nothing: drain, promotion, commit, release, and what becomes of those who wait meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "planned/drain.rs"]
mod drain;
#[path = "planned/drill.rs"]
mod drill;
#[path = "planned/failback.rs"]
mod failback;
#[path = "planned/long_lived.rs"]
mod long_lived;
#[path = "planned/promotion.rs"]
mod promotion;
#[path = "planned/release.rs"]
mod release;
mod support;

use support::load::{Load, Plan};
use support::pair::{EAGER, Pair, active, assert_none_failed, journal_of, until_both_serve};
use support::{Proxy, Response};

#[test]
fn ten_planned_flips_under_load_lose_nothing_and_execute_nothing_twice() {
    let pair = Pair::start();
    let proxy = start(&pair, EAGER);
    let load = load(&proxy);
    for zone in ["fz-2", "fz-1"].repeat(5) {
        load.wait_for_more(40);
        let answer = activate(&proxy, zone);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(active(&proxy), zone);
    }
    load.wait_for_more(40);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    assert_eq!(journal_of(&proxy, "flip", 10).len(), 10);
}

/// A proxy in front of both zones, with checks that pass on the busiest machine: nothing here hangs that they would have to find.
#[track_caller]
fn start(pair: &Pair, sections: &str) -> Proxy {
    start_with(pair, sections, "")
}

/// The same, with more lines of `[server]`.
#[track_caller]
fn start_with(pair: &Pair, sections: &str, server: &str) -> Proxy {
    let proxy = pair.builder(sections).check(PATIENT).server(server).start();
    until_both_serve(&proxy);
    assert_eq!(active(&proxy), "fz-1");
    proxy
}

const PATIENT: &str = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"20s\"\nconfirm_interval = \"20ms\"\nrise = 2";

/// Two hundred requests a second, half of them POSTs.
fn load(proxy: &Proxy) -> Load {
    let plan = Plan {
        rate: 200,
        ..Plan::to(proxy.address)
    };
    plan.start()
}

/// Orders a planned flip, and waits for the answer.
#[track_caller]
fn activate(proxy: &Proxy, zone: &str) -> Response {
    proxy.admin_post(
        &format!("/v1/zones/{zone}/activate"),
        "{\"reason\": \"a test\"}",
    )
}
