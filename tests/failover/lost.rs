//! What becomes of requests that were in flight when their connections broke.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::support::behaviour::{self, Behaviour, Next};
use super::support::pair::{EAGER, sound, until_both_serve};
use super::support::wait::PATIENCE;
use super::support::{Origin, Proxy, RawClient, eventually};

/// Checks that have had their say after two seconds.
const TIMELY: &str = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"1s\"\nconfirm_interval = \"20ms\"\nfall = 2";

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

/// So many clients whose GETs are at `origin`.
fn waiting_for(origin: &Origin, proxy: &Proxy, count: usize) -> Vec<RawClient> {
    let before = origin.count();
    let clients = (0..count).map(|_| {
        let mut client = proxy.client();
        client.send(GET);
        client
    });
    let clients = clients.collect();
    eventually(PATIENCE, "all requests are there", || {
        origin.count() == before + count
    });
    clients
}

#[test]
fn as_many_as_a_dead_zone_had_go_to_the_next_one_at_once() {
    let (mut old, new) = (
        Origin::start(behaviour::hang()),
        Origin::start(behaviour::hang()),
    );
    let proxy = Proxy::builder()
        .server("workers = 1")
        .toml(&EAGER.replace("10s", "2s"))
        .zone("fz-1", &[&old])
        .zone("fz-2", &[&new])
        .start();
    until_both_serve(&proxy);
    let _clients = waiting_for(&old, &proxy, 300);
    // As when its process is killed: nothing is in flight any more when the probes have found out.
    old.close_connections();
    proxy.until_status("all are lost", |status| status["holds"] == 300);
    old.refuse();
    // Nobody is answered there, so that a pace of sixteen would grow for three seconds until the last one goes: too long for it.
    eventually(PATIENCE, "all of them are in the next zone", || {
        new.count() == 300
    });
}

#[test]
fn who_was_lost_waits_for_its_turn_in_the_next_zone_as_long_as_anybody() {
    let open = Arc::new(AtomicBool::new(false));
    let mut old = Origin::start(behaviour::hang());
    let new = Origin::start(behaviour::gated(&open, sound("fz-2", "app")));
    let proxy = Proxy::builder()
        .check(TIMELY)
        .toml(&EAGER.replace("10s", "1m"))
        .zone("fz-1", &[&old])
        .zone("fz-2", &[])
        .backend("app", new.address(), "max_in_flight = 1")
        .start();
    until_both_serve(&proxy);
    let mut clients = waiting_for(&old, &proxy, 3);
    old.refuse();
    eventually(PATIENCE, "the first one is in the next zone", || {
        new.count() == 1
    });
    for client in &mut clients {
        let early = client.some(Duration::from_secs(2));
        assert!(early.is_err(), "it was answered: {early:?}");
    }
    open.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
}

/// Resets the connection of the first requests, so many of them, and answers the others.
fn breaking(times: usize) -> Behaviour {
    let asked = AtomicUsize::new(0);
    let answer = sound("fz-1", "app");
    behaviour::custom(move |exchange| {
        if asked.fetch_add(1, Ordering::SeqCst) < times {
            return Next::Reset;
        }
        answer(exchange)
    })
}

#[test]
fn a_get_whose_connection_breaks_is_sent_once_more_to_a_lone_backend_whose_checks_pass() {
    for (times, status) in [(1, 200), (9, 502)] {
        let origin = Origin::start(breaking(times));
        let standby = Origin::named("standby");
        let proxy = Proxy::builder()
            .check(TIMELY)
            .toml(&EAGER.replace("10s", "1m"))
            .zone("fz-1", &[&origin])
            .zone("fz-2", &[&standby])
            .start();
        until_both_serve(&proxy);
        assert_eq!(proxy.get("/").status, status);
        assert_eq!(origin.count(), 2, "one that breaks it each time is no more");
        let post = "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\none";
        origin.behave(breaking(1));
        assert_eq!(proxy.client().exchange(post).status, 502);
        assert_eq!(origin.count(), 3, "a POST is never sent again");
        assert_eq!(standby.count(), 0);
    }
}
