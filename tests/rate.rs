//! What each client may take: requests and connections in a time, connections at once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::client::Response;
use support::wait::{PATIENCE, eventually_some};
use support::{Origin, Proxy, RawClient, eventually};

const GET: &str = "GET /a HTTP/1.1\r\nHost: app.example\r\n\r\n";

fn limited(origin: &Origin, listener: &str, limits: &str) -> Proxy {
    Proxy::builder()
        .listener(listener)
        .toml(&format!("[limits]\n{limits}"))
        .zone("fz-1", &[origin])
        .start()
}

const BALANCER: &str = "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\"]";

/// A connection of this client, as a balancer passes it on.
fn of(proxy: &Proxy, client: &str) -> RawClient {
    let mut connection = proxy.client();
    connection.send(format!("PROXY TCP4 {client} 198.51.100.1 40000 443\r\n"));
    connection
}

/// A request that a trusted proxy passes on.
fn forwarded(client: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: {client}\r\n\r\n")
}

fn statuses(client: &mut RawClient, request: &str, count: usize) -> Vec<u16> {
    (0..count)
        .map(|_| client.exchange(request).status)
        .collect()
}

fn number(proxy: &Proxy, pointer: &str) -> u64 {
    let status = proxy.status();
    status.pointer(pointer).and_then(|n| n.as_u64()).unwrap()
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let origin = Origin::named("hello");
    let proxy = limited(&origin, "", "rate = \"20/m\"\nburst = 3");
    let mut client = proxy.client();
    let begun = Instant::now();
    assert_eq!(statuses(&mut client, GET, 3), [200; 3]);
    let told: Response = client.exchange(GET);
    assert_eq!(told.status, 429);
    let seconds: u64 = told.field("retry-after").unwrap().parse().unwrap();
    // Three seconds after the first one.
    let earliest = 3_u64.saturating_sub(begun.elapsed().as_secs() + 1).max(1);
    assert!((earliest..=3).contains(&seconds), "{seconds}");
    assert!(told.field("connection").is_none(), "it may stay");
    assert_eq!(origin.count(), 3);
    assert_eq!(number(&proxy, "/limited"), 1);
    let line = eventually_some(PATIENCE, "its line in the access log", || {
        let text = proxy.access_text();
        text.lines()
            .find(|line| line.contains("\"status\":429"))
            .map(str::to_owned)
    });
    assert!(line.contains("\"termination\":\"rate\""), "{line}");
    // Another connection is no other client.
    assert_eq!(proxy.get("/a").status, 429);

    let since = Instant::now();
    eventually(PATIENCE, "there is room for one more", || {
        client.exchange(GET).status == 200
    });
    // Not the nine seconds of the whole burst, but a machine may stall.
    assert!(since.elapsed() < Duration::from_secs(seconds + 5));
}

#[test]
fn a_well_behaved_client_notices_nothing_of_an_abuser() {
    let origin = Origin::named("hello");
    let proxy = limited(&origin, BALANCER, "rate = \"50/s\"\nburst = 100");
    let (stop, served, asked) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut abuser = of(&proxy, "192.0.2.66");
                while !stop.load(Ordering::Relaxed) {
                    let status = abuser.exchange(GET).status;
                    asked.fetch_add(1, Ordering::Relaxed);
                    served.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                }
            });
        }
        let mut neighbours: Vec<RawClient> = (1..=10)
            .map(|n| of(&proxy, &format!("192.0.2.{n}")))
            .collect();
        eventually(PATIENCE, "the abuser is at its limit", || {
            asked.load(Ordering::Relaxed) > 300
        });
        for _ in 0..90 {
            for neighbour in &mut neighbours {
                assert_eq!(neighbour.exchange(GET).status, 200);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (served, asked) = (served.into_inner(), asked.into_inner());
    let allowed = 100 + (begun.elapsed().as_secs_f64() * 50.0).ceil() as usize;
    assert!(served <= allowed, "{served} of {asked}, {allowed} allowed");
    assert!(served >= 100, "it gets what everybody gets: {served}");
}

#[test]
fn clients_behind_a_trusted_proxy_are_told_apart_and_others_can_t_pretend() {
    let origin = Origin::named("hello");
    let limits = "rate = \"1/m\"\nburst = 2";
    let trusting = limited(
        &origin,
        "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]",
        limits,
    );
    let mut front = trusting.client();
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        assert_eq!(statuses(&mut front, &forwarded(client), 3), [200, 200, 429]);
    }
    // A forged beginning doesn't make another client, nor does another trusted proxy on the way; a network of IPv6 is one client.
    for client in [
        "203.0.113.5, 192.0.2.1",
        "192.0.2.1, 10.1.2.3",
        "[2001:db8::2]:443",
    ] {
        assert_eq!(front.exchange(forwarded(client)).status, 429, "{client}");
    }
    // The front proxy for itself.
    assert_eq!(statuses(&mut front, GET, 3), [200, 200, 429]);

    let strict = limited(&origin, "", limits);
    let mut client = strict.client();
    let got: Vec<u16> = (1..=4)
        .map(|n| client.exchange(forwarded(&format!("192.0.2.{n}"))).status)
        .collect();
    assert_eq!(got, [200, 200, 429, 429]);
}

#[test]
fn the_forwarded_field_tells_clients_apart_where_it_is_in_use() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .listener("trusted_proxies = [\"127.0.0.1\"]")
        .toml("[limits]\nrate = \"1/m\"\nburst = 1\n[upstream]\nforwarded = \"forwarded\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut front = proxy.client();
    let ask = |client: &mut RawClient, said: &str| {
        let request = format!("GET /a HTTP/1.1\r\nHost: app.example\r\n{said}\r\n\r\n");
        client.exchange(request).status
    };
    assert_eq!(ask(&mut front, "Forwarded: for=192.0.2.1"), 200);
    assert_eq!(
        ask(
            &mut front,
            "Forwarded: for=\"192.0.2.1:99\";host=\"a,for=192.0.2.7\""
        ),
        429
    );
    assert_eq!(
        ask(
            &mut front,
            "Forwarded: for=192.0.2.9, for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.8"
        ),
        429
    );
    assert_eq!(ask(&mut front, "X-Forwarded-For: 192.0.2.8"), 200);
}

#[test]
fn a_client_may_be_a_network_and_some_are_exempt() {
    let origin = Origin::named("hello");
    let proxy = limited(
        &origin,
        BALANCER,
        "rate = \"1/m\"\nburst = 1\nrate_key = \"masked\"\nrate_exempt = [\"198.51.100.0/24\"]",
    );
    assert_eq!(of(&proxy, "192.0.2.1").exchange(GET).status, 200);
    assert_eq!(of(&proxy, "192.0.2.2").exchange(GET).status, 429);
    assert_eq!(of(&proxy, "192.0.3.2").exchange(GET).status, 200);
    let exempt = &mut of(&proxy, "198.51.100.7");
    assert_eq!(statuses(exempt, GET, 5), [200; 5]);
}

#[test]
fn a_route_may_have_a_rate_of_its_own() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(
            "[limits]\nrate = \"5/h\"\n[[route]]\npath = \"/login\"\npool = \"default\"\nrate = \"1/m\"\nburst = 2\n\
             [[route]]\npath = \"/app\"\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let login = "GET /login HTTP/1.1\r\nHost: app.example\r\n\r\n";
    let app = "GET /app HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(statuses(&mut client, login, 4), [200, 200, 429, 429]);
    assert_eq!(statuses(&mut client, app, 4), [200; 4]);
    // What has no route counts too.
    let nowhere = "GET /x HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(statuses(&mut client, nowhere, 2), [404, 429]);
    assert_eq!(client.exchange(app).status, 429);
}

#[test]
fn who_asks_too_often_gets_the_routes_fields_and_the_pools_page_too() {
    let origin = Origin::named("hello");
    let pages = tempfile::tempdir().unwrap();
    let page = pages.path().join("sorry.html");
    std::fs::write(&page, "<p>Later, please.</p>").unwrap();
    let proxy = Proxy::builder()
        .toml(&format!(
            "[limits]\nrate = \"1/h\"\nburst = 1\n[[pool]]\nname = \"default\"\nerror_page = {{ \"429\" = \"{}\" }}\n\
             [[route]]\npath = \"/\"\npool = \"default\"\nresponse_headers = {{ set = {{ X-Route = \"a\" }} }}",
            page.display()
        ))
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let again = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(client.exchange(again).status, 200);
    let answer = client.exchange(again);
    assert_eq!((answer.status, answer.field("x-route")), (429, Some("a")));
    assert_eq!(answer.text(), "<p>Later, please.</p>");
}

#[test]
fn it_holds_over_http_2_just_the_same() {
    let origin = Origin::named("hello");
    let proxy = limited(&origin, "h2c = true", "rate = \"1/h\"\nburst = 2");
    let url = format!("http://{}/a", proxy.address);
    let ask = || {
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "20", "--http2-prior-knowledge"])
            .args(["--output", "/dev/null", "--write-out"])
            .args(["%{http_version}:%{http_code}", &url])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!([ask(), ask(), ask()], ["2:200", "2:200", "2:429"]);
}

#[test]
fn connections_that_come_too_fast_are_reset() {
    let origin = Origin::named("hello");
    let proxy = limited(
        &origin,
        BALANCER,
        "connection_rate = \"1/m\"\nconnection_burst = 3",
    );
    for _ in 0..3 {
        assert_eq!(of(&proxy, "192.0.2.1").exchange(GET).status, 200);
    }
    for _ in 0..2 {
        let mut client = of(&proxy, "192.0.2.1");
        client.send(GET);
        assert_eq!(client.rest(PATIENCE).0, b"");
    }
    assert_eq!(of(&proxy, "192.0.2.2").exchange(GET).status, 200);
    assert_eq!(number(&proxy, "/connections_refused/rate"), 2);
    let told = eventually_some(PATIENCE, "its line in the log", || {
        let log = proxy.log();
        let mut lines = log.lines();
        let told = lines.find(|line| line.contains("connection_rate"));
        told.map(str::to_owned)
    });
    assert!(told.contains("192.0.2.0"), "masked: {told}");
}

#[test]
fn a_client_has_only_so_many_connections_at_once() {
    let origin = Origin::named("hello");
    let proxy = limited(&origin, "", "max_connections_per_client = 3");
    let mut open: Vec<RawClient> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut open {
        assert_eq!(client.exchange(GET).status, 200);
    }
    // The reset may come while the client still connects.
    if let Ok(mut fourth) = RawClient::try_connect(proxy.address) {
        fourth.send(GET);
        assert_eq!(fourth.rest(PATIENCE).0, b"");
    }
    assert!(number(&proxy, "/connections_refused/per_client") >= 1);
    // Those who are in stay in, and whoever leaves makes room.
    assert_eq!(open[0].exchange(GET).status, 200);
    open.pop();
    let again = || {
        let mut client = RawClient::try_connect(proxy.address).ok()?;
        client.send(GET);
        client.response_within("GET", PATIENCE).ok()
    };
    let answer = eventually_some(PATIENCE, "its place is free", again);
    assert_eq!(answer.status, 200);

    // A trusted proxy's connections are those of many.
    let proxy = limited(
        &origin,
        "trusted_proxies = [\"127.0.0.1\"]",
        "max_connections_per_client = 1\nconnection_rate = \"1/h\"",
    );
    let mut many: Vec<RawClient> = (0..5).map(|_| proxy.client()).collect();
    for client in &mut many {
        assert_eq!(client.exchange(GET).status, 200);
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_clients() {
    let origin = Origin::named("hello");
    let proxy = limited(
        &origin,
        "trusted_proxies = [\"127.0.0.1\"]",
        "rate = \"1/h\"\nburst = 1\nrate_key = \"full\"",
    );
    let mut front = proxy.client();
    let mut ask = |from: u32, to: u32| {
        for client in from..to {
            let [_, b, c, d] = client.to_be_bytes();
            let path = if client % 50 == 0 { "/a" } else { "*" };
            // Most of them are for nowhere, which costs no backend.
            let request = format!(
                "OPTIONS {path} HTTP/1.1\r\nHost: app.example\r\nMax-Forwards: 9\r\nX-Forwarded-For: 11.{b}.{c}.{d}\r\n\r\n"
            );
            assert_ne!(front.exchange(request).status, 429, "{client}");
        }
    };
    ask(0, 2000);
    let before = proxy.resident_kib();
    ask(2000, 12_000);
    let grown = proxy.resident_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB");
}

#[test]
fn a_reload_changes_what_everybody_may() {
    let origin = Origin::named("hello");
    let mut proxy = limited(&origin, "", "rate = \"1/h\"\nburst = 1");
    let mut client = proxy.client();
    assert_eq!(statuses(&mut client, GET, 2), [200, 429]);
    proxy.rewrite_config(Proxy::builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(statuses(&mut client, GET, 5), [200; 5]);
    let with = Proxy::builder().toml("[limits]\nrate = \"100/s\"\nburst = 2");
    proxy.rewrite_config(with.zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    // The debt of an hour counts as one of the new burst, 20 ms.
    eventually(PATIENCE, "it may ask again", || {
        client.exchange(GET).status == 200
    });
}
