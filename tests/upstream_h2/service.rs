//! What an HTTP/1.1 client sends and gets, with a backend that speaks HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use crate::authority::Authority;
use crate::origin::{Options, Origin};
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, eventually};
use crate::terminator::server_config;

/// A proxy in front of these, by `h2c://`.
pub fn in_front_of(origins: &[&Origin]) -> Proxy {
    builder(origins).start()
}

pub fn builder(origins: &[&Origin]) -> crate::support::proxy::Builder {
    let mut builder = Proxy::builder().zone_at("fz-1", &[]);
    for (at, origin) in origins.iter().enumerate() {
        let address = format!("h2c://{}", origin.address);
        builder = builder.backend_at(&format!("app-{}", at + 1), &address, "");
    }
    builder
}

#[test]
fn a_request_becomes_one_of_http_2_and_its_answer_one_of_http_1_1() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let answer = proxy.client().exchange(
        "POST /echo?q=%20 HTTP/1.1\r\nHost: App.example:81\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
         TE: trailers, gzip\r\nKeep-Alive: timeout=5\r\nContent-Length: 4\r\n\r\nbody",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("x-origin"), Some("a"));
    assert_eq!(answer.field("via"), Some("2.0 firedoor"));
    assert_eq!(answer.field("content-length"), Some("42"));
    assert!(answer.text().ends_with("\nbody"), "{}", answer.text());
    let seen = origin.saw("/echo?q=%20");
    assert_eq!(seen.uri, "http://App.example:81/echo?q=%20");
    assert_eq!(
        (seen.method.as_str(), seen.body.as_slice()),
        ("POST", &b"body"[..])
    );
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-forwarded-host"], "App.example:81");
    assert_eq!(seen.headers["firedoor-zone"], "fz-1");
    for gone in ["host", "connection", "keep-alive", "x-mine"] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn the_whole_server_and_odd_hosts_can_be_asked_too() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    let all = client.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(all.status, 200, "{}", all.text());
    assert!(all.text().starts_with("OPTIONS "), "{}", all.text());
    // Allowed in a host (RFC 3986 3.2.2), but not by the library's authorities.
    let odd = client.exchange("GET /odd HTTP/1.1\r\nHost: a%41.example\r\n\r\n");
    assert_eq!(odd.status, 200, "{}", odd.text());
    assert_eq!(origin.saw("/odd").headers["host"], "a%41.example");
}

#[test]
fn bodies_of_every_framing_pass_both_ways() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    // Chunked, with a trailer, larger than any window on the way.
    let part = vec![b'x'; 50_000];
    client.send("POST /echo?unknown HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
    for _ in 0..40 {
        client.send(format!("{:x}\r\n", part.len()));
        client.send(&part);
        client.send("\r\n");
    }
    client.send("0\r\nX-Sum: 42\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.field("x-received"), Some("2000000"));
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert!(answer.body.len() > 2_000_000);
    let seen = origin.saw("/echo?unknown");
    assert!(seen.complete);
    assert_eq!(seen.trailers.unwrap()["x-sum"], "42");

    // A request with trailers is the last one of its connection.
    assert_eq!(answer.field("connection"), Some("close"));
    let mut client = proxy.client();
    client.send("GET /large?30000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.response_within("GET", PATIENCE).unwrap();
    assert_eq!(answer.body.len(), 30_000_000);
    assert_eq!(answer.field("content-length"), Some("30000000"));
}

#[test]
fn responses_without_a_body_have_none() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.response_to("HEAD");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("19"))
    );
    client.send("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    let none = client.response();
    assert_eq!((none.status, none.field("content-length")), (204, None));
    client.send("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 304);
    client.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_status_without_words_of_its_own_has_none() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET /419 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().line, "HTTP/1.1 419 ");
}

#[test]
fn trailers_come_back_to_who_asks_for_them() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let answer = proxy.client().exchange(
        "POST /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(answer.text(), "message");
    assert!(
        answer
            .trailers
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("grpc-status") && value == "0"),
        "{:?}",
        answer.trailers
    );
}

#[test]
fn a_client_that_waits_for_100_is_asked_when_the_backend_asks() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.head().line, "HTTP/1.1 100 Continue");
    client.send("body");
    assert_eq!(client.response().field("x-received"), Some("4"));

    client.send(
        "POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.head().line, "HTTP/1.1 413 Payload Too Large");
}

#[test]
fn an_answer_before_the_request_ends_is_passed_on_at_once() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome");
    assert_eq!(client.head().line, "HTTP/1.1 413 Payload Too Large");
}

#[test]
fn early_hints_pass() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.head();
    assert_eq!(hints.line, "HTTP/1.1 103 Early Hints");
    assert_eq!(hints.field("link"), Some("</a.css>"));
    assert_eq!(client.response().status, 200);
}

/// Both directions at once, as a gRPC stream has it.
#[test]
fn a_conversation_passes_piece_by_piece() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(client.head().line.contains("200"));
    for word in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len()));
        let expected = format!("{:x}\r\n{}\r\n", word.len(), word.to_ascii_uppercase());
        let answer = client.exact(expected.len()).unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap().to_ascii_lowercase(),
            expected.to_ascii_lowercase()
        );
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.exact(5).unwrap(), b"0\r\n\r\n");
}

#[test]
fn an_http_1_0_client_is_served_too() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let answer = proxy
        .client()
        .exchange("GET /echo?unknown HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().starts_with("GET http://127.0.0.1:"),
        "{}",
        answer.text()
    );
}

fn secured(alpn: &[&str], offered: &str) -> (tempfile::TempDir, Origin, Proxy) {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "app", "127.0.0.1", 100);
    let mut config = server_config(directory.path(), "app", None);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let origin = Origin::start(Options {
        tls: Some(Arc::new(config)),
        ..Options::default()
    });
    let terms = format!(
        "[[pool]]\nname = \"default\"\ntls = {{ ca = \"{}/ca.pem\", alpn = {offered} }}",
        directory.path().display()
    );
    let proxy = Proxy::builder()
        .toml(&terms)
        .toml("[failover]\nhold_time = \"200ms\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("https://{}", origin.address), "")
        .start();
    (directory, origin, proxy)
}

#[test]
fn over_tls_it_is_spoken_where_both_sides_want_it_and_checked_so_too() {
    for offered in ["[\"h2\"]", "[\"h2\", \"http/1.1\"]"] {
        let (_directory, origin, proxy) = secured(&["h2"], offered);
        proxy.until_all_up();
        assert_eq!(proxy.get("/echo").status, 200);
        assert!(origin.saw("/echo").uri.starts_with("https://"));
        assert!(origin.checks() > 0);
    }
}

#[test]
fn a_backend_that_does_not_agree_to_the_only_protocol_is_l6rsp() {
    let (_directory, _origin, proxy) = secured(&[], "[\"h2\"]");
    proxy.until_status("the check says so", |status| {
        status.to_string().contains("L6RSP")
    });
}

#[test]
fn the_check_of_such_a_backend_is_made_in_http_2_and_reads_its_answer() {
    let origin = Origin::named("a");
    let check = |keys: &str| {
        builder(&[&origin])
            .check(&format!("interval = \"50ms\"\ntimeout = \"5s\"\n{keys}"))
            .start()
    };
    check("path = \"/health\"").until_all_up();
    check("path = \"/echo\"\nbody = \"GET http\"").until_all_up();
    let odd = check("path = \"/echo\"\nexpect = \"404\"");
    odd.until_status("the status is told", |status| {
        status.to_string().contains("HTTP 200, expected 404")
    });
    let clear = crate::support::Origin::named("HTTP/1.1");
    let proxy = Proxy::builder()
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{}", clear.address()), "")
        .start();
    proxy.until_status("it is not HTTP/2", |status| {
        status.to_string().contains("L7RSP")
    });
}

#[test]
fn a_client_that_leaves_resets_its_stream_and_nobody_elses() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin]).server("workers = 1").start();
    let mut stays = proxy.client();
    stays.send("POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(stays.head().line.contains("200"));
    let mut leaves = proxy.client();
    leaves.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually(PATIENCE, "it is under way", || origin.under_way() >= 2);
    drop(leaves);
    eventually(PATIENCE, "it is reset", || origin.cancelled() == 1);
    stays.send("3\r\none\r\n");
    assert_eq!(stays.exact(8).unwrap(), b"3\r\nONE\r\n");
    assert_eq!(
        origin.saw("/never").connection,
        origin.saw("/both").connection
    );
}

#[test]
fn a_request_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    eventually(PATIENCE, "it is under way", || {
        origin.seen().iter().any(|seen| seen.method == "POST")
    });
    drop(client);
    eventually(PATIENCE, "it is reset", || origin.cancelled() == 1);
    assert!(!origin.saw("/echo").complete);
}

#[test]
fn a_slow_body_is_ended_by_its_own_clock() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin])
        .toml("[limits]\nbody_timeout = \"300ms\"")
        .start();
    let mut client = proxy.client();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome");
    let answer = client
        .response_within("POST", Duration::from_secs(10))
        .unwrap();
    assert_eq!(answer.status, 408);
}
