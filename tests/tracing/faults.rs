//! A collector that is gone, slow, busy or odd.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::collector::{AtWork, Collector, tracing};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy, port};

#[test]
fn a_busy_collector_is_asked_again_and_nothing_is_lost() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    for (status, fields) in [
        (503, json!({})),
        (429, json!({"Retry-After": "1"})),
        (502, json!({})),
        (504, json!({})),
    ] {
        collector.mood(&json!({"status": status, "times": 2, "headers": fields}));
        let before = collector.requests().len();
        proxy.get(&format!("/{status}"));
        collector.trace(&format!("/{status}"));
        assert!(collector.requests().len() >= before + 3, "{status}");
    }
    assert_eq!(tracing(&proxy, "spans_dropped"), 0);
    eventually(PATIENCE, "all are counted", || {
        tracing(&proxy, "spans_exported") == 8
    });
    let request = &collector.requests()[0];
    assert_eq!(request["path"], "/v1/traces");
    assert_eq!(request["fields"]["content-type"], "application/x-protobuf");
}

#[test]
fn what_a_collector_will_never_take_is_dropped_counted_and_told_once() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    collector.mood(&json!({"status": 400}));
    for count in [2, 4] {
        proxy.get("/refused");
        eventually(PATIENCE, "they are dropped", || {
            tracing(&proxy, "spans_dropped") == count
        });
    }
    assert_eq!(collector.requests().len(), 2, "it isn't asked again");

    collector.mood(&json!({"rejects": 1}));
    proxy.get("/partly");
    eventually(PATIENCE, "one more is dropped", || {
        tracing(&proxy, "spans_dropped") == 5
    });
    assert_eq!(tracing(&proxy, "spans_exported"), 1);
    eventually(PATIENCE, "that is told, too", || {
        proxy.log().contains("the collector takes spans again")
    });
    let log = proxy.log();
    assert!(log.contains("these are odd"), "{log}");
    let refused = "the collector doesn't take them: it answers 400";
    assert_eq!(log.matches(refused).count(), 1, "{log}");
}

#[test]
fn a_collector_that_hangs_delays_no_request_and_spans_are_bounded() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let mut proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    collector.server.freeze();
    let mut client = proxy.client();
    let mut longest = std::time::Duration::ZERO;
    for _ in 0..6000 {
        let begun = Instant::now();
        assert_eq!(
            client.exchange("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status,
            200
        );
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < std::time::Duration::from_secs(3), "{longest:?}");
    // Two spans each, and no more than 8192 at once.
    eventually(PATIENCE, "what there is no room for is dropped", || {
        tracing(&proxy, "spans_dropped") + tracing(&proxy, "spans_waiting") == 12_000
    });
    assert!(tracing(&proxy, "spans_waiting") <= 8192);

    // Nor does it keep the process.
    drop(client);
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    collector.server.thaw();
}

#[test]
fn what_is_left_at_the_end_of_the_process_is_exported() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let mut proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    proxy.get("/last");
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    let there = collector
        .spans()
        .iter()
        .any(|span| span["attributes"]["url.path"] == "/last");
    assert!(there, "the process has ended, so nothing more will come");
}

#[test]
fn a_collector_that_is_not_there_yet_gets_the_spans_once_it_is() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let nobody = port::free();
    let away = format!("[tracing]\notlp_endpoint = \"http://{nobody}\"\nsample = \"100%\"");
    let mut proxy = Proxy::builder()
        .toml(&away)
        .zone("fz-1", &[&origin])
        .at_work();
    proxy.get("/early");
    eventually(PATIENCE, "they wait", || {
        tracing(&proxy, "spans_waiting") == 2
    });
    // A reload sends what comes from now on elsewhere.
    let moved = collector.builder().zone("fz-1", &[&origin]);
    proxy.rewrite_config(moved);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    proxy.get("/late");
    collector.trace("/late");
}

#[test]
fn a_collector_over_tls_is_verified_and_gets_the_fields_that_it_wants() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    let ca = directory.path().join("ca.pem");
    let other = TempDir::new().unwrap();
    Authority::new("another").write(other.path());
    let collector = Collector::with(directory, &["--tls"]);
    let origin = Origin::named("a");
    let proxy = |ca: &std::path::Path| {
        let terms = format!(
            "[tracing]\notlp_endpoint = \"https://{}/otlp/\"\nsample = \"100%\"\nca = {ca:?}\nheaders = {{ Authorization = \"Bearer ${{TOKEN}}\" }}",
            collector.server.address
        );
        Proxy::builder()
            .environment("TOKEN", "hunter2")
            .toml(&terms)
            .zone("fz-1", &[&origin])
            .at_work()
    };
    let strange = proxy(&other.path().join("ca.pem"));
    strange.get("/strange");
    let known = proxy(&ca);
    known.get("/known");
    eventually(PATIENCE, "they are taken", || {
        tracing(&known, "spans_exported") == 2
    });
    assert_eq!(tracing(&strange, "spans_exported"), 0);
    assert!(!known.log().contains("hunter2"));
}
