//! Clients that don't speak TLS, don't speak at all, or don't end it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, RawClient, eventually};

fn site(limits: &str) -> (Origin, Site, Proxy) {
    let origin = Origin::named("a");
    let site = Site::new();
    let builder = site
        .builder()
        .toml(limits)
        .environment("RUST_LOG", "firedoor=debug");
    let proxy = builder.zone("fz-1", &[&origin]).start();
    (origin, site, proxy)
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Waits until the other side ends the connection.
fn until_end(mut socket: TcpStream) {
    let mut scrap = [0; 1024];
    loop {
        match socket.read(&mut scrap) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => panic!("it does not end"),
                ErrorKind::Interrupted => {}
                _ => return,
            },
        }
    }
}

#[test]
fn http_without_tls_gets_an_answer_that_says_so() {
    let (origin, site, proxy) = site("");
    let mut ids = Vec::new();
    for request in [
        "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
        "g",
    ] {
        let mut client = RawClient::connect(proxy.address);
        client.send(request);
        let answer = client.response();
        assert_eq!(answer.status, 400);
        let text = answer.text();
        let (sentence, id) = text.split_once("\nRequest ").unwrap();
        assert_eq!(sentence, "This address speaks HTTP over TLS only: https://");
        assert_eq!(answer.field("x-request-id"), Some(id.trim_end()));
        assert_eq!(answer.field("strict-transport-security"), None);
        ids.push(id.trim_end().to_owned());
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(
        Client::connect(proxy.address, &site.trust())
            .get("/")
            .status,
        200
    );
    let line = proxy.access_line("-");
    assert_eq!(
        (&line["status"], &line["scheme"]),
        (&400.into(), &"https".into())
    );
    assert!(ids.iter().any(|id| line["request_id"] == id.as_str()));
}

#[test]
fn rubbish_gets_an_alert_and_one_line_for_who_debugs() {
    let (_origin, site, proxy) = site("");
    for rubbish in [
        &b"\x16\x03\x01\xff\xff"[..],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\0\0\0\0\0\0\0\0",
        b"\x80\x2e\x01\x03\x01\x00\x15\0\0",
        &[0x15, 3, 1, 0, 2, 2, 40],
    ] {
        let mut socket = socket(proxy.address);
        socket.write_all(rubbish).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        until_end(socket);
    }
    eventually(PATIENCE, "each is noted once", || {
        proxy.log().matches("no TLS handshake").count() == 5
    });
    for level in ["WARN", "ERROR"] {
        let log = proxy.log();
        assert!(
            !log.lines()
                .any(|line| line.contains(level) && line.contains("TLS")),
            "{log}"
        );
    }
    assert_eq!(
        Client::connect(proxy.address, &site.trust())
            .get("/")
            .status,
        200
    );
}

#[test]
fn a_handshake_that_stalls_is_cut_when_the_head_is_due() {
    let (_origin, site, proxy) = site("[limits]\nheader_timeout = \"2s\"");
    let begun = Instant::now();
    // Silent; after the first byte; in the middle of the first message.
    let stalled = [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]
    .map(|part| {
        let mut socket = socket(proxy.address);
        socket.write_all(part).unwrap();
        socket
    });
    // After the handshake: its time counts for the head.
    let mut client = Client::connect(proxy.address, &site.trust());
    for socket in stalled {
        until_end(socket);
        assert!(begun.elapsed() > Duration::from_millis(1900));
    }
    let (bytes, end) = client.rest();
    assert!(bytes.is_empty() && end.is_ok(), "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    // A head that has begun gets an answer, in TLS.
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET / HTTP/1.1\r\nHost: app.ex");
    assert_eq!(client.response().status, 408);
    assert!(client.rest().1.is_ok());
}

#[test]
fn a_thousand_silent_connections_hold_nobody_up() {
    let (_origin, site, proxy) = site("[limits]\nheader_timeout = \"60s\"");
    let silent: Vec<TcpStream> = (0..1000).map(|_| socket(proxy.address)).collect();
    for _ in 0..20 {
        let mut client = Client::connect(proxy.address, &site.trust());
        assert_eq!(client.get("/").status, 200);
    }
    drop(silent);
}

/// A worker takes a thousand handshakes, and those who have had theirs for two seconds make way.
#[test]
fn handshakes_that_stall_make_way_for_others() {
    let origin = Origin::named("a");
    let site = Site::new();
    let builder = site.builder().server("workers = 1");
    let builder = builder.toml("[limits]\nheader_timeout = \"10m\"");
    let proxy = builder.zone("fz-1", &[&origin]).start();
    let stalled: Vec<TcpStream> = (0..1500)
        .map(|_| {
            let mut socket = socket(proxy.address);
            socket.write_all(b"\x16\x03\x01").unwrap();
            socket
        })
        .collect();
    for _ in 0..20 {
        let mut client = Client::connect(proxy.address, &site.trust());
        assert_eq!(client.get("/").status, 200);
    }
    let is_over = |socket: &TcpStream| {
        socket.set_nonblocking(true).unwrap();
        // The end, or a reset; one that lives would block.
        !socket
            .peek(&mut [0])
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    let over = stalled.iter().filter(|socket| is_over(socket)).count();
    assert!((500..=1500).contains(&over), "{over} had to go");
}

#[test]
fn a_client_that_closes_without_a_word_is_as_good_as_gone_and_no_news() {
    let (origin, site, proxy) = site("");
    let mut client = Client::connect(proxy.address, &site.trust());
    assert_eq!(client.get("/").status, 200);
    client.cut_writing();
    let (bytes, _) = client.rest();
    assert!(bytes.is_empty());
    // In the middle of a body: the backend never sees a whole one.
    origin.behave(behaviour::echo());
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("POST /cut HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.cut_writing();
    eventually(PATIENCE, "its request is over", || {
        proxy.access_text().contains("/cut")
    });
    assert!(origin.seen_for("/cut").iter().all(|seen| !seen.complete));
    assert_eq!(proxy.status()["zones"][0]["components"][0]["status"], "up");
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let (origin, site, proxy) = site("[limits]\nwrite_timeout = \"1s\"");
    origin.behave(behaviour::huge(1 << 30));
    let mut client = Client::connect(proxy.address, &site.trust());
    client.send("GET /big HTTP/1.1\r\nHost: app.example\r\n\r\n");
    let line = proxy.access_line("/big");
    assert_eq!(line["status"], 200);
    eventually(PATIENCE, "the backend is let go", || {
        origin.open_connections() == 0
    });
}

#[test]
fn a_tiny_response_that_nobody_reads_is_cut_too() {
    // Fits into what rustls keeps, when the socket is full already.
    let (origin, site, proxy) = site("[limits]\nwrite_timeout = \"1s\"");
    origin.behave(behaviour::ok("t".repeat(50_000)));
    let mut client = Client::connect(proxy.address, &site.trust());
    let requests = "GET /t HTTP/1.1\r\nHost: app.example\r\n\r\n".repeat(300);
    client.send(&requests);
    eventually(PATIENCE, "it is cut", || client.is_cut());
}
