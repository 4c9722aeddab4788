//! Requests whose body is streamed, and that a backend refuses unseen when some of that body has come already.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Method;

use crate::both_sides::{all, client, request};
use crate::frames::{self, DATA, END_STREAM, RST_STREAM, Wire};
use crate::support::Proxy;
use crate::support::wait::PATIENCE;

const REFUSED: [u8; 4] = 7_u32.to_be_bytes();

/// A body from its beginning, until it ends or there is so much of it.
fn body(wire: &mut Wire, enough: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let frame = wire.frame()?;
        if frame.kind == DATA {
            body.extend(frame.payload);
            if frame.flags & END_STREAM != 0 || body.len() >= enough {
                return Ok(body);
            }
        }
    }
}

/// Its first `refusals` connections refuse what they are asked, after so many bytes of the body; later ones say what they have got.
fn refusing(
    refusals: usize,
    enough: usize,
    refuse: fn(&mut Wire, u32),
) -> (SocketAddr, Receiver<usize>) {
    let (refused, refusals_seen) = channel();
    let refused = Arc::new(Mutex::new(refused));
    let (address, _) = frames::backend(move |wire| {
        loop {
            let stream = wire.request()?;
            if wire.number < refusals {
                let seen = body(wire, enough)?;
                refuse(wire, stream);
                let _told = refused.lock().unwrap().send(seen.len());
            } else {
                let seen = body(wire, usize::MAX)?;
                wire.answer(stream, &seen);
            }
        }
    });
    (address, refusals_seen)
}

fn reset(wire: &mut Wire, stream: u32) {
    wire.send(RST_STREAM, 0, stream, &REFUSED);
}

/// The same server thrice, so that there is another one to go to.
fn in_front_of(address: SocketAddr) -> Proxy {
    let mut builder = Proxy::builder()
        .server("workers = 1")
        .check("kind = \"tcp\"\ninterval = \"1h\"")
        .listener("h2c = true")
        .toml("[upstream]\nreplay_buffer = \"1KiB\"")
        .zone_at("fz-1", &[]);
    for name in ["app-1", "app-2", "app-3"] {
        builder = builder.backend_at(name, &format!("h2c://{address}"), "");
    }
    let proxy = builder.start();
    proxy.until_all_up();
    proxy
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn one_that_has_ended_is_made_again_whole() {
    for refuse in [reset, |wire: &mut Wire, _| wire.go_away(0, 0)] {
        let (address, _refused) = refusing(1, usize::MAX, refuse);
        let proxy = in_front_of(address);
        let answer = proxy
            .client()
            .exchange(format!("{CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "hello world")
        );
    }
}

/// As gRPC's calls are: without a length, and ended by a flag on the last piece or by an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_came_over_http_2_is_made_again_whole() {
    for pieces in [&["hello", " world"][..], &["hello", " world", ""]] {
        let (address, _refused) = refusing(2, usize::MAX, reset);
        let proxy = in_front_of(address);
        let mut sender = client(&proxy).await;
        let asked = request(Method::POST, "/");
        let (response, mut out) = sender.send_request(asked, false).unwrap();
        for (number, piece) in pieces.iter().enumerate() {
            let last = number + 1 == pieces.len();
            out.send_data(Bytes::from_static(piece.as_bytes()), last)
                .unwrap();
        }
        let mut body = response.await.unwrap().into_body();
        assert_eq!(all(&mut body).await, b"hello world");
    }
}

#[test]
fn one_that_is_still_coming_goes_on_where_it_was() {
    let (address, refused) = refusing(1, 5, reset);
    let proxy = in_front_of(address);
    let mut client = proxy.client();
    client.send(format!("{CHUNKED}5\r\nhello\r\n"));
    assert_eq!(refused.recv_timeout(PATIENCE).unwrap(), 5);
    client.send("6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "hello world");
}

#[test]
fn a_length_that_was_announced_stays_the_same() {
    let (address, refused) = refusing(1, 5, reset);
    let proxy = in_front_of(address);
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\nhello");
    assert_eq!(refused.recv_timeout(PATIENCE).unwrap(), 5);
    let rest = "x".repeat(2995);
    client.send(&rest);
    assert_eq!(client.response().text(), format!("hello{rest}"));
}

#[test]
fn one_that_is_refused_twice_loses_nothing() {
    let (address, refused) = refusing(2, 5, reset);
    let proxy = in_front_of(address);
    let mut client = proxy.client();
    client.send(format!("{CHUNKED}5\r\nhello\r\n"));
    for _ in 0..2 {
        assert_eq!(refused.recv_timeout(PATIENCE).unwrap(), 5);
    }
    client.send("6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "hello world");
}

#[test]
fn more_than_the_replay_buffer_is_not_kept_and_never_sent_in_part() {
    let (address, refused) = refusing(1, 2000, reset);
    let proxy = in_front_of(address);
    let mut client = proxy.client();
    let part = "x".repeat(1000);
    client.send(format!("{CHUNKED}3e8\r\n{part}\r\n3e8\r\n{part}\r\n"));
    assert_eq!(refused.recv_timeout(PATIENCE).unwrap(), 2000);
    assert_eq!(client.response().status, 502);
}

#[test]
fn a_client_that_breaks_off_after_that_is_not_taken_for_one_that_has_ended() {
    let (address, refused) = refusing(1, 5, reset);
    let proxy = in_front_of(address);
    let mut client = proxy.client();
    client.send(format!("{CHUNKED}5\r\nhello\r\n"));
    assert_eq!(refused.recv_timeout(PATIENCE).unwrap(), 5);
    client.send("nonsense\r\n");
    assert_eq!(client.response().status, 400);
}
