//! What works in cleartext works over TLS: bodies both ways, kept connections, resumed sessions, tunnels, checks, real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::nginx;
use crate::site::Site;
use crate::support::behaviour::{self, Next};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

#[test]
fn requests_and_answers_pass_and_the_connection_is_kept() {
    let site = Site::new(Origin::start(behaviour::echo()));
    let proxy = site.proxy();
    let mut client = proxy.client();
    for at in 0..5 {
        let body = "x".repeat(100_000);
        let answer = client.exchange(format!(
            "POST /{at} HTTP/1.1\r\nHost: app.example\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with(&body));
    }
    let seen = site.origin.seen();
    let first = seen.iter().find(|seen| seen.target == "/0").unwrap();
    assert_eq!(first.field("host"), Some("app.example"));
    let connections: Vec<usize> = seen
        .iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| seen.connection)
        .collect();
    assert_eq!(connections, vec![connections[0]; 5]);
}

#[test]
fn the_check_of_such_a_backend_goes_over_tls_too() {
    let site = Site::new(Origin::named("a"));
    let proxy = site.proxy();
    let status = proxy.until_status("it is up", |status| {
        status["zones"][0]["components"][0]["status"] == "up"
    });
    let outcome = &status["zones"][0]["components"][0]["last"];
    assert!(status.to_string().contains("L7OK"), "{outcome}");
    // An IP address is never sent as SNI (RFC 6066 3), and HTTP/1.1 is asked for by name.
    let shaken = site.tls.shaken();
    assert_eq!(shaken[0].sni, None);
    assert_eq!(shaken[0].alpn.as_deref(), Some("http/1.1"));
}

#[test]
fn bodies_of_any_framing_pass_and_one_that_breaks_off_is_seen_to() {
    let site = Site::new(Origin::start(behaviour::chunked(&[b"one", b"two"], &[])));
    let proxy = site.proxy();
    assert_eq!(proxy.get("/chunked").text(), "onetwo");
    site.origin.behave(behaviour::until_close("to the end"));
    assert_eq!(proxy.get("/close").text(), "to the end");
    site.origin.behave(behaviour::cut(100, "half"));
    let mut client = proxy.client();
    client.send("GET /cut HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.response_within("GET", PATIENCE).is_err());
    let length = 30 << 20;
    site.origin.behave(behaviour::huge(length));
    assert_eq!(proxy.get("/huge").body.len() as u64, length);
}

/// Large bodies gather in the socket, and TLS has records that are in it in part.
#[test]
fn what_has_come_of_a_large_body_is_passed_on_wherever_its_backend_halts() {
    const SPURTS: &[u64] = &[500_000, 1, 300_000, 3_000_000, 16_385, 2_000_000, 1];
    let received = Arc::new(AtomicU64::new(0));
    let site = Site::new(Origin::start(behaviour::halting(
        SPURTS,
        Arc::clone(&received),
    )));
    let proxy = site.proxy();
    let mut client = proxy.client();
    client.send("GET /halting HTTP/1.1\r\nHost: app.example\r\n\r\n");
    client.head();
    for &spurt in SPURTS {
        client.exact(spurt as usize).unwrap();
        received.fetch_add(spurt, Ordering::Relaxed);
    }
}

#[test]
fn a_websocket_passes_with_halves_that_end_alone() {
    let site = Site::new(Origin::start(behaviour::upgrade()));
    let proxy = site.proxy();
    let mut client = proxy.client();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    );
    assert_eq!(client.head().line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(client.exact(5).unwrap(), b"EARLY");
    client.send(vec![b'x'; 300_000]);
    assert_eq!(client.exact(300_000).unwrap(), vec![b'X'; 300_000]);
    client.finish_writing();
    let (rest, _) = client.rest(PATIENCE);
    assert_eq!(rest, b"bye");
}

/// The one that a request would otherwise be lost on: closed by the backend while it was idle.
#[test]
fn a_kept_connection_that_was_closed_costs_no_request() {
    let site = Site::new(Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], b"once"));
        Next::Close
    })));
    let proxy = site
        .builder(&site.terms(""))
        .check("kind = \"command\"\ncommand = [\"true\"]")
        .start();
    let mut client = proxy.client();
    for at in 0..10 {
        let request = format!("POST /{at} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(client.exchange(request).status, 200);
        // One that is closed just while the next request goes out does cost that.
        eventually(PATIENCE, "the connection is closed", || {
            site.tls.closed() > at
        });
    }
    assert_eq!(site.origin.count(), 10);
}

#[test]
fn later_handshakes_of_a_worker_resume_the_session() {
    let site = Site::new(Origin::start(behaviour::answer(
        200,
        &["Connection: close"],
        "x",
    )));
    let builder = site.builder(&site.terms("")).server("workers = 1");
    let proxy = builder
        .check("kind = \"command\"\ncommand = [\"true\"]")
        .start();
    for _ in 0..4 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let resumed: Vec<bool> = site.tls.shaken().iter().map(|s| s.resumed).collect();
    assert_eq!(resumed, [false, true, true, true]);
}

#[test]
fn connections_opened_ahead_are_secured_too() {
    let sites = [Site::new(Origin::named("a")), Site::new(Origin::named("b"))];
    let ca = std::fs::read_to_string(sites[0].path().join("ca.pem")).unwrap()
        + &std::fs::read_to_string(sites[1].path().join("ca.pem")).unwrap();
    std::fs::write(sites[0].path().join("ca.pem"), ca).unwrap();
    let builder = sites[0].builder(&sites[0].terms(""));
    let builder = crate::site::secured(builder, "fz-2", &sites[1].tls)
        .toml("[upstream]\nidle_timeout = \"1h\"")
        .server("workers = 1");
    let proxy = builder
        .check(
            "path = \"/health\"\ninterval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"50ms\"",
        )
        .start();
    proxy.until_all_up();
    // One worker asks each standby once, whether it keeps connections.
    eventually(
        PATIENCE,
        "the standby was asked on a kept connection",
        || {
            let agents = |origin: &Origin| origin.checks() >= 2;
            agents(&sites[1].origin)
        },
    );
}

#[test]
fn nginx_serves_over_tls_1_3_and_1_2() {
    for versions in ["ssl_protocols TLSv1.3;", "ssl_protocols TLSv1.2;"] {
        let site = Site::new(Origin::named("unused"));
        let directory = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "app.pem", "app.key"] {
            std::fs::copy(site.path().join(name), directory.path().join(name)).unwrap();
        }
        let server = nginx::start(directory, "app", versions);
        let builder = Proxy::builder().toml(&site.terms("")).zone_at("fz-1", &[]);
        let proxy = builder
            .backend_at("app-1", &format!("https://{}", server.address), "")
            .start();
        for _ in 0..3 {
            let answer = proxy.get("/");
            assert_eq!((answer.status, answer.text()), (200, "all well".to_owned()));
        }
    }
}

#[test]
fn a_zone_that_dies_under_load_is_left_without_a_lost_get() {
    let sites = [Site::new(Origin::named("a")), Site::new(Origin::named("b"))];
    let ca = std::fs::read_to_string(sites[0].path().join("ca.pem")).unwrap()
        + &std::fs::read_to_string(sites[1].path().join("ca.pem")).unwrap();
    std::fs::write(sites[0].path().join("ca.pem"), ca).unwrap();
    let builder = sites[0]
        .builder(&sites[0].terms(""))
        .check(crate::support::pair::PROMPT);
    let proxy = crate::site::secured(builder, "fz-2", &sites[1].tls).start();
    proxy.until_all_up();
    let load = crate::support::load::Plan {
        rate: 100,
        ..crate::support::load::Plan::to(proxy.address)
    }
    .only_get()
    .start();
    load.wait_for_more(50);
    let [first, _second] = sites;
    let Site { tls, origin, .. } = first;
    drop(tls);
    drop(origin);
    crate::support::pair::until_active(&proxy, "fz-2");
    load.wait_for_more(50);
    let records = load.finish();
    let failed: Vec<_> = records.iter().filter(|r| !r.succeeded()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
