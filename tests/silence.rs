//! Silence hastens: a backend that owes answers and sends nothing gets confirming probes, and nothing but those. Everywhere here
//! the next ordinary probe is an hour away, and no request times out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use support::behaviour::{self, Behaviour, Next, custom};
use support::load::Plan;
use support::pair::{
    Pair, assert_no_get_failed, journal, journal_of, until_active, until_both_serve,
};
use support::wait::{PATIENCE, eventually_some, within};
use support::{Origin, Proxy, RawClient, eventually, port};

const HOURLY: &str =
    "path = \"/health\"\ninterval = \"1h\"\ntimeout = \"2s\"\nconfirm_interval = \"20ms\"";
const ENDLESS: &str = "[upstream]\nconnect_timeout = \"1h\"\nresponse_timeout = \"1h\"";
/// Silence that counts would have been told four times by then.
const QUIET: Duration = Duration::from_millis(1500);
/// What is silent for eight times this is told; a machine that stalls is still for as long as a second.
const SLOW: Duration = Duration::from_millis(200);

#[test]
fn a_hung_app_server_is_found_by_its_silence_alone() {
    let pair = Pair::start();
    let proxy = pair.builder(ENDLESS).check(HOURLY).start();
    until_both_serve(&proxy);
    let load = Plan::to(proxy.address).only_get().start();
    load.wait_for_more(120);
    hang(&pair.preferred.servers[0]);
    until_active(&proxy, "fz-2");
    load.wait_for_more(60);
    assert_no_get_failed(&load.finish());

    let sign = hastened_by(&proxy, "fz-1:app-1");
    assert!(sign.starts_with("no answer for "), "{sign}");
    assert!(sign.contains(" ms, usually after "), "{sign}");
    let explained = proxy.command(&["explain"]).stdout;
    let explained = String::from_utf8_lossy(&explained);
    let line = format!("a live request had noticed first: {sign}\n");
    assert!(explained.contains(&line), "{explained}");
    let flip = &journal_of(&proxy, "flip", 1)[0];
    assert_eq!(flip["evidence"][0]["hastened_by"], sign, "{flip:#}");
}

#[test]
fn a_stopped_process_is_found_by_its_silence_alone() {
    let (behind, standby) = (Origin::named("a"), Origin::named("b"));
    // A process that a signal can stop, and in whose name the kernel goes on accepting.
    let app = Proxy::in_front_of(&[&behind]);
    let proxy = two_zones(app.address, &standby);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(get(&mut client, "/").text(), "a");
    }
    app.signal(Signal::STOP);
    // A thread of it may get through one more request before the signal gets to it.
    eventually(PATIENCE, "the standby answers", || {
        get(&mut client, "/").text() == "b"
    });
    until_active(&proxy, "fz-2");
    let sign = hastened_by(&proxy, "fz-1:app-1");
    assert!(sign.starts_with("no answer for "), "{sign}");
}

#[test]
fn one_that_has_never_answered_is_found_as_well() {
    let (origin, standby) = (Origin::named("a"), Origin::named("b"));
    let proxy = two_zones(origin.address(), &standby);
    hang(&origin);
    assert_eq!(proxy.get("/").text(), "b");
    let sign = hastened_by(&proxy, "fz-1:app-1");
    assert!(
        sign.ends_with(" ms, and there was none before"),
        "a probe's answer is no live request's: {sign}"
    );
}

#[test]
fn a_streamed_request_is_owed_its_answer_from_its_end_on() {
    let (origin, standby) = (Origin::named("a"), Origin::named("b"));
    let proxy = two_zones(origin.address(), &standby);
    hang(&origin);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    eventually(PATIENCE, "it is under way", || origin.count() == 1);
    client.send("0\r\n\r\n");
    until_active(&proxy, "fz-2");
    let sign = hastened_by(&proxy, "fz-1:app-1");
    assert!(sign.starts_with("no answer for "), "{sign}");
}

#[test]
fn one_that_lets_connections_hang_is_found_as_well() {
    let (mut app, standby) = (Queue::start(), Origin::named("b"));
    let proxy = two_zones(app.address, &standby);
    assert_eq!(proxy.get("/").text(), "a");
    app.fill();
    assert_eq!(proxy.get("/").text(), "b");
    let sign = hastened_by(&proxy, "fz-1:app-1");
    assert!(sign.starts_with("no answer for "), "{sign}");
}

#[test]
fn slow_answers_of_a_healthy_app_server_cost_ever_fewer_probes_and_no_flip() {
    let origin = Origin::start(by_path(
        "/slow",
        behaviour::after(Duration::from_secs(1), behaviour::ok("slow")),
    ));
    let probes = Probes::of(&origin);
    let proxy = alone(&origin);
    let mut client = proxy.client();
    let before = Instant::now();
    for _ in 0..5 {
        // So that a second is not what it usually takes.
        for _ in 0..30 {
            get(&mut client, "/");
        }
        assert_eq!(get(&mut client, "/slow").text(), "slow");
    }
    let rounds = probes.rounds(before);
    assert!(rounds > 0, "a second is long enough to ask");
    // Each of them alone is worth four.
    assert!(rounds <= 12, "{rounds} rounds of probes");
    assert_nothing_happened(&proxy);
}

#[test]
fn a_long_poll_costs_a_few_probes_and_no_flip() {
    let origin = Origin::start(by_path(
        "/poll",
        behaviour::after(Duration::from_secs(4), behaviour::ok("news")),
    ));
    let probes = Probes::of(&origin);
    let proxy = alone(&origin);
    let mut client = warm_client(&proxy);
    let before = Instant::now();
    assert_eq!(get(&mut client, "/poll").text(), "news");
    let rounds = probes.rounds(before);
    assert!((1..=7).contains(&rounds), "{rounds} rounds of probes");
    assert_nothing_happened(&proxy);
}

#[test]
fn an_upload_that_pauses_is_no_silence() {
    let origin = Origin::named("a");
    let proxy = alone(&origin);
    let mut client = warm_client(&proxy);
    let before = (origin.count(), checks_so_far(&origin));
    client.send(
        "POST /up HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
    );
    eventually(PATIENCE, "it has begun", || origin.count() > before.0);
    assert_quiet(&origin, before.1);
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.response_to("POST").status, 200);
}

#[test]
fn a_client_that_keeps_its_body_back_is_no_silence() {
    let origin = Origin::named("a");
    let proxy = alone(&origin);
    let mut client = warm_client(&proxy);
    let before = checks_so_far(&origin);
    client.send("POST /up HTTP/1.1\r\nHost: app.example\r\nContent-Length: 6\r\n\r\none");
    assert_quiet(&origin, before);
    client.send("two");
    assert_eq!(client.response_to("POST").status, 200);
}

#[test]
fn a_request_that_expects_100_continue_is_no_silence() {
    let origin = Origin::start(by_path("/up", behaviour::never_read()));
    let proxy = alone(&origin);
    let mut client = warm_client(&proxy);
    let before = (origin.count(), checks_so_far(&origin));
    client.send(
        "POST /up HTTP/1.1\r\nHost: app.example\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n",
    );
    eventually(PATIENCE, "it is asked", || origin.count() > before.0);
    assert_quiet(&origin, before.1);
}

#[test]
fn a_stream_of_events_without_events_is_no_silence() {
    let origin = Origin::start(by_path(
        "/events",
        custom(|exchange| {
            exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            exchange.wait_for_end();
            Next::Close
        }),
    ));
    let proxy = alone(&origin);
    let mut client = warm_client(&proxy);
    client.send("GET /events HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.head().line.contains(" 200 "));
    assert_quiet(&origin, checks_so_far(&origin));
}

#[test]
fn what_comes_on_another_connection_is_a_sign_of_life() {
    let events = behaviour::events(Duration::from_millis(20));
    let usual = behaviour::after(SLOW, behaviour::ok("slow"));
    let origin = Origin::start(by_path_or("/events", events, usual));
    // Two workers: the one that waits is not always the one that hears.
    let proxy = alone(&origin);
    let mut streams: Vec<RawClient> = (0..8).map(|_| proxy.client()).collect();
    for stream in &mut streams {
        stream.send("GET /events HTTP/1.1\r\nHost: app.example\r\n\r\n");
        assert!(stream.head().line.contains(" 200 "));
    }
    let mut clients: Vec<RawClient> = std::thread::scope(|scope| {
        let warming = [(); 8].map(|()| scope.spawn(|| warm_client(&proxy)));
        warming.map(|client| client.join().unwrap()).into()
    });
    origin.behave(behaviour::hang());
    let before = (origin.count(), checks_so_far(&origin));
    for client in &mut clients {
        client.send("GET /report HTTP/1.1\r\nHost: app.example\r\n\r\n");
    }
    eventually(PATIENCE, "all are asked", || {
        origin.count() == before.0 + clients.len()
    });
    // It would have been told twice.
    assert_quiet_for(SLOW * 20, &origin, before.1);
    drop(streams);
    eventually(PATIENCE, "and now it is still", || {
        origin.checks() > before.1 + 1
    });
    assert_nothing_happened(&proxy);
}

/// From now on it answers nobody, its checks included.
fn hang(origin: &Origin) {
    origin.behave(behaviour::hang());
    origin.behave_to_checks(behaviour::hang());
}

/// A firedoor in front of `app` in `fz-1` and `standby` in `fz-2`.
fn two_zones(app: SocketAddr, standby: &Origin) -> Proxy {
    let proxy = Proxy::builder()
        .check(HOURLY)
        .toml(ENDLESS)
        .zone_at("fz-1", &[app])
        .zone("fz-2", &[standby])
        .start();
    until_both_serve(&proxy);
    proxy
}

/// A firedoor in front of `origin` only.
fn alone(origin: &Origin) -> Proxy {
    let proxy = Proxy::builder()
        .check(HOURLY)
        .toml(ENDLESS)
        .zone("fz-1", &[origin])
        .start();
    proxy.until_all_up();
    proxy
}

/// What the origin does with the requests for `path`; the others are answered at once.
fn by_path(path: &'static str, special: Behaviour) -> Behaviour {
    by_path_or(path, special, behaviour::ok("quick"))
}

fn by_path_or(path: &'static str, special: Behaviour, usual: Behaviour) -> Behaviour {
    custom(move |exchange| {
        let target = exchange.head.line.split(' ').nth(1).unwrap_or_default();
        if target == path {
            special(exchange)
        } else {
            usual(exchange)
        }
    })
}

/// A client whose worker has a connection to the origin, and knows how fast it is.
fn warm_client(proxy: &Proxy) -> RawClient {
    let mut client = proxy.client();
    for _ in 0..10 {
        assert_eq!(get(&mut client, "/").status, 200);
    }
    client
}

#[track_caller]
fn get(client: &mut RawClient, path: &str) -> support::Response {
    client.exchange(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"))
}

/// How many probes there were, once what they were about is over.
fn checks_so_far(origin: &Origin) -> u64 {
    loop {
        let checks = origin.checks();
        if !within(Duration::from_millis(100), || origin.checks() > checks) {
            return checks;
        }
    }
}

#[track_caller]
fn assert_quiet(origin: &Origin, before: u64) {
    assert_quiet_for(QUIET, origin, before);
}

/// A single probe may be the last one of what was before.
#[track_caller]
fn assert_quiet_for(limit: Duration, origin: &Origin, before: u64) {
    let asked = within(limit, || origin.checks() > before + 1);
    assert!(!asked, "{} probes", origin.checks() - before);
}

/// When an origin was probed. It passes.
struct Probes(Arc<Mutex<Vec<Instant>>>);

impl Probes {
    fn of(origin: &Origin) -> Self {
        let times = Arc::new(Mutex::new(Vec::new()));
        let (noted, healthy) = (Arc::clone(&times), behaviour::healthy());
        origin.behave_to_checks(custom(move |exchange| {
            noted.lock().unwrap().push(Instant::now());
            healthy(exchange)
        }));
        Self(times)
    }

    /// How often it was asked since then. A probe that comes right after another one, as those do that were sent while nothing came
    /// back because this process had stalled, belongs to it.
    #[track_caller]
    fn rounds(&self, since: Instant) -> usize {
        let mut times = self.0.lock().unwrap().clone();
        times.retain(|time| *time > since);
        times.sort();
        let together = |two: &[Instant]| two[1] - two[0] < Duration::from_millis(50);
        let rounds = times.len() - times.windows(2).filter(|two| together(two)).count();
        assert!(times.len() <= 5 * rounds, "as many may be in flight");
        rounds
    }
}

fn assert_nothing_happened(proxy: &Proxy) {
    let gone = |entry: &Value| entry["to"] == "down";
    assert!(!journal(proxy, "transition").iter().any(gone));
    assert_eq!(journal(proxy, "flip"), Vec::<Value>::new());
}

/// What the probes that found `component` down were hastened by.
#[track_caller]
fn hastened_by(proxy: &Proxy, component: &str) -> String {
    let down = eventually_some(PATIENCE, &format!("{component} is down"), || {
        let mut transitions = journal(proxy, "transition").into_iter();
        transitions.find(|entry| entry["component"] == component && entry["to"] == "down")
    });
    let sign = down["hastened_by"].as_str();
    sign.unwrap_or_else(|| panic!("{down:#}")).to_owned()
}

/// An app server with a short queue of connections, which it can stop taking any from.
struct Queue {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    waiting: Vec<TcpStream>,
}

impl Queue {
    fn start() -> Self {
        let listener = port::listen();
        let address = listener.local_addr().unwrap();
        socket2::SockRef::from(&listener).listen(1).unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        std::thread::spawn(move || Self::serve(&listener, &flag));
        Self {
            address,
            stopped,
            waiting: Vec::new(),
        }
    }

    fn serve(listener: &TcpListener, stopped: &AtomicBool) {
        while let Ok((mut stream, _)) = listener.accept() {
            if stopped.load(Ordering::Acquire) {
                // For ever: the listener must stay.
                std::thread::park();
            }
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
        }
    }

    /// It takes no connection any more, and its queue is full.
    fn fill(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // A lost SYN is sent again after a second, so what takes longer than this has found the queue full.
        let patience = Duration::from_millis(500);
        while let Ok(stream) = TcpStream::connect_timeout(&self.address, patience) {
            self.waiting.push(stream);
        }
    }
}
