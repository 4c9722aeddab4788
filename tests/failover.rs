//! A component fails, and the traffic is in the other zone: which faults flip, which don't, and what clients notice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "failover/lost.rs"]
mod lost;
#[path = "failover/standstill.rs"]
mod standstill;
mod support;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use support::behaviour::{self, answer};
use support::load::Plan;
use support::pair::{
    EAGER, PROMPT, Pair, active, assert_no_get_failed, assert_none_failed, journal, journal_of,
    sound, until_active, until_both_serve, until_verdict,
};
use support::wait::PATIENCE;
use support::{Origin, Proxy, eventually};

#[test]
fn an_app_server_that_refuses_connections_flips_its_zone_and_no_get_fails() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    pair.preferred.servers[0].refuse();
    until_active(&proxy, "fz-2");
    load.wait_for_more(60);
    let records = load.finish();
    assert_no_get_failed(&records);
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    let served: Vec<&String> = records
        .iter()
        .filter_map(|record| record.served_by.as_ref())
        .collect();
    assert!(served.last().unwrap().starts_with("fz-2/"), "{served:?}");
    let hung: Vec<_> = records
        .iter()
        .filter(|record| record.took > Duration::from_secs(5))
        .collect();
    assert!(
        hung.is_empty(),
        "a killed app server answers nobody, and nobody waits for it: {hung:#?}"
    );
}

#[test]
fn an_app_server_that_hangs_flips_its_zone_and_gets_are_answered_by_the_standby() {
    let pair = Pair::start();
    let proxy = pair
        .builder(&format!("{EAGER}[upstream]\nresponse_timeout = \"3s\""))
        .check(&PROMPT.replace("10s", "2s"))
        .start();
    until_both_serve(&proxy);
    let gets = Plan::to(proxy.address).only_get().start();
    gets.wait_for_more(120);
    let hung = &pair.preferred.servers[0];
    let before = hung.count();
    hung.behave(behaviour::hang());
    eventually(PATIENCE, "a GET is caught by the hung app server", || {
        hung.count() > before
    });
    let posts = Plan::to(proxy.address).start();
    hung.behave_to_checks(behaviour::hang());
    until_active(&proxy, "fz-2");
    gets.wait_for_more(60);
    let mut records = gets.finish();
    records.extend(posts.finish());
    assert_no_get_failed(&records);
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
}

#[test]
fn a_failing_check_flips_the_zone_and_harms_no_request() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    pair.preferred.servers[1].behave_to_checks(answer(500, &[], "sick"));
    until_active(&proxy, "fz-2");
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
}

#[test]
fn a_database_that_is_down_flips_its_whole_zone_and_the_journal_says_why() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let before = pair.preferred.count();
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    // What was on its way at the flip may still have been counted after it.
    assert!(
        pair.preferred.count() <= before + 3,
        "fz-1 got requests after the flip"
    );

    let flips = journal_of(&proxy, "flip", 1);
    assert_eq!(flips.len(), 1, "{flips:#?}");
    let flip = &flips[0];
    assert_eq!(
        (&flip["from"], &flip["to"], &flip["cause"]),
        (&"fz-1".into(), &"fz-2".into(), &"failover".into())
    );
    assert!(flip["reasons"].to_string().contains("database"), "{flip:#}");
    assert!(!flip["rule"].as_str().unwrap().is_empty(), "{flip:#}");
}

#[test]
fn a_dependency_that_is_not_required_flips_nothing() {
    let pair = Pair::start();
    let mut cache = Origin::named("cache");
    let proxy = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .zone("fz-1", &[&pair.preferred.servers[0]])
        .dependency("cache", cache.address(), "required = false")
        .zone("fz-2", &[&pair.standby.servers[0]])
        .start();
    until_both_serve(&proxy);
    cache.refuse();
    proxy.until_status("the cache is down", |status| {
        status["zones"][0]["components"]
            .as_array()
            .unwrap()
            .iter()
            .any(|component| component["name"] == "cache" && component["status"] == "down")
    });
    until_verdict(&proxy, "fz-1", "serving");
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(proxy.get("/").text(), "fz-1 app-1");
}

#[test]
fn a_loosened_pool_stays_until_too_few_of_its_backends_are_up() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!(
        "{EAGER}[[pool]]\nname = \"default\"\nmin_healthy = 1"
    ));
    pair.preferred.servers[0].refuse();
    proxy.until_status("app-1 is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "fz-1 app-2");
    }
    assert_eq!(active(&proxy), "fz-1");
    pair.preferred.servers[1].refuse();
    until_active(&proxy, "fz-2");
}

#[test]
fn with_both_zones_failed_the_door_goes_where_most_is_up_and_never_in_circles() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&EAGER.replace("10s", "300ms"));
    pair.preferred.servers[0].refuse();
    until_active(&proxy, "fz-2");
    // Both have failed alike now: no reason to move.
    pair.standby.servers[0].refuse();
    until_verdict(&proxy, "fz-2", "failed");
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "fz-2 app-2");
    }
    assert_eq!(journal_of(&proxy, "nowhere_to_go", 1).len(), 1);
    // Now fz-1 can serve something and fz-2 nothing.
    pair.standby.servers[1].refuse();
    until_active(&proxy, "fz-1");
    assert_eq!(proxy.get("/").text(), "fz-1 app-2");
    assert_eq!(journal_of(&proxy, "flip", 2)[1]["degraded"], true);
    // Nothing is up anywhere.
    pair.preferred.servers[1].refuse();
    proxy.until_status("nothing is up", |status| status["status"] == "fail");
    let answer = proxy.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(journal(&proxy, "flip").len(), 2);
    assert_eq!(proxy.admin_get("/health").status, 503);
}

#[test]
fn failback_is_an_operators_decision_unless_configured_otherwise() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!("{EAGER}failback_after = \"200ms\""));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    eventually(PATIENCE, "firedoor says that failback is possible", || {
        journal(&proxy, "failback_possible").len() == 1
    });
    assert_eq!(active(&proxy), "fz-2");

    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    let answer = proxy.admin_post("/v1/failback", "{\"reason\": \"the database is back\"}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(active(&proxy), "fz-1");
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
}

#[test]
fn automatic_failback_waits_its_time_and_loses_nothing() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!(
        "{EAGER}failback = \"auto\"\nfailback_after = \"1s\""
    ));
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_verdict(&proxy, "fz-1", "serving");
    until_active(&proxy, "fz-1");
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    assert_eq!(journal_of(&proxy, "flip", 2)[1]["cause"], "failback");
    let at = |entry: &Value| -> Timestamp { entry["at"].as_str().unwrap().parse().unwrap() };
    let serving = |entry: &&Value| entry["zone"] == "fz-1" && entry["to"] == "serving";
    let serves = at(journal(&proxy, "verdict").iter().rfind(serving).unwrap());
    let back = at(&journal_of(&proxy, "flip_begun", 1)[0]);
    let waited = back.duration_since(serves);
    assert!(
        waited.as_millis() >= 990,
        "it went back when fz-1 had been serving for {waited:?}"
    );
}

#[test]
fn min_stay_withholds_a_flip_unless_the_active_zone_can_serve_nothing() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&EAGER.replace("min_stay = \"0s\"", "min_stay = \"1h\""));
    pair.preferred.servers[0].refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.servers[0].restart();
    until_both_serve(&proxy);
    pair.standby.servers[0].refuse();
    until_verdict(&proxy, "fz-2", "failed");
    eventually(PATIENCE, "it says which rule holds it", || {
        journal(&proxy, "withheld")
            .iter()
            .any(|entry| entry["rule"] == "min_stay")
    });
    assert_eq!(proxy.get("/").text(), "fz-2 app-2");
    pair.standby.servers[1].refuse();
    until_active(&proxy, "fz-1");
}

#[test]
fn past_the_flip_budget_the_door_stays_and_says_so() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&EAGER.replace("1000", "1"));
    pair.preferred.servers[0].refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.servers[0].restart();
    until_both_serve(&proxy);
    pair.standby.servers[0].refuse();
    eventually(PATIENCE, "it says which rule holds it", || {
        journal(&proxy, "withheld")
            .iter()
            .any(|entry| entry["rule"] == "max_flips_per_hour")
    });
    assert_eq!(active(&proxy), "fz-2");
    assert_eq!(proxy.status()["flips_left"], 0);
    assert_eq!(proxy.get("/").text(), "fz-2 app-2");
}

#[test]
fn an_app_server_learns_zone_and_epoch_of_every_request_and_epochs_never_go_back() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(30);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    load.wait_for_more(30);
    load.finish();
    let mut last = Vec::new();
    for zone in pair.zones() {
        let mut epochs: Vec<u64> = Vec::new();
        for request in zone.servers.iter().flat_map(Origin::seen) {
            assert_eq!(request.field("firedoor-zone"), Some(zone.name));
            epochs.push(request.field("firedoor-epoch").unwrap().parse().unwrap());
        }
        assert!(
            epochs.windows(2).all(|pair| pair[0] == pair[1]),
            "{}: {epochs:?}",
            zone.name
        );
        last.push(epochs[0]);
    }
    assert!(last[0] < last[1], "{last:?}");
}

#[test]
fn backends_may_be_named_and_a_name_that_does_not_resolve_stops_nothing() {
    let pair = Pair::start();
    let backend = |origin: &Origin| format!("localhost:{}", origin.address().port());
    let proxy = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .toml(&format!(
            "[[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]\n\
             [[zone]]\nname = \"fz-2\"\nbackend = [{{ address = \"nowhere.invalid:80\" }}]",
            backend(&pair.preferred.servers[0]),
            backend(&pair.preferred.servers[1]),
        ))
        .start();
    until_verdict(&proxy, "fz-1", "serving");
    until_verdict(&proxy, "fz-2", "failed");
    assert!(proxy.get("/").text().starts_with("fz-1 app-"));
    let status = proxy.status();
    let component = &status["zones"][1]["components"][0];
    assert_eq!(component["address"], "nowhere.invalid:80");
    assert_eq!(component["status"], "down", "{component:#}");
}

#[test]
fn an_app_server_that_comes_back_takes_part_again() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!(
        "{EAGER}[[pool]]\nname = \"default\"\nmin_healthy = 1"
    ));
    pair.preferred.servers[0].refuse();
    proxy.until_status("app-1 is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    pair.preferred.servers[0].restart();
    pair.preferred.servers[0].behave(sound("fz-1", "app-1"));
    eventually(PATIENCE, "app-1 gets requests again", || {
        proxy.get("/").text() == "fz-1 app-1"
    });
}

#[test]
fn a_request_that_meets_the_end_of_an_idle_connection_is_answered_at_once() {
    let origin = Origin::named("a");
    let proxy = Proxy::builder()
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let mut post = |id: String| {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: {id}\r\nContent-Length: 3\r\n\r\none"
        ));
        let answer = client.response_within("POST", Duration::from_secs(5));
        answer
            .unwrap_or_else(|broken| panic!("{id}: {broken:?}"))
            .status
    };
    for round in 0..300 {
        assert_eq!(post(format!("{round}-before")), 200);
        // Somewhere between the pick of the idle connection and its first byte.
        std::thread::scope(|scope| {
            scope.spawn(|| origin.close_connections());
            let status = post(format!("{round}-meanwhile"));
            // Not one byte sent: it goes over another connection. Sent: nobody may send it again.
            assert!(matches!(status, 200 | 502), "{status}");
        });
        // The pool must not be left with a connection that is gone.
        let status = post(format!("{round}-after"));
        assert!(matches!(status, 200 | 502), "{status}");
    }
    assert!(origin.posts().values().all(|count| *count == 1));
}
