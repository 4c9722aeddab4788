//! Drills, from outside: they return by themselves, early when requests fare worse, and also over a restart.

use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use super::support::behaviour::answer;
use super::support::pair::{
    EAGER, Pair, active, assert_none_failed, journal, journal_of, until_active,
};
use super::support::{Proxy, Response};
use super::{load, start};

fn drill(proxy: &Proxy, length: &str) -> Response {
    proxy.admin_post(
        "/v1/drill",
        &format!("{{\"zone\": \"fz-1\", \"for\": \"{length}\", \"reason\": \"a test\"}}"),
    )
}

/// The one report, once it is there.
#[track_caller]
fn report(proxy: &Proxy) -> Value {
    let mut reports = journal_of(proxy, "drill_ended", 1);
    assert_eq!(reports.len(), 1, "{reports:#?}");
    reports.remove(0)
}

#[test]
fn a_drill_returns_by_itself_and_costs_nobody_a_request() {
    let pair = Pair::start();
    let proxy = start(&pair, EAGER);
    let load = load(&proxy);
    load.wait_for_more(60);
    let output = Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args([
            "drill", "--zone", "fz-1", "--for", "3s", "--reason", "practice",
        ])
        .args(["--admin", &proxy.admin.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("for a drill") && said.contains("practice"),
        "{said}"
    );
    until_active(&proxy, "fz-1");
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    let report = report(&proxy);
    assert_eq!(report["outcome"], "returned", "{report:#}");
    assert!(
        report["during"]["requests"].as_u64().unwrap() > 30,
        "{report:#}"
    );
    assert_eq!(report["during"]["failures"], 0);
    assert!(
        report["before"]["requests"].as_u64().unwrap() > 30,
        "{report:#}"
    );
    assert!(
        report["lasted_ms"].as_f64().unwrap() >= 3000.0,
        "{report:#}"
    );
    let flips = journal(&proxy, "flip");
    let causes: Vec<&Value> = flips.iter().map(|flip| &flip["cause"]).collect();
    assert_eq!(causes, ["drill", "drill"]);
    assert_eq!(proxy.status()["drill"], Value::Null);
}

#[test]
fn a_drill_is_aborted_when_the_standby_answers_with_errors() {
    let pair = Pair::start();
    let proxy = start(&pair, &format!("{EAGER}gray = \"report\""));
    let load = load(&proxy);
    load.wait_for_more(60);
    for server in &pair.standby.servers {
        server.behave(answer(500, &[], "not on this side"));
    }
    let answer = drill(&proxy, "10m");
    assert_eq!(answer.status, 200, "{}", answer.text());
    until_active(&proxy, "fz-1");
    let returned = SystemTime::now();
    load.wait_for_more(60);
    let mut records = load.finish();
    records.retain(|record| record.sent >= returned);
    assert_none_failed(&records);
    let report = report(&proxy);
    assert_eq!(report["outcome"], "aborted", "{report:#}");
    assert!(
        report["during"]["failures"].as_u64().unwrap() >= 5,
        "{report:#}"
    );
    assert_eq!(report["before"]["failures"], 0, "{report:#}");
    let why = report["explanation"].as_str().unwrap();
    assert!(why.contains("requests failed"), "{why}");
}

#[test]
fn a_drill_returns_also_after_a_restart() {
    let pair = Pair::start();
    let mut proxy = start(&pair, EAGER);
    assert_eq!(drill(&proxy, "2s").json()["active_zone"], "fz-2");
    proxy.crash_and_restart();
    until_active(&proxy, "fz-1");
    assert_eq!(report(&proxy)["outcome"], "returned");
    assert!(proxy.get("/").text().starts_with("fz-1 "));
}

#[test]
fn a_drill_is_aborted_by_an_operator() {
    let pair = Pair::start();
    let proxy = start(&pair, EAGER);
    assert_eq!(drill(&proxy, "10m").status, 200);
    assert_eq!(proxy.status()["drill"]["zone"], "fz-1");
    let again = drill(&proxy, "10m");
    assert_eq!(again.status, 409);
    assert!(again.text().contains("--abort"), "{}", again.text());
    let output = Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args(["drill", "--abort", "--reason", "enough"])
        .args(["--admin", &proxy.admin.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(active(&proxy), "fz-1");
    let report = report(&proxy);
    assert_eq!(report["outcome"], "aborted");
    assert!(
        report["explanation"].as_str().unwrap().contains("enough"),
        "{report:#}"
    );
    let none = proxy.admin_post("/v1/drill/abort", "");
    assert_eq!(none.status, 409, "{}", none.text());
}

#[test]
fn an_order_that_is_no_drill_is_refused_and_told_why() {
    let pair = Pair::start();
    let proxy = start(&pair, EAGER);
    for (body, status, words) in [
        ("{}", 400, "\\\"zone\\\" is missing"),
        ("{\"zone\": \"fz-1\"}", 400, "\\\"for\\\" is missing"),
        (
            "{\"zone\": \"fz-1\", \"for\": \"10\"}",
            400,
            "it has no unit",
        ),
        (
            "{\"zone\": \"fz-1\", \"for\": \"48h\"}",
            400,
            "from 1s to 24h",
        ),
        ("{\"zone\": \"fz-1\", \"for\": 10}", 400, "must be a string"),
        (
            "{\"zone\": \"fz-1\", \"for\": \"1m\", \"till\": \"1m\"}",
            400,
            "till",
        ),
        (
            "{\"zone\": \"\", \"for\": \"1m\"}",
            400,
            "\\\"zone\\\" is empty",
        ),
        ("{\"zone\": \"fz-3\", \"for\": \"1m\"}", 404, "no zone"),
        ("{\"zone\": \"fz-2\", \"for\": \"1m\"}", 409, "isn't active"),
    ] {
        let answer = proxy.admin_post("/v1/drill", body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(words), "{body}: {}", answer.text());
    }
    assert_eq!(proxy.admin_post("/v1/zones/fz-1/pin", "").status, 200);
    let pinned = drill(&proxy, "1m");
    assert_eq!(pinned.status, 409);
    assert!(pinned.text().contains("pinned"), "{}", pinned.text());
}
