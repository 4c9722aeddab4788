//! How requests share connections: as many as the backend allows, few connections, and what zones and idle times do to them.

use std::net::SocketAddr;

use crate::origin::{Options, Origin};
use crate::service::{builder, in_front_of};
use crate::support::load::Plan;
use crate::support::pair::{EAGER, PROMPT, until_active};
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, RawClient, eventually, port};

#[test]
fn many_requests_share_one_connection_of_a_worker() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin]).server("workers = 1").start();
    let mut clients: Vec<_> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send("POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
    for client in &mut clients {
        assert!(client.head().line.contains("200"));
    }
    assert!(origin.most_under_way() >= 20);
    let mut connections: Vec<usize> = origin.seen().iter().map(|seen| seen.connection).collect();
    connections.dedup();
    assert_eq!(connections.len(), 1, "{connections:?}");
}

/// One at a time is all that it takes: the next request gets a connection of its own, up to a number; then they wait, and none is lost.
#[test]
fn a_backend_that_takes_one_request_at_once_gets_no_more_over_a_connection() {
    let origin = Origin::start(Options {
        max_streams: Some(1),
        ..Options::default()
    });
    let proxy = builder(&[&origin]).server("workers = 1").start();
    let mut clients: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    for _ in 0..4 {
        for client in &mut clients {
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        }
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
    }
    assert_eq!(origin.seen().len(), 200);
    // 16 of the worker's, and that of a check.
    assert!(origin.most_under_way() <= 17, "{}", origin.most_under_way());
}

#[test]
fn an_idle_connection_ends_by_our_goodbye() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin])
        .toml("[upstream]\nidle_timeout = \"300ms\"")
        .check("path = \"/health\"\ninterval = \"1h\"\ntimeout = \"5s\"")
        .start();
    assert_eq!(proxy.get("/echo").status, 200);
    eventually(PATIENCE, "it is gone", || origin.open() == 0);
    assert_eq!(proxy.get("/echo").status, 200);
}

/// Those that wait go elsewhere, by the same rule as over HTTP/1.1; and a zone that died under load costs no idempotent request.
#[test]
fn a_zone_that_dies_is_left_without_a_lost_get() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{}", first.address), "")
        .zone_at("fz-2", &[])
        .backend_at("app-1", &format!("h2c://{}", second.address), "")
        .start();
    proxy.until_all_up();
    let load = Plan {
        rate: 150,
        ..Plan::to(proxy.address)
    }
    .only_get()
    .start();
    load.wait_for_more(100);
    drop(first);
    until_active(&proxy, "fz-2");
    load.wait_for_more(100);
    let failed: Vec<_> = load
        .finish()
        .into_iter()
        .filter(|record| !record.succeeded())
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_planned_flip_moves_requests_and_leaves_those_under_way() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .server("workers = 1\ndrain_timeout = \"3s\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{}", first.address), "")
        .zone_at("fz-2", &[])
        .backend_at("app-1", &format!("h2c://{}", second.address), "")
        .start();
    proxy.until_all_up();
    let mut talks = proxy.client();
    talks.send("POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(talks.head().line.contains("200"));
    let flip = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(flip.status, 200, "{}", flip.text());
    assert_eq!(proxy.get("/echo").field("x-origin"), Some("b"));
    talks.send("3\r\none\r\n");
    assert_eq!(talks.exact(8).unwrap(), b"3\r\nONE\r\n");
    // And then its time is over: cut, not ended.
    let (rest, _) = talks.rest(PATIENCE);
    assert!(rest.is_empty(), "{rest:?}");
}

/// Two zones, and one worker. Their `checks` find no fault.
fn two_zones(first: SocketAddr, second: &Origin, sections: &str, checks: &str) -> Proxy {
    let proxy = Proxy::builder()
        .check(checks)
        .toml(EAGER)
        .toml(sections)
        .server("workers = 1")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{first}"), "")
        .zone_at("fz-2", &[])
        .backend_at("app-1", &format!("h2c://{}", second.address), "")
        .start();
    proxy.until_all_up();
    proxy
}

/// So many who POST to `path`.
fn posts(proxy: &Proxy, path: &str, number: usize) -> Vec<RawClient> {
    let mut clients: Vec<_> = (0..number).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
        ));
    }
    clients
}

/// Leaves fz-1 in order once `in_flight` requests are there: those of them that are `unsent` are answered in fz-2.
#[track_caller]
fn leave(proxy: &Proxy, in_flight: usize, mut unsent: Vec<RawClient>) {
    proxy.until_status("all are in flight", |status| {
        status["zones"][0]["components"][0]["in_flight"] == in_flight
    });
    let flip = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(flip.status, 200, "{}", flip.text());
    for client in &mut unsent {
        let answer = client.response_within("POST", PATIENCE).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-origin"), Some("b"));
    }
    let metrics = proxy.admin_get("/metrics").text();
    let number = unsent.len();
    let left = format!("firedoor_retries_total{{reason=\"left\"}} {number}\n");
    assert!(metrics.contains(&left), "{metrics}");
}

#[test]
fn who_waits_for_room_in_a_zone_that_is_left_goes_to_the_new_one_at_once() {
    let second = Origin::named("b");
    let first = Origin::start(Options {
        max_streams: Some(1),
        ..Options::default()
    });
    let proxy = two_zones(first.address, &second, "", PROMPT);
    let sent = posts(&proxy, "/never", 16);
    eventually(PATIENCE, "they are there", || first.seen().len() == 16);
    leave(&proxy, 17, posts(&proxy, "/echo", 1));
    assert_eq!(first.cancelled(), 0, "those that were sent stay");
    assert_eq!(first.seen().len(), 16);
    drop(sent);
}

/// One of them connects, the others wait for their turn.
#[test]
fn who_waits_for_a_connection_in_a_zone_that_is_left_goes_to_the_new_one_at_once() {
    let second = Origin::named("b");
    let silent = port::listen();
    let sections = "[upstream]\nconnect_timeout = \"1m\"";
    let checks = "kind = \"tcp\"\ninterval = \"1h\"";
    let address = silent.local_addr().unwrap();
    let proxy = two_zones(address, &second, sections, checks);
    leave(&proxy, 4, posts(&proxy, "/echo", 4));
}

#[test]
fn the_standby_has_a_connection_before_the_flip() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::builder()
        .check("path = \"/health\"\ninterval = \"1h\"\ntimeout = \"5s\"")
        .toml("[upstream]\nidle_timeout = \"1h\"")
        .server("workers = 1")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{}", first.address), "")
        .zone_at("fz-2", &[])
        .backend_at("app-1", &format!("h2c://{}", second.address), "")
        .start();
    proxy.until_all_up();
    eventually(
        PATIENCE,
        "it was asked over a connection that stays",
        || second.checks() >= 2 && second.open() == 1,
    );
}

#[test]
fn cleartext_http_1_1_beside_it_in_one_pool_is_spoken_to_as_ever() {
    let (new, old) = (Origin::named("new"), crate::support::Origin::named("old"));
    let proxy = builder(&[&new])
        .toml("[upstream]\nbalance = \"round-robin\"")
        .backend("old", old.address(), "")
        .start();
    proxy.until_all_up();
    for _ in 0..20 {
        assert_eq!(proxy.get("/echo").status, 200);
    }
    assert!(new.seen().len() >= 5 && old.count() >= 5);
    drop(in_front_of(&[&new]));
}
