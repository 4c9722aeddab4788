//! `gray = "fail-zone"`, with real sockets: a zone that passes its checks and fails its requests is left if a standby does better,
//! and never for what fails in every zone alike.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::Proxy;
use support::behaviour::{self, Behaviour, answer};
use support::pair::{EAGER, Pair, Zone, active, journal, journal_of, until_active};
use support::wait::{PATIENCE, eventually};

fn start(pair: &Pair) -> Proxy {
    // A request that was lost waits as long for what the probes find, and they find nothing here.
    let hold = EAGER.replace("10s", "1s");
    let proxy = pair.proxy(&format!("{hold}gray = \"fail-zone\""));
    for _ in 0..20 {
        assert_eq!(get(&proxy, "/"), Some(200));
    }
    proxy
}

/// Its requests are served so from now on; its checks still pass.
fn serve(zone: &Zone, behaviour: impl Fn() -> Behaviour) {
    for server in &zone.servers {
        server.behave(behaviour());
    }
}

/// `None`: the answer broke off, or was none.
fn exchange(proxy: &Proxy, method: &str, path: &str) -> Option<u16> {
    let mut client = proxy.client();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n\r\n"
    ));
    let response = client.response_within(method, PATIENCE);
    response.ok().map(|response| response.status)
}

fn get(proxy: &Proxy, path: &str) -> Option<u16> {
    exchange(proxy, "GET", path)
}

/// Asks until `zone` has been left; how many requests have failed by then.
fn failed_until_left(proxy: &Proxy, zone: &str) -> usize {
    let mut failed = 0;
    eventually(PATIENCE, "the zone is left", || {
        for method in ["GET", "POST"] {
            failed += usize::from(exchange(proxy, method, "/page") != Some(200));
        }
        active(proxy) != zone
    });
    failed
}

fn error() -> Behaviour {
    answer(500, &[], "oops")
}

#[test]
fn a_zone_that_cuts_its_answers_or_answers_errors_is_left_by_proof() {
    let kinds: [fn() -> Behaviour; 3] = [error, || behaviour::cut(100, "half"), behaviour::close];
    for kind in kinds {
        let pair = Pair::start();
        let proxy = start(&pair);
        let before = pair.standby.count();
        serve(&pair.preferred, kind);
        // How many that are depends on how fast they come: here, as fast as they can.
        failed_until_left(&proxy, "fz-1");
        until_active(&proxy, "fz-2");
        let flip = &journal_of(&proxy, "flip", 1)[0];
        let reason = flip["reasons"].to_string();
        assert!(reason.contains("gray as a whole"), "{reason}");
        assert!(reason.contains("dealt out to both zones"), "{reason}");
        assert!(pair.standby.count() > before);
        assert_eq!(pair.posts_twice(), [""; 0]);
        let asked = pair
            .standby
            .servers
            .iter()
            .flat_map(|s| s.seen_for("/page"));
        let mut early = asked.take_while(|seen| seen.field("firedoor-epoch") == Some("1"));
        assert!(
            early.all(|seen| {
                seen.method == "GET" && seen.field("firedoor-zone") == Some("fz-2")
            })
        );
    }
}

#[test]
fn what_fails_in_every_zone_alike_never_flips_and_is_explained() {
    let pair = Pair::start();
    let proxy = start(&pair);
    for zone in pair.zones() {
        serve(zone, error);
    }
    eventually(PATIENCE, "it is known for the application's own", || {
        assert_eq!(get(&proxy, "/bad"), Some(500));
        let withheld = journal(&proxy, "withheld");
        withheld
            .iter()
            .any(|entry| entry["rule"] == "same_everywhere")
    });
    let count = pair.standby.count();
    for _ in 0..100 {
        assert_eq!(get(&proxy, "/bad"), Some(500));
    }
    assert_eq!(
        pair.standby.count(),
        count,
        "the standby is left alone again"
    );
    assert_eq!(active(&proxy), "fz-1");
    assert!(journal(&proxy, "flip").is_empty());
    let explained = proxy.command(&["explain"]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(
        explained.contains("the application's own fault"),
        "{explained}"
    );
}

#[test]
fn nobody_asks_a_standby_with_what_may_change_something() {
    let pair = Pair::start();
    let proxy = start(&pair);
    serve(&pair.preferred, error);
    let before = pair.standby.count();
    eventually(PATIENCE, "it would be asked", || {
        for _ in 0..10 {
            assert_eq!(exchange(&proxy, "POST", "/order"), Some(500));
        }
        let withheld = journal(&proxy, "withheld");
        withheld.iter().any(|entry| entry["rule"] == "comparison")
    });
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for _ in 0..10 {
            assert_eq!(exchange(&proxy, method, "/order"), Some(500));
        }
    }
    assert_eq!(pair.standby.count(), before);
    assert_eq!(active(&proxy), "fz-1");
}
