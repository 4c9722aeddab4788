//! Those who wait for a planned flip: in which order and how many at once they are let go, and what becomes of those who leave.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::promotion::Place;
use super::support::behaviour::{Behaviour, custom};
use super::support::pair::{EAGER, Pair, sound, until_both_serve};
use super::support::wait::PATIENCE;
use super::support::{Origin, Proxy, RawClient, eventually};
use super::{PATIENT, activate, start};

/// A script that runs until the file `go` is there: as long, requests wait.
const UNTIL_GO: &str = "while [ ! -e $D/go ]; do sleep 0.01; done";

/// Begins a planned flip to fz-2 that is held up until `let_go`, then calls `meanwhile`, and waits for the flip.
fn while_flipping(proxy: &Proxy, place: &Place, meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        let flip = scope.spawn(|| activate(proxy, "fz-2"));
        proxy.until_status("the command runs", |status| {
            status["decision"] == "flip to fz-2: promote_command is running"
        });
        meanwhile();
        let_go(place);
        assert_eq!(flip.join().unwrap().status, 200);
    });
}

fn let_go(place: &Place) {
    std::fs::write(place.file("go"), "").unwrap();
}

/// Sends a request that will wait, and waits until it does.
fn wait_in_line(proxy: &Proxy, name: &str, position: usize) -> RawClient {
    let mut client = proxy.client();
    client.send(format!("GET /{name} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
    proxy.until_status(&format!("{name} waits"), |status| {
        status["holds"] == position
    });
    client
}

/// Answers after `pause`; the most that it has had at once.
fn crowded(pause: Duration) -> (Behaviour, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let now = AtomicUsize::new(0);
    let (peak, answer) = (Arc::clone(&most), sound("fz-2", "app"));
    let behaviour = custom(move |exchange| {
        exchange.read_body();
        let inside = now.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(inside, Ordering::SeqCst);
        // Slow on purpose.
        let gate = AtomicBool::new(false);
        super::support::wait::within(pause, || gate.load(Ordering::Relaxed));
        now.fetch_sub(1, Ordering::SeqCst);
        answer(exchange)
    });
    (behaviour, most)
}

#[test]
fn six_hundred_that_waited_never_reach_the_new_zone_at_once() {
    let pair = Pair::start();
    let place = Place::new();
    let proxy = start(
        &pair,
        &place.promote_by(UNTIL_GO, "1m").replace("10s", "1m"),
    );
    let (behaviour, most) = crowded(Duration::from_millis(5));
    for server in &pair.standby.servers {
        server.behave(behaviour.clone());
    }
    let mut clients = Vec::new();
    while_flipping(&proxy, &place, || {
        for _ in 0..600 {
            let mut client = proxy.client();
            client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
            clients.push(client);
        }
        proxy.until_status("all wait", |status| status["holds"] == 600);
    });
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(proxy.status()["holds_total"]["released"], 600);
    let most = most.load(Ordering::SeqCst);
    // 16 for each of the two workers; the pace doubles within a second, and a busy machine may need some.
    eprintln!("{most} at once");
    assert!((8..=200).contains(&most), "{most} at once");
}

#[test]
fn those_who_wait_go_in_order_of_arrival_and_no_newcomer_overtakes_them() {
    let (old, new) = (
        Origin::start(sound("fz-1", "app")),
        Origin::start(sound("fz-2", "app")),
    );
    let (behaviour, gate) = gated();
    new.behave(behaviour);
    let place = Place::new();
    let proxy = Proxy::builder()
        .check(PATIENT)
        .server("workers = 1")
        .toml(&place.promote_by(UNTIL_GO, "1m").replace("10s", "1m"))
        .zone("fz-1", &[])
        .backend("app", old.address(), "max_in_flight = 1")
        .zone("fz-2", &[])
        .backend("app", new.address(), "max_in_flight = 1")
        .start();
    until_both_serve(&proxy);
    let mut clients = Vec::new();
    while_flipping(&proxy, &place, || {
        for position in 1..=12 {
            clients.push(wait_in_line(&proxy, &format!("{position}"), position));
        }
    });
    // The first one is at the backend, which has no place for another one.
    eventually(PATIENCE, "the first one goes", || new.count() == 1);
    for newcomer in 13..=16 {
        clients.push(wait_in_line(&proxy, &newcomer.to_string(), newcomer - 1));
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    let order: Vec<String> = new.seen().into_iter().map(|seen| seen.target).collect();
    let expected: Vec<String> = (1..=16).map(|position| format!("/{position}")).collect();
    assert_eq!(order, expected);
}

/// Open once the test says so.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    /// Without looking all the time: a hundred who wait so would keep the machine busy.
    fn wait(&self) {
        let closed = self.is_open.lock().unwrap();
        let limit = PATIENCE * 3;
        let (_open, _late) = self
            .opened
            .wait_timeout_while(closed, limit, |is_open| !*is_open)
            .unwrap();
    }
}

/// Answers once the gate is open.
fn gated() -> (Behaviour, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let (open, answer) = (Arc::clone(&gate), sound("fz-2", "app"));
    let behaviour = custom(move |exchange| {
        exchange.read_body();
        open.wait();
        answer(exchange)
    });
    (behaviour, gate)
}

#[test]
fn a_zone_that_hangs_after_the_flip_does_not_keep_the_others_waiting() {
    let pair = Pair::start();
    let place = Place::new();
    let proxy = start(
        &pair,
        &place.promote_by(UNTIL_GO, "1m").replace("10s", "1m"),
    );
    let (behaviour, gate) = gated();
    for server in &pair.standby.servers {
        server.behave(behaviour.clone());
    }
    let mut clients = Vec::new();
    while_flipping(&proxy, &place, || {
        for _ in 0..100 {
            let mut client = proxy.client();
            client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
            clients.push(client);
        }
        proxy.until_status("all wait", |status| status["holds"] == 100);
    });
    eventually(PATIENCE, "the pace grows until all have gone", || {
        pair.standby.count() == 100
    });
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn who_leaves_while_waiting_is_never_sent_anywhere_and_counted() {
    let pair = Pair::start();
    let place = Place::new();
    let proxy = start(
        &pair,
        &place.promote_by(UNTIL_GO, "1m").replace("10s", "1m"),
    );
    while_flipping(&proxy, &place, || {
        let mut get = proxy.client();
        get.send("GET /left HTTP/1.1\r\nHost: app.example\r\n\r\n");
        let mut post = proxy.client();
        post.send("POST /left HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\none");
        proxy.until_status("both wait", |status| status["holds"] == 2);
        drop(get);
        post.reset();
        proxy.until_status("nobody waits", |status| status["holds"] == 0);
    });
    assert_eq!(proxy.status()["holds_total"]["left"], 2);
    let line = proxy.access_line("/left");
    assert_eq!(
        (&line["termination"], &line["status"], &line["backend"]),
        (&"CH".into(), &0.into(), &"".into()),
        "{line:#}"
    );
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(pair.preferred.count(), 0);
    assert_eq!(pair.standby.count(), 1);
}

#[test]
fn a_client_s_own_timeouts_stand_still_while_it_waits() {
    let pair = Pair::start();
    let place = Place::new();
    let limits =
        "[limits]\nbody_timeout = \"200ms\"\nidle_timeout = \"200ms\"\nwrite_timeout = \"200ms\"";
    let sections = place.promote_by(UNTIL_GO, "1m");
    let proxy = start(&pair, &format!("{sections}{limits}"));
    let mut client = proxy.client();
    let mut flipping = None;
    while_flipping(&proxy, &place, || {
        client.send("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\none");
        proxy.until_status("it waits", |status| status["holds"] == 1);
        flipping = Some(client.some(Duration::from_secs(1)));
    });
    let early = flipping.unwrap();
    assert!(early.is_err(), "it was answered: {early:?}");
    assert!(client.response().text().starts_with("fz-2 "));
}

#[test]
fn a_hold_that_is_over_is_counted_by_how_it_ended() {
    let pair = Pair::start();
    let place = Place::new();
    let sections = place
        .promote_by(UNTIL_GO, "1m")
        .replace(EAGER, &format!("{EAGER}hold_requests = 1\n"))
        .replace("10s", "2s");
    let proxy = start(&pair, &sections);
    while_flipping(&proxy, &place, || {
        let mut both = [proxy.client(), proxy.client()];
        for client in &mut both {
            client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
        }
        for client in &mut both {
            let answer = client.response();
            assert_eq!(answer.status, 503);
            assert!(answer.field("retry-after").is_some());
        }
    });
    let total = &proxy.status()["holds_total"];
    assert_eq!(
        (&total["expired"], &total["refused"]),
        (&1.into(), &1.into()),
        "{total:#}"
    );
}
