//! Connections at a flip: those to the zone that was left go at once, those to the zone that takes over are there already.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use support::pair::{EAGER, PROMPT, Pair, active, until_active, until_both_serve};
use support::wait::PATIENCE;
use support::{Origin, Proxy, RawClient, eventually, port};

/// Lines of a database's check that fails, but not often enough to be down: a flip stays in sight for as long as a test likes.
fn doubted(database: &Origin) -> String {
    format!(
        "check = {{ kind = \"tcp\", address = \"{}\", fall = 1000, confirm_interval = \"1s\" }}",
        database.address()
    )
}

/// `pair` behind a proxy whose `fz-1` is in doubt as soon as its database refuses.
fn doubtful(pair: &Pair, upstream: &str) -> Proxy {
    let mut builder = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .toml(&format!("[upstream]\nidle_timeout = \"1h\"\n{upstream}"));
    for zone in pair.zones() {
        let servers: Vec<&Origin> = zone.servers.iter().collect();
        builder = builder.zone(zone.name, &servers).dependency(
            "database",
            zone.database.address(),
            &doubted(&zone.database),
        );
    }
    let proxy = builder.start();
    until_both_serve(&proxy);
    assert_eq!(active(&proxy), "fz-1");
    proxy
}

/// Connections whose first request was a warm-up.
fn warmed(origin: &Origin) -> Vec<usize> {
    let tapes = origin.tapes();
    let warm = tapes.iter().enumerate().filter(|(_, tape)| {
        let head = tape.split(|byte| *byte == b'\n').take(4);
        head.collect::<Vec<_>>()
            .concat()
            .windows(9)
            .any(|word| word == b"(warm-up)")
    });
    warm.map(|(number, _)| number).collect()
}

fn until_doubted(proxy: &Proxy) {
    proxy.until_status("a check of fz-1's database has failed", |status| {
        let components = status["zones"][0]["components"].as_array().unwrap();
        let database = components.iter().find(|c| c["name"] == "database").unwrap();
        database["last"]["passed"] == false && database["status"] == "up"
    });
}

#[test]
fn no_connection_to_a_zone_outlives_a_flip() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!("{EAGER}[upstream]\nidle_timeout = \"1h\""));
    for _ in 0..20 {
        assert_eq!(proxy.get("/").status, 200);
    }
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    for server in &pair.preferred.servers {
        let used = server.seen().len();
        assert!(used > 0, "both app servers had requests");
        // A check may be under way at any moment, but not at every one.
        eventually(PATIENCE, "the failed zone's connections are gone", || {
            server.open_connections() == 0
        });
    }
}

#[test]
fn the_first_thousand_requests_after_a_flip_find_their_connections() {
    let mut pair = Pair::start();
    let proxy = doubtful(&pair, "prewarm = 4");
    let clients = 4;
    let ask = |client: &mut RawClient, count: usize| {
        for _ in 0..count {
            let answer = client.exchange("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
            assert_eq!(answer.status, 200);
        }
    };
    let mut connected: Vec<RawClient> = (0..clients).map(|_| proxy.client()).collect();
    connected.iter_mut().for_each(|client| ask(client, 10));
    pair.preferred.database.refuse();
    eventually(
        PATIENCE,
        "both workers have opened connections ahead",
        || {
            let servers = pair.standby.servers.iter();
            // Of each worker four, and one by which the first of them found out that they are kept.
            servers.clone().all(|server| warmed(server).len() >= 8)
        },
    );
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    std::thread::scope(|scope| {
        for client in &mut connected {
            scope.spawn(|| ask(client, 1000 / clients));
        }
    });
    let mut requests = 0;
    for server in &pair.standby.servers {
        let warm = warmed(server);
        let seen = server.seen();
        let cold: Vec<usize> = seen
            .iter()
            .map(|request| request.connection)
            .filter(|connection| !warm.contains(connection))
            .collect();
        assert_eq!(cold, Vec::<usize>::new(), "connections made for a request");
        requests += seen.len();
    }
    assert_eq!(requests, 1000);
    assert_eq!(pair.preferred.count(), 40);
}

#[test]
fn nothing_is_opened_ahead_while_no_flip_is_in_sight_nor_where_it_is_switched_off() {
    for (prewarm, asked) in [(0, 0), (2, 1)] {
        let mut pair = Pair::start();
        let proxy = doubtful(&pair, &format!("prewarm = {prewarm}"));
        let more_checks = |count| {
            let server = &pair.standby.servers[1];
            let goal = server.checks() + count;
            eventually(PATIENCE, "the standby is checked", || {
                server.checks() >= goal
            });
        };
        for server in &pair.standby.servers {
            eventually(PATIENCE, "it is found out who keeps connections", || {
                warmed(server).len() == asked
            });
        }
        more_checks(10);
        for server in &pair.standby.servers {
            assert_eq!(warmed(server).len(), asked, "prewarm = {prewarm}");
        }
        if prewarm == 0 {
            pair.preferred.database.refuse();
            until_doubted(&proxy);
            more_checks(10);
            assert_eq!(warmed(&pair.standby.servers[1]).len(), 0);
        }
    }
}

/// Serves one connection at a time, and waits for its client to speak and to hang up, as gunicorn's sync worker does.
struct OneByOne {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    silent: Arc<AtomicUsize>,
}

impl OneByOne {
    fn start() -> Self {
        let listener: TcpListener = port::listen();
        let server = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
            silent: Arc::default(),
        };
        let (heads, silent) = (Arc::clone(&server.heads), Arc::clone(&server.silent));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                match serve(stream) {
                    Some(head) => heads.lock().unwrap().push(head),
                    None => {
                        silent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        server
    }
}

/// The head of the one request that came, if one did.
fn serve(mut stream: TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(answer.as_bytes()).ok()?;
    stream.shutdown(std::net::Shutdown::Write).ok()?;
    while stream.read(&mut byte).is_ok_and(|read| read > 0) {}
    Some(String::from_utf8_lossy(&head).into_owned())
}

#[test]
fn an_app_server_that_serves_one_connection_at_a_time_is_never_kept_busy_by_ours() {
    let mut database = Origin::named("database");
    let origin = Origin::named("a");
    let standby = OneByOne::start();
    let proxy = Proxy::builder()
        .check(PROMPT)
        .toml(EAGER)
        .toml("[upstream]\nprewarm = 8")
        .zone("fz-1", &[&origin])
        .dependency("database", database.address(), &doubted(&database))
        .zone_at("fz-2", &[standby.address])
        .start();
    until_both_serve(&proxy);
    database.refuse();
    until_doubted(&proxy);
    let heads = || standby.heads.lock().unwrap().clone();
    let goal = heads().len() + 20;
    eventually(PATIENCE, "the standby is checked", || heads().len() >= goal);
    let asked = heads();
    let asked = asked.iter().filter(|head| head.contains("(warm-up)"));
    assert_eq!(asked.count(), 1, "asked once, and left alone from then on");
    assert_eq!(standby.silent.load(Ordering::Relaxed), 0);
    let status = proxy.status();
    let component = &status["zones"][1]["components"][0];
    let outcomes = component["outcomes"].as_array().unwrap();
    assert!(
        outcomes.iter().all(|outcome| outcome["passed"] == true),
        "{component:#}"
    );
    // And the way is free when it counts.
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(proxy.get("/").text(), "ok");
}
