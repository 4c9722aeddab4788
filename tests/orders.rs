//! What operators order: planned flips, pins, drains and maintenance; and requests that wait meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use support::behaviour::{self, Behaviour, custom};
use support::load::Plan;
use support::pair::{
    EAGER, Pair, active, assert_none_failed, journal, journal_of, sound, until_active,
    until_both_serve, until_verdict,
};
use support::process::{freeze, thaw};
use support::wait::PATIENCE;
use support::{Proxy, RawClient, Response, eventually};

#[test]
fn planned_flips_under_load_lose_nothing_and_execute_nothing_twice() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan {
        rate: 200,
        ..Plan::to(proxy.address)
    }
    .start();
    for zone in ["fz-2", "fz-1", "fz-2", "fz-1"] {
        load.wait_for_more(60);
        order(&proxy, &format!("zones/{zone}/activate"));
        assert_eq!(active(&proxy), zone);
    }
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    assert_eq!(journal_of(&proxy, "flip", 4).len(), 4);
}

#[test]
fn a_planned_flip_waits_for_what_is_in_flight_and_holds_what_comes() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let (behaviour, gate) = gated("fz-1", "slow");
    for server in &pair.preferred.servers {
        server.behave(behaviour.clone());
    }
    thread::scope(|scope| {
        let running = scope.spawn(|| proxy.get("/running"));
        eventually(PATIENCE, "the request is at the app", || {
            pair.preferred.count() == 1
        });
        let flip = scope.spawn(|| order(&proxy, "zones/fz-2/activate"));
        proxy.until_status("a flip is pending", |status| {
            status["flip_pending"] == "fz-2"
        });
        let waiting = scope.spawn(|| proxy.get("/waiting"));
        proxy.until_status("a request waits", |status| status["holds"] == 1);
        assert_eq!(active(&proxy), "fz-1");
        assert_eq!(pair.standby.count(), 0);
        gate.store(true, Ordering::Release);
        assert_eq!(running.join().unwrap().text(), "fz-1 slow");
        assert!(waiting.join().unwrap().text().starts_with("fz-2 "));
        flip.join().unwrap();
    });
    assert_eq!(active(&proxy), "fz-2");
}

#[test]
fn a_planned_flip_waits_no_longer_than_drain_timeout() {
    let pair = Pair::start();
    let proxy = pair
        .builder(EAGER)
        .server("drain_timeout = \"500ms\"")
        .start();
    until_both_serve(&proxy);
    for server in &pair.preferred.servers {
        server.behave(behaviour::hang());
    }
    let mut stuck = proxy.client();
    stuck.send("GET /stuck HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "the request is at the app", || {
        pair.preferred.count() == 1
    });
    let began = Instant::now();
    order(&proxy, "zones/fz-2/activate");
    assert_eq!(active(&proxy), "fz-2");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(400),
        "it did not wait for what was in flight: {took:?}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(proxy.get("/").text().starts_with("fz-2 "));
}

#[test]
fn who_leaves_the_preferred_zone_is_told_that_the_traffic_goes_back_by_itself() {
    let pair = Pair::start();
    let auto = format!("{EAGER}failback = \"auto\"\nfailback_after = \"1h\"\n");
    let window =
        auto.replace("auto", "window") + "failback_window = \"03:00-04:00 Europe/Berlin\"\n";
    let mut proxy = pair.proxy(&auto);
    let said = |proxy: &Proxy, command: &[&str]| {
        let output = proxy.command(command);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let back = "fz-1 is preferred, so the traffic goes back there by itself";
    let told = said(&proxy, &["zone", "activate", "fz-2"]);
    let line = told.lines().last().unwrap();
    assert!(line.starts_with(&format!("{back}, in 3")), "{told}");
    assert!(line.ends_with(": firedoor zone pin fz-2"), "{told}");
    eventually(PATIENCE, "the log says it too", || {
        proxy.log().contains(line)
    });
    for command in [
        ["zone", "pin", "fz-2"],
        ["zone", "unpin", "fz-2"],
        ["zone", "activate", "fz-1"],
    ] {
        let told = said(&proxy, &command);
        assert!(!told.contains(back), "{told}");
    }

    proxy.rewrite_config(pair.builder(&window));
    said(&proxy, &["reload"]);
    let told = said(&proxy, &["zone", "activate", "fz-2"]);
    let when = format!("{back} between 03:00 and 04:00 Europe/Berlin, in 3");
    assert!(told.contains(&when), "{told}");
    said(&proxy, &["failback"]);

    proxy.rewrite_config(pair.builder(EAGER));
    said(&proxy, &["reload"]);
    let told = said(&proxy, &["zone", "activate", "fz-2"]);
    assert!(!told.contains(back), "{told}");
}

#[test]
fn a_flip_without_a_hold_commits_at_once() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    for server in &pair.preferred.servers {
        server.behave(behaviour::hang());
    }
    let mut stuck = proxy.client();
    stuck.send("GET /stuck HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "the request is at the app", || {
        pair.preferred.count() == 1
    });
    let began = Instant::now();
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "drain_timeout is 30 s: it must not be waited for"
    );
    assert_eq!(active(&proxy), "fz-2");
}

#[test]
fn a_pinned_zone_stays_active_until_it_is_unpinned() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    order(&proxy, "zones/fz-1/pin");
    pair.preferred.servers[0].refuse();
    until_verdict(&proxy, "fz-1", "failed");
    eventually(PATIENCE, "it says what it would have done", || {
        journal(&proxy, "withheld")
            .iter()
            .any(|entry| entry["rule"] == "pinned" && entry["to"] == "fz-2")
    });
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(proxy.get("/").text(), "fz-1 app-2");
    order(&proxy, "zones/fz-1/unpin");
    until_active(&proxy, "fz-2");
}

#[test]
fn a_backend_in_maintenance_counts_for_nothing_and_gets_nothing() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    order(&proxy, "zones/fz-1/backends/app-1/maintenance");
    pair.preferred.servers[0].refuse();
    let before = proxy.status()["epoch"].clone();
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "fz-1 app-2");
    }
    // The other one counts alone now.
    pair.preferred.servers[1].behave_to_checks(behaviour::answer(500, &[], "sick"));
    until_active(&proxy, "fz-2");
    assert_ne!(proxy.status()["epoch"], before);
    pair.preferred.servers[1].behave_to_checks(behaviour::healthy());
    until_verdict(&proxy, "fz-1", "serving");
    order(&proxy, "zones/fz-1/backends/app-1/ready");
    until_verdict(&proxy, "fz-1", "failed");
}

#[test]
fn a_drained_backend_finishes_what_it_has_and_gets_nothing_new() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let (behaviour, gate) = gated("fz-1", "app-1");
    pair.preferred.servers[0].behave(behaviour);
    thread::scope(|scope| {
        let mut clients = Vec::new();
        while pair.preferred.servers[0].count() == 0 {
            clients.push(scope.spawn(|| proxy.get("/")));
            eventually(PATIENCE, "the request is at an app server", || {
                pair.preferred.count() == clients.len()
            });
        }
        order(&proxy, "zones/fz-1/backends/app-1/drain");
        for _ in 0..20 {
            assert_eq!(proxy.get("/").text(), "fz-1 app-2");
        }
        gate.store(true, Ordering::Release);
        for client in clients {
            assert_eq!(client.join().unwrap().status, 200);
        }
        assert_eq!(pair.preferred.servers[0].count(), 1);
    });
    until_verdict(&proxy, "fz-1", "serving");
}

#[test]
fn requests_wait_while_no_backend_is_up_and_succeed_when_one_comes_back() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    pair.preferred.refuse();
    pair.standby.refuse();
    proxy.until_status("nothing is up", |status| status["status"] == "fail");
    thread::scope(|scope| {
        let get = scope.spawn(|| proxy.get("/"));
        let post = scope.spawn(|| post(&proxy, "waiting-1"));
        proxy.until_status("both wait", |status| status["holds"] == 2);
        pair.standby.restart();
        assert_eq!(get.join().unwrap().status, 200);
        assert_eq!(post.join().unwrap().status, 200);
    });
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    eventually(PATIENCE, "nobody waits any more", || {
        proxy.status()["holds"] == 0
    });
}

#[test]
fn an_order_whose_giver_has_left_is_not_carried_out() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let process = Pid::from_raw(proxy.pid().cast_signed()).unwrap();
    freeze(process);
    // What a frozen firedoor's socket takes in it finds when it goes on, however long after.
    RawClient::connect(proxy.admin).send(format!(
        "POST /v1/zones/fz-2/activate HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        proxy.admin
    ));
    thaw(process);
    order(&proxy, "zones/fz-1/pin");
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(journal_of(&proxy, "order", 1).len(), 1);
}

#[test]
fn after_hold_time_a_request_gets_503_and_is_told_when_to_come_back() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&EAGER.replace("10s", "700ms"));
    pair.preferred.refuse();
    pair.standby.refuse();
    proxy.until_status("nothing is up", |status| status["status"] == "fail");
    let asked = Instant::now();
    let answer = proxy.get("/");
    let took = asked.elapsed();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.field("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert!(
        took >= Duration::from_millis(600),
        "it was not held: {took:?}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    let line = proxy.access_line("/");
    assert!(line["held_ms"].as_f64().unwrap() >= 600.0, "{line:#}");
}

#[test]
fn no_more_than_hold_requests_wait_and_one_more_is_turned_away_at_once() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!("{EAGER}hold_requests = 2"));
    pair.preferred.refuse();
    pair.standby.refuse();
    proxy.until_status("nothing is up", |status| status["status"] == "fail");
    let waiting: Vec<RawClient> = (0..2)
        .map(|_| {
            let mut client = proxy.client();
            client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
            client
        })
        .collect();
    proxy.until_status("two wait", |status| status["holds"] == 2);
    let asked = Instant::now();
    let answer = proxy.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").is_some());
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "hold_time is 10 s: it must not be waited for"
    );
    // One who leaves makes room.
    drop(waiting);
    eventually(PATIENCE, "those who left are not counted", || {
        proxy.status()["holds"] == 0
    });
}

#[test]
fn a_tunnel_into_a_zone_that_was_left_is_closed_after_drain_timeout() {
    let pair = Pair::start();
    let proxy = pair.builder(EAGER).server("drain_timeout = \"3s\"").start();
    until_both_serve(&proxy);
    for server in pair.zones().into_iter().flat_map(|zone| &zone.servers) {
        server.behave(behaviour::upgrade());
    }
    let mut tunnel = open_tunnel(&proxy);
    let mut idle = open_tunnel(&proxy);
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let left = Instant::now();
    assert_eq!(tunnel.send("still here").exact(10).unwrap(), b"STILL HERE");
    assert!(
        tunnel.ends_within(Duration::from_secs(10)),
        "the tunnel lives on in a zone that was left"
    );
    assert!(
        idle.ends_within(Duration::from_secs(10)),
        "the idle tunnel lives on in a zone that was left"
    );
    assert!(
        left.elapsed() < Duration::from_secs(10),
        "{:?}",
        left.elapsed()
    );
    let mut tunnel = open_tunnel(&proxy);
    assert_eq!(tunnel.send("new zone").exact(8).unwrap(), b"NEW ZONE");
    assert_eq!(pair.standby.count(), 1);
}

#[test]
fn a_stream_of_events_from_a_zone_that_was_left_ends_visibly_after_drain_timeout() {
    let pair = Pair::start();
    let proxy = pair.builder(EAGER).server("drain_timeout = \"1s\"").start();
    until_both_serve(&proxy);
    for server in &pair.zones()[0].servers {
        server.behave(behaviour::events(Duration::from_millis(100)));
    }
    let mut stream = proxy.client();
    stream.send("GET /events HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(stream.head().line.starts_with("HTTP/1.1 200 "));
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        stream.ends_within(Duration::from_secs(10)),
        "each event gives the stream new time in a zone that was left"
    );
}

#[test]
fn a_storm_of_refused_orders_leaves_the_journal_room_and_is_told_all_the_same() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let mut client = RawClient::connect(proxy.admin);
    for number in 0..300 {
        // Nonsense, a zone that isn't there, and a state of affairs that is past: each is refused at another place.
        let (path, field, body) = match number % 3 {
            0 => ("zones/fz-2/pin", "", "{\"reason\": 7}"),
            1 => ("zones/fz-9/pin", "", "{}"),
            _ => ("zones/fz-2/pin", "If-Match: \"past\"\r\n", "{}"),
        };
        let answer = client.exchange(format!(
            "POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\n{field}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    order(&proxy, "zones/fz-1/pin");
    let orders = journal_of(&proxy, "order", 21);
    let (done, refused) = orders.split_last().unwrap();
    assert!(refused.iter().all(|order| order["result"] == "refused"));
    // A slow machine takes minutes for so many, and each minute has room for one more.
    assert!((20..30).contains(&refused.len()), "{}", refused.len());
    assert_eq!(done["result"], "done", "{done:#}");
    assert_eq!(done["left_out"], 300 - refused.len());
    let told = "refused orders before it are not in the journal";
    assert!(done["message"].as_str().unwrap().contains(told), "{done:#}");
}

fn open_tunnel(proxy: &Proxy) -> RawClient {
    let mut tunnel = proxy.client();
    tunnel.send(
        "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    let head = tunnel.head();
    assert!(head.line.starts_with("HTTP/1.1 101 "), "{}", head.line);
    tunnel
}

fn post(proxy: &Proxy, id: &str) -> Response {
    proxy.client().exchange(format!(
        "POST /orders HTTP/1.1\r\nHost: app.example\r\nX-Id: {id}\r\nContent-Length: 3\r\n\r\none"
    ))
}

/// Answers only once the gate is open.
fn gated(zone: &str, server: &str) -> (Behaviour, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let (open, answer) = (Arc::clone(&gate), sound(zone, server));
    let behaviour = custom(move |exchange| {
        exchange.read_body();
        eventually(PATIENCE, "the test opens the gate", || {
            open.load(Ordering::Acquire)
        });
        answer(exchange)
    });
    (behaviour, gate)
}

fn order(proxy: &Proxy, path: &str) {
    let answer = proxy.admin_post(&format!("/v1/{path}"), "{\"reason\": \"a test\"}");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}
