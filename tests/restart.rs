//! What survives the process: the active zone, the epoch, pins and operator states; and how a process ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::behaviour;
use support::load::Plan;
use support::pair::{
    EAGER, PROMPT, Pair, Zone, active, assert_none_failed, journal, until_active, until_both_serve,
    until_verdict,
};
use support::wait::PATIENCE;
use support::wire::Trouble;
use support::{Origin, Proxy, RawClient, eventually};

#[test]
fn a_restart_keeps_the_active_zone_the_epoch_pins_and_operator_states() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    for path in [
        "zones/fz-2/activate",
        "zones/fz-2/pin",
        "zones/fz-1/backends/app-2/maintenance",
    ] {
        assert_eq!(
            proxy.admin_post(&format!("/v1/{path}"), "").status,
            200,
            "{path}"
        );
    }
    let before = proxy.status();
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    proxy.start_again();
    until_both_serve(&proxy);
    let after = proxy.status();
    for key in ["active_zone", "epoch", "pinned"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["active_zone"], "fz-2");
    assert_eq!(
        after["zones"][0]["components"][1]["operator"],
        "maintenance"
    );
    assert!(proxy.get("/").text().starts_with("fz-2 "));
}

#[test]
fn a_zone_that_is_entered_because_the_active_one_is_gone_is_not_called_degraded_unseen() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    let only = Proxy::builder().check(PROMPT).toml(EAGER);
    proxy.rewrite_config(only.zone("fz-2", &[&pair.standby.servers[0]]));
    proxy.start_again();
    until_verdict(&proxy, "fz-2", "serving");
    let flips = journal(&proxy, "flip");
    assert_eq!(flips.len(), 1, "{flips:#?}");
    assert_eq!(flips[0]["cause"], "reload");
    assert_eq!(flips[0]["degraded"], false, "{:#}", flips[0]);
    let said = proxy.command(&["explain"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("fz-1 is no longer configured"), "{said}");
    assert!(!said.contains("degraded"), "{said}");
}

#[test]
fn a_zone_that_failed_while_the_process_was_gone_gets_no_request_after_its_start() {
    let mut pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    proxy.signal(Signal::TERM);
    proxy.wait_for_exit(PATIENCE);
    pair.preferred.database.refuse();
    proxy.start_again();
    for _ in 0..10 {
        assert!(proxy.get("/").text().starts_with("fz-2 "));
    }
    assert_eq!(pair.preferred.count(), 0);
}

#[test]
fn killed_in_the_middle_of_flips_it_comes_back_with_a_readable_state_and_no_older_epoch() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let mut epoch = proxy.status()["epoch"].as_u64().unwrap();
    for round in 0..8 {
        let admin = proxy.admin;
        let order = if active(&proxy) == "fz-1" {
            ["fz-2", "fz-1"]
        } else {
            ["fz-1", "fz-2"]
        };
        let confirmed = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&confirmed);
        let flipping = thread::spawn(move || flip_until_gone(admin, order, &counting));
        // In another phase of another flip each time.
        eventually(PATIENCE, "it flips", || {
            confirmed.load(Ordering::Acquire) >= round
        });
        // Before the next process is there, lest an order that is late goes to that one.
        proxy.signal(Signal::KILL);
        proxy.wait_for_exit(PATIENCE);
        let (acknowledged, zone) = flipping.join().unwrap();
        proxy.start_again();
        until_both_serve(&proxy);
        let status = proxy.status();
        let now = status["epoch"].as_u64().unwrap();
        let sure = acknowledged.max(epoch);
        assert!(now >= sure, "epoch {now} after {sure} was acknowledged");
        assert!(
            now <= sure + 1,
            "epoch {now}, but only one flip more than {sure} was ever ordered"
        );
        if now == acknowledged {
            assert_eq!(status["active_zone"], zone, "round {round}");
        }
        epoch = now;
        let flips = journal(&proxy, "flip");
        let numbers: Vec<u64> = flips
            .iter()
            .map(|flip| flip["epoch"].as_u64().unwrap())
            .collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
    }
}

/// Orders one flip after the other until the proxy is gone: the last epoch and zone it confirmed.
fn flip_until_gone(admin: SocketAddr, order: [&str; 2], confirmed: &AtomicUsize) -> (u64, String) {
    let (mut epoch, mut zone) = (0, String::new());
    for to in order.into_iter().cycle() {
        let Ok(mut client) = RawClient::try_connect(admin) else {
            break;
        };
        client.send(format!(
            "POST /v1/zones/{to}/activate HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let Ok(answer) = client.response_within("POST", PATIENCE) else {
            break;
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        epoch = answer["epoch"].as_u64().unwrap();
        zone = answer["active_zone"].as_str().unwrap().to_owned();
        confirmed.fetch_add(1, Ordering::AcqRel);
    }
    (epoch, zone)
}

#[test]
fn term_says_not_ready_first_then_finishes_what_is_in_flight() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    for server in &pair.preferred.servers {
        server.behave(behaviour::drip(
            "a slow answer that takes its time",
            8,
            Duration::from_millis(150),
        ));
    }
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "the request is at the app", || {
        pair.preferred.count() == 1
    });
    proxy.signal(Signal::TERM);
    eventually(PATIENCE, "it says that it is not ready", || {
        proxy.admin_get("/readyz").status == 503
    });
    assert!(
        proxy.exited().is_none(),
        "it ended with a request in flight"
    );
    let answer = client.response();
    assert_eq!(
        (answer.status, &*answer.text()),
        (200, "a slow answer that takes its time")
    );
    assert!(proxy.wait_for_exit(PATIENCE).success());
}

#[test]
fn term_closes_idle_connections_and_ends_at_once_when_nothing_is_in_flight() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let mut idle = proxy.client();
    idle.exchange("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    let mut silent = proxy.client();
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "drain_timeout is 30 s: it must not be waited for"
    );
    assert_eq!(idle.rest(PATIENCE), (Vec::new(), Trouble::Closed));
    assert!(silent.ends_within(PATIENCE));
}

#[test]
fn a_second_term_ends_at_once_whatever_is_in_flight() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    hang_a_request(&pair.preferred, &mut proxy, |proxy, client| {
        proxy.signal(Signal::TERM);
        eventually(PATIENCE, "it drains", || {
            proxy.admin_get("/readyz").status == 503
        });
        assert!(proxy.exited().is_none());
        let told = Instant::now();
        proxy.signal(Signal::TERM);
        proxy.wait_for_exit(PATIENCE);
        assert!(
            told.elapsed() < Duration::from_secs(5),
            "drain_timeout is 30 s: it must not be waited for"
        );
        assert!(client.ends_within(PATIENCE));
    });
    assert!(proxy.exited().is_some());
}

#[test]
fn what_is_in_flight_gets_drain_timeout_and_no_more() {
    let pair = Pair::start();
    let mut proxy = pair
        .builder(EAGER)
        .server("drain_timeout = \"700ms\"")
        .start();
    until_both_serve(&proxy);
    hang_a_request(&pair.preferred, &mut proxy, |proxy, client| {
        let told = Instant::now();
        proxy.signal(Signal::TERM);
        proxy.wait_for_exit(PATIENCE);
        let took = told.elapsed();
        assert!(took >= Duration::from_millis(600), "{took:?}");
        assert!(took < Duration::from_secs(6), "{took:?}");
        assert!(client.ends_within(PATIENCE));
    });
}

#[test]
fn a_process_that_ends_under_load_answers_every_request_that_reached_an_app() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let load = Plan {
        rate: 200,
        ..Plan::to(proxy.address)
    }
    .start();
    load.wait_for_more(100);
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    let records = load.finish();
    // One that meets a closed connection was not taken: that it failed is known, and that nothing was done.
    let taken: HashSet<String> = pair
        .zones()
        .into_iter()
        .flat_map(|zone| &zone.servers)
        .flat_map(Origin::seen)
        .filter_map(|seen| seen.field("x-id").map(str::to_owned))
        .collect();
    let taken: Vec<_> = records
        .into_iter()
        .filter(|record| taken.contains(&record.id))
        .collect();
    assert!(taken.len() >= 100, "{}", taken.len());
    assert_none_failed(&taken);
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
}

#[test]
fn a_flip_is_remembered_before_it_shows_and_journalled_before_it_is_announced() {
    let mut pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let epoch = proxy.status()["epoch"].clone();
    // At once, without a chance to write anything more.
    proxy.crash_and_restart();
    until_verdict(&proxy, "fz-2", "serving");
    assert_eq!(active(&proxy), "fz-2");
    assert_eq!(proxy.status()["epoch"], epoch);

    pair.preferred.database.restart();
    until_both_serve(&proxy);
    pair.standby.database.refuse();
    eventually(PATIENCE, "the log announces the flip", || {
        proxy.log().contains("FLIP fz-2")
    });
    proxy.crash_and_restart();
    let flips = journal(&proxy, "flip");
    assert_eq!(flips.last().unwrap()["to"], "fz-1");
    assert_eq!(flips.last().unwrap()["epoch"], proxy.status()["epoch"]);
}

#[test]
fn a_second_process_with_the_same_state_directory_refuses_to_start() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let second = |proxy: &Proxy| {
        Command::new(env!("CARGO_BIN_EXE_firedoor"))
            .args(["serve", "--config"])
            .arg(proxy.config_file())
            .output()
            .unwrap()
    };
    let output = second(&proxy);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!("is in use by process {}: end that one first", proxy.pid());
    assert!(said.contains(&expected), "{said}");
    // Nor has it taken a request from the first one meanwhile; and a dead process keeps nobody out.
    assert_eq!(proxy.get("/").status, 200);
    proxy.crash_and_restart();
    until_both_serve(&proxy);
}

fn hang_a_request(zone: &Zone, proxy: &mut Proxy, then: impl FnOnce(&mut Proxy, &mut RawClient)) {
    for server in &zone.servers {
        server.behave(behaviour::hang());
    }
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "the request is at the app", || zone.count() == 1);
    then(proxy, &mut client);
}

#[test]
fn each_start_is_journaled_with_how_the_last_process_ended_and_where_the_active_zone_was_found() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let first = last_start(&proxy);
    assert_eq!(first["number"], 1, "before all else: {first:#}");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    let nothing = (&Value::Null, &Value::Null, &"fz-1".into(), &1.into());
    assert_eq!(found(&first), nothing);
    proxy.admin_post("/v1/zones/fz-2/activate", "");
    proxy.admin_post("/v1/zones/fz-2/pin", "");

    stop(&mut proxy);
    proxy.start_again();
    let second = last_start(&proxy);
    let (stored, fz_2, epoch) = ("state.json".into(), "fz-2".into(), 2.into());
    let in_order = "in_order".into();
    assert_eq!(found(&second), (&in_order, &stored, &fz_2, &epoch));
    let stopped = journal(&proxy, "stopped").pop().unwrap();
    assert_eq!(stopped["zone"], "fz-2");
    let number = |entry: &Value| entry["number"].as_u64().unwrap();
    assert_eq!(
        number(&stopped) + 1,
        number(&second),
        "nothing is told between"
    );

    proxy.crash_and_restart();
    let killed = "not_in_order".into();
    let third = last_start(&proxy);
    assert_eq!(found(&third), (&killed, &stored, &fz_2, &epoch));
    assert_eq!(journal(&proxy, "stopped").len(), 1);
    let said = third["message"].as_str().unwrap();
    eventually(PATIENCE, "the log warns", || {
        let log = proxy.log();
        log.lines()
            .any(|line| line.contains("WARN") && line.contains(said))
    });
    let told = String::from_utf8(proxy.command(&["journal"]).stdout).unwrap();
    assert!(told.contains(said), "{told}");

    // Nor by a process that finds the state directory taken.
    let second = Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args(["serve", "--config"])
        .arg(proxy.config_file())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    // Told to stop, but killed before it had.
    hang_a_request(&pair.standby, &mut proxy, |proxy, _| {
        proxy.signal(Signal::TERM);
        eventually(PATIENCE, "it drains", || {
            proxy.admin_get("/readyz").status == 503
        });
    });
    proxy.crash_and_restart();
    assert_eq!(
        found(&last_start(&proxy)),
        (&killed, &stored, &fz_2, &epoch)
    );

    // The state is lost: what matters comes from the journal still.
    stop(&mut proxy);
    std::fs::remove_file(proxy.directory().join("state/state.json")).unwrap();
    proxy.start_again();
    let fourth = last_start(&proxy);
    assert_eq!(
        found(&fourth),
        (&in_order, &"journal".into(), &fz_2, &epoch)
    );
    let status = proxy.status();
    assert_eq!((&status["active_zone"], &status["pinned"]), (&fz_2, &fz_2));

    // A journal of a version that doesn't tell of such things; and none.
    stop(&mut proxy);
    let file = proxy.directory().join("state/journal.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.split_inclusive('\n');
    let others = lines.filter(|line| !line.contains("\"kind\":\"st"));
    let older: String = others.collect();
    assert!(older.contains("\"kind\":\"flip\""));
    let unknown = "unknown".into();
    for text in [older.as_str(), ""] {
        std::fs::write(&file, text).unwrap();
        proxy.start_again();
        assert_eq!(
            found(&last_start(&proxy)),
            (&unknown, &stored, &fz_2, &epoch)
        );
        stop(&mut proxy);
    }
}

fn stop(proxy: &mut Proxy) {
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
}

/// The newest start, once it is in the journal.
fn last_start(proxy: &Proxy) -> Value {
    until_both_serve(proxy);
    journal(proxy, "started").pop().expect("a start")
}

fn found(start: &Value) -> (&Value, &Value, &Value, &Value) {
    let field = |name: &str| &start[name];
    (
        field("last_end"),
        field("recalled_from"),
        field("zone"),
        field("epoch"),
    )
}
