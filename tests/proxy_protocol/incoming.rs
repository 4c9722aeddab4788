//! Clients that a balancer introduces: who they are for the app and the logs, and whom they are believed to be.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConnection;

use crate::client::Client;
use crate::haproxy::Haproxy;
use crate::site::Site;
use crate::support::client::Response;
use crate::support::{Proxy, RawClient};
use crate::{behind_a_balancer, fields, introduces, second};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: app.example\r\n\r\n";
const FORGED: &str = "GET /a HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.99\r\nX-Forwarded-Proto: https\r\nX-Request-Id: forged\r\n\r\n";

fn ask(proxy: &Proxy, header: &[u8], request: &str) -> Response {
    let answer = proxy.client().exchange_after(header, request);
    assert_eq!(answer.status, 200);
    answer
}

fn forwarded_for(answer: &Response) -> String {
    let body = answer.text();
    fields(&body, "x-forwarded-for").join(" and ")
}

#[test]
fn the_client_that_is_introduced_is_the_client_for_app_and_log() {
    let (_origin, proxy) = behind_a_balancer("");
    let line = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";
    assert_eq!(
        forwarded_for(&ask(&proxy, line.as_bytes(), REQUEST)),
        "192.0.2.7"
    );
    let logged = proxy.access_line("/a");
    assert_eq!(logged["client"], "192.0.2.0");

    let binary = introduces("192.0.2.8:40000".parse().unwrap());
    assert_eq!(forwarded_for(&ask(&proxy, &binary, REQUEST)), "192.0.2.8");
    let six = "PROXY TCP6 2001:db8::7 ::1 40000 443\r\n";
    assert_eq!(
        forwarded_for(&ask(&proxy, six.as_bytes(), REQUEST)),
        "2001:db8::7"
    );
}

#[test]
fn a_header_may_come_in_pieces_and_with_the_request_right_behind_it() {
    let (_origin, proxy) = behind_a_balancer("");
    // 1 KiB that says nothing of interest follows the addresses.
    let mut rest = vec![192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187, 4, 4, 0];
    rest.extend([0; 1024]);
    let headers = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n".to_vec(),
        second(0x21, 0x11, &rest),
    ];
    for header in headers {
        let all = [&header[..], REQUEST.as_bytes()].concat();
        let mut client = proxy.client();
        let (last, first) = all.split_last().unwrap();
        for byte in first {
            client.send([*byte]);
        }
        let answer = client.send([*last]).response();
        assert_eq!(forwarded_for(&answer), "192.0.2.7");
        // Two requests on it: the header is the connection's, not the request's.
        let answer = client.exchange(REQUEST);
        assert_eq!(forwarded_for(&answer), "192.0.2.7");
    }
}

#[test]
fn not_a_byte_of_what_follows_the_header_is_lost_to_tls() {
    let site = Site::new();
    let (_origin, proxy) = behind_a_balancer(&site.terms(""));
    let name = "app.example".try_into().unwrap();
    let mut tls = ClientConnection::new(site.trust(), name).unwrap();
    let mut first = introduces("192.0.2.7:40000".parse().unwrap());
    tls.write_tls(&mut first).unwrap();
    // Header and ClientHello as one segment.
    let mut socket = TcpStream::connect(proxy.address).unwrap();
    socket.write_all(&first).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    let mut stream = rustls::StreamOwned::new(tls, socket);
    stream.write_all(REQUEST.as_bytes()).unwrap();
    assert_eq!(proxy.access_line("/a")["client"], "192.0.2.0");
    assert_eq!(proxy.access_line("/a")["scheme"], "https");
}

#[test]
fn haproxy_introduces_its_clients_in_both_versions_before_tls_too() {
    for introduction in ["send-proxy", "send-proxy-v2"] {
        let (_origin, proxy) = behind_a_balancer("");
        let balancer = Haproxy::in_front_of(proxy.address, introduction);
        let mut client = RawClient::connect(balancer.address);
        assert_eq!(forwarded_for(&client.exchange(REQUEST)), "127.0.0.1");
        assert_eq!(proxy.access_line("/a")["client"], "127.0.0.0");
    }
    let site = Site::new();
    let (_origin, proxy) = behind_a_balancer(&site.terms(""));
    let balancer = Haproxy::in_front_of(proxy.address, "send-proxy-v2");
    let body = Client::connect(balancer.address, &Arc::clone(&site.trust()))
        .get("/a")
        .body;
    assert_eq!(fields(&body, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(fields(&body, "x-forwarded-proto"), ["https"]);
}

#[test]
fn curl_introduces_itself() {
    let (_origin, proxy) = behind_a_balancer("");
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--haproxy-protocol",
        ])
        .arg(format!("http://{}/a", proxy.address))
        .output()
        .unwrap();
    let body = String::from_utf8(output.stdout).unwrap();
    assert_eq!(fields(&body, "x-forwarded-for"), ["127.0.0.1"], "{body}");
}

#[test]
fn http_2_may_follow_the_header() {
    let (_origin, proxy) = behind_a_balancer("h2c = true");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--haproxy-protocol", "--http2-prior-knowledge"])
        .arg(format!("http://{0}/a", proxy.address))
        .output()
        .unwrap();
    let body = String::from_utf8(output.stdout).unwrap();
    assert_eq!(fields(&body, "x-forwarded-for"), ["127.0.0.1"], "{body}");
    assert_eq!(proxy.access_line("/a")["protocol"], "HTTP/2.0");
}

/// The balancer has passed on bytes, and has not looked at them.
#[test]
fn what_an_introduced_client_says_of_others_is_believed_only_if_it_is_trusted_itself() {
    let (_origin, proxy) = behind_a_balancer("");
    let stranger = introduces("192.0.2.7:40000".parse().unwrap());
    let answer = ask(&proxy, &stranger, FORGED);
    assert_eq!(forwarded_for(&answer), "192.0.2.7");
    assert_eq!(fields(&answer.text(), "x-forwarded-proto"), ["http"]);
    assert_ne!(fields(&answer.text(), "x-request-id"), ["forged"]);

    // A content delivery network in front of the balancer, say.
    let trusted = introduces("203.0.113.7:40000".parse().unwrap());
    let answer = ask(&proxy, &trusted, FORGED);
    assert_eq!(forwarded_for(&answer), "192.0.2.99, 203.0.113.7");
    assert_eq!(fields(&answer.text(), "x-forwarded-proto"), ["https"]);
    assert_eq!(fields(&answer.text(), "x-request-id"), ["forged"]);
}

#[test]
fn a_connection_that_introduces_nobody_keeps_its_own_address_and_is_not_believed() {
    let (_origin, proxy) = behind_a_balancer("");
    let unix = second(0x21, 0x31, &[7; 216]);
    let local = second(0x20, 0, &[]);
    let local_with_address = second(0x20, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187]);
    // The rest of it doesn't matter then, a family that nobody has assigned included (2.2).
    let local_of_no_family = second(0x20, 0x41, &[1, 2]);
    for header in [
        local_of_no_family,
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
        local,
        local_with_address,
        unix,
    ] {
        let answer = ask(&proxy, &header, FORGED);
        assert_eq!(forwarded_for(&answer), "127.0.0.1", "{header:?}");
        assert_eq!(fields(&answer.text(), "x-forwarded-proto"), ["http"]);
    }
}

#[test]
fn a_reload_decides_for_new_connections() {
    let (origin, mut proxy) = behind_a_balancer("");
    let mut old = proxy.client();
    old.exchange_after(b"PROXY UNKNOWN\r\n", REQUEST);
    proxy.rewrite_config(Proxy::builder().zone("fz-1", &[&origin]));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(proxy.client().exchange(REQUEST).status, 200);
    assert_eq!(old.exchange(REQUEST).status, 200);
}
