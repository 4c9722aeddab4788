//! The PROXY protocol, with the balancers and app servers that people have: HAProxy, nginx, curl.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; its rooms are read like any other"
)]

#[allow(dead_code, reason = "shared with the checks' tests")]
#[path = "net_checks/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with the TLS tests")]
#[path = "tls/client.rs"]
mod client;
#[path = "proxy_protocol/haproxy.rs"]
mod haproxy;
#[path = "proxy_protocol/incoming.rs"]
mod incoming;
#[path = "proxy_protocol/outgoing.rs"]
mod outgoing;
#[path = "proxy_protocol/refused.rs"]
mod refused;
#[allow(dead_code, reason = "shared with the TLS tests")]
#[path = "tls/site.rs"]
mod site;
mod support;

use std::net::SocketAddr;

use support::{Origin, Proxy, behaviour};

/// Signature, version and command, family, and what follows, with its length.
pub fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

/// A header of version 2 that introduces an IPv4 client.
pub fn introduces(client: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(client) = client else {
        panic!("IPv4 only");
    };
    let mut rest = client.ip().octets().to_vec();
    rest.extend([198, 51, 100, 1]);
    rest.extend(client.port().to_be_bytes());
    rest.extend(443_u16.to_be_bytes());
    second(0x21, 0x11, &rest)
}

/// In front of an app that echoes; only 127.0.0.0/8 and 203.0.113.0/24 are trusted, `lines` are the listener's further ones.
pub fn behind_a_balancer(lines: &str) -> (Origin, Proxy) {
    let origin = Origin::start(behaviour::echo());
    let listener = format!(
        "proxy_protocol = true\ntrusted_proxies = [\"127.0.0.0/8\", \"203.0.113.0/24\"]\n{lines}"
    );
    let proxy = Proxy::builder()
        .listener(&listener)
        .zone("fz-1", &[&origin])
        .start();
    (origin, proxy)
}

/// The values of a field in what the app has echoed.
pub fn fields<'b>(body: &'b str, name: &str) -> Vec<&'b str> {
    let lines = body.lines().filter_map(|line| line.split_once(": "));
    let same = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value).collect()
}
