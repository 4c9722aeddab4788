//! WebSockets over HTTP/2: extended CONNECT (RFC 8441) to a backend that knows only HTTP/1.1.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use rustix::process::Signal;

use crate::client::{Client, Stream};
use crate::support::behaviour::{self, Behaviour};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy, pair};
use crate::{builder, lab};

/// As the RFC has it, for any key; then everything comes back in upper case.
fn websocket() -> Behaviour {
    behaviour::custom(|exchange| {
        let key = exchange
            .head
            .field("sec-websocket-key")
            .unwrap_or("")
            .to_owned();
        let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
        exchange.send(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        loop {
            match exchange.some() {
                Ok(bytes) => exchange.send(&bytes.to_ascii_uppercase()),
                Err(crate::support::wire::Trouble::Closed) => {
                    exchange.send(b"bye");
                    return behaviour::Next::Close;
                }
                Err(_) => return behaviour::Next::Reset,
            };
        }
    })
}

#[track_caller]
fn connect(client: &mut Client, path: &str) -> Stream {
    assert!(client.tunnels(), "SETTINGS_ENABLE_CONNECT_PROTOCOL");
    let request = client
        .request("CONNECT", path)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .extension(Protocol::from_static("websocket"));
    client.begin(request.body(()).unwrap(), false)
}

#[test]
fn a_websocket_passes_both_ways_and_either_side_may_end_first() {
    let (origin, proxy) = lab(websocket());
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat?x=1");
    let head = stream.head();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["sec-websocket-protocol"], "chat");
    for name in ["sec-websocket-accept", "connection", "upgrade"] {
        assert!(!head.headers().contains_key(name), "{name}");
    }
    let seen = origin.saw("/chat?x=1");
    assert_eq!(
        (&*seen.method, seen.field("upgrade")),
        ("GET", Some("websocket"))
    );
    assert_eq!(seen.field("connection"), Some("upgrade"));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    assert_eq!(seen.field("transfer-encoding"), None);

    for text in ["hello", "again"] {
        stream.send(text, false);
        assert_eq!(stream.exact(5), text.to_ascii_uppercase().into_bytes());
    }
    let large = "x".repeat(3_000_000);
    stream.send(large.clone(), false);
    assert!(stream.exact(large.len()).iter().all(|byte| *byte == b'X'));
    stream.send("", true);
    assert_eq!(stream.data(), "bye");
    assert!(stream.try_data().is_none());
    assert_eq!(proxy.access_line("/chat")["termination"], "--");
    assert_eq!(proxy.access_line("/chat")["protocol"], "HTTP/2.0");
}

#[test]
fn several_tunnels_and_requests_share_a_connection() {
    let (_origin, proxy) = lab(behaviour::custom(move |exchange| {
        if exchange.head.line.contains("/chat") {
            return websocket()(exchange);
        }
        exchange.read_body();
        exchange.send(&behaviour::response(200, &[], b"plain"))
    }));
    let mut client = Client::connect(proxy.address);
    let mut streams: Vec<_> = (0..5).map(|_| connect(&mut client, "/chat")).collect();
    for stream in &mut streams {
        stream.head();
    }
    for stream in &mut streams {
        stream.send("hello", false);
    }
    assert_eq!(client.get("/").text(), "plain");
    for stream in &mut streams {
        assert_eq!(stream.exact(5), b"HELLO");
    }
}

#[test]
fn a_backend_that_refuses_the_upgrade_digs_no_tunnel() {
    for (traffic, status) in [
        (behaviour::answer(403, &[], "no"), 403),
        (behaviour::ok("not a tunnel"), 502),
        (behaviour::answer(404, &[], "no"), 404),
    ] {
        let (_origin, proxy) = lab(traffic);
        let mut client = Client::connect(proxy.address);
        let mut stream = connect(&mut client, "/chat");
        assert_eq!(stream.head().status(), status);
    }
    // It has not understood the key: nobody but us could see that.
    let (_origin, proxy) = lab(behaviour::upgrade());
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat");
    assert!(stream.try_head().is_err());
}

#[test]
fn a_client_that_resets_its_tunnel_is_gone_for_the_backend() {
    let (origin, proxy) = lab(websocket());
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat");
    stream.head();
    eventually(PATIENCE, "it is open", || origin.open_connections() == 1);
    stream.outgoing.send_reset(h2::Reason::CANCEL);
    eventually(PATIENCE, "it is gone", || origin.open_connections() == 0);
}

/// A close frame with status 1012.
const RESTART: &[u8] = &[0x88, 0x02, 0x03, 0xf4];

fn zones(one: &Origin, other: &Origin) -> Proxy {
    builder()
        .server("drain_timeout = \"400ms\"")
        .zone("fz-1", &[one])
        .zone("fz-2", &[other])
        .start()
}

#[test]
fn a_tunnel_into_a_zone_that_was_left_ends_with_1012_and_the_others_go_on() {
    let (one, other) = (Origin::start(websocket()), Origin::start(websocket()));
    let proxy = zones(&one, &other);
    pair::until_both_serve(&proxy);
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat");
    stream.head();
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stream.exact(RESTART.len()), RESTART);
    assert!(stream.try_data().is_none(), "and an end, no reset");
    let mut stream = connect(&mut client, "/chat");
    assert_eq!(stream.head().status(), 200);
    assert_eq!(other.seen_for("/chat").len(), 1);
}

#[test]
fn a_graceful_stop_ends_tunnels_with_1012() {
    let (one, other) = (Origin::start(websocket()), Origin::start(websocket()));
    let mut proxy = zones(&one, &other);
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat");
    stream.head();
    proxy.signal(Signal::TERM);
    assert_eq!(stream.exact(RESTART.len()), RESTART);
    drop(stream);
    assert!(proxy.wait_for_exit(Duration::from_secs(10)).success());
}

#[test]
fn an_answer_of_firedoors_own_is_no_tunnel() {
    let origin = Origin::start(websocket());
    let proxy = builder()
        .toml("[[route]]\npath = \"/\"\nrespond = { body = \"ok\" }")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    let mut stream = connect(&mut client, "/chat");
    assert!(!stream.head().status().is_success());
    assert_eq!(client.get("/chat").text(), "ok");
}
