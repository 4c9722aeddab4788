//! Bodies in the smallest of frames, which cost more than their data, and what that may cost others.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Method;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::both_sides::{self, all, request};
use crate::frames::{
    self, ACK, DATA, END_HEADERS, END_STREAM, HEADERS, OK, PING, RST_STREAM, SETTINGS, Wire,
};
use crate::origin::Origin;
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, eventually};

const WINDOW_UPDATE: u8 = 8;
/// How much of one answer waits for its client in firedoor.
const WINDOW: usize = 256 * 1024;
/// Frames of five bytes, as the smallest messages of gRPC are.
const COUNT: usize = 70_000;

fn grain(at: usize) -> String {
    format!("{at:05}")
}

/// One worker, one backend of frames, clients of either version.
fn in_front_of(address: SocketAddr) -> Proxy {
    let proxy = Proxy::builder()
        .listener("h2c = true")
        .server("workers = 1")
        .check("kind = \"tcp\"\ninterval = \"1h\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{address}"), "")
        .start();
    proxy.until_all_up();
    proxy
}

/// Says what it hears back on the first stream, and answers [`COUNT`] grains on each other one, as far as there is room.
fn serve_grains(wire: &mut Wire, sent: &AtomicUsize) -> io::Result<()> {
    let mut windows = BTreeMap::<u32, (usize, usize)>::new();
    loop {
        let frame = wire.frame()?;
        match (frame.kind, frame.stream) {
            (SETTINGS, _) if frame.flags & ACK == 0 => wire.send(SETTINGS, ACK, 0, &[]),
            (HEADERS, stream) => {
                wire.send(HEADERS, END_HEADERS, stream, OK);
                if stream > 1 {
                    windows.insert(stream, (0, WINDOW));
                }
            }
            (DATA, 1) => wire.send(DATA, frame.flags & END_STREAM, 1, &frame.payload),
            (WINDOW_UPDATE, stream) => {
                if let (Some((_, room)), Ok(by)) =
                    (windows.get_mut(&stream), frame.payload.try_into())
                {
                    *room += u32::from_be_bytes(by) as usize;
                }
            }
            _ => {}
        }
        for (stream, (at, room)) in &mut windows {
            while *room >= 5 && *at < COUNT {
                wire.send(DATA, 0, *stream, grain(*at).as_bytes());
                sent.fetch_add(1, Ordering::SeqCst);
                (*at, *room) = (*at + 1, *room - 5);
                if *at == COUNT {
                    wire.send(DATA, END_STREAM, *stream, &[]);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_cost_nobody_else_anything() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let (address, connections) = frames::backend(move |wire| serve_grains(wire, &counted));
    let proxy = in_front_of(address);
    // Somebody who talks over the same connection all the while.
    let mut talks = proxy.client();
    talks.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(talks.head().line.contains("200"));
    let before = proxy.resident_kib();
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        // h2's own bound would have it end the connection.
        let mut builder = h2::client::Builder::new();
        let connecting = builder.data_frame_budget(usize::MAX).handshake(stream);
        let (mut sender, connection): (SendRequest<Bytes>, _) = connecting.await.unwrap();
        tokio::spawn(connection);
        let asked = request(Method::GET, "/grains");
        let (response, _) = sender.send_request(asked, true).unwrap();
        bodies.push((response.await.unwrap().into_body(), sender));
    }
    eventually(PATIENCE, "there is room for no more of it", || {
        sent.load(Ordering::SeqCst) >= 2 * (WINDOW / 5)
    });
    talks.send("3\r\none\r\n");
    assert_eq!(talks.exact(8).unwrap(), b"3\r\none\r\n");
    let grown = proxy.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    // And nothing is lost or mixed up when they do read.
    let whole: String = (0..COUNT).map(grain).collect();
    for (body, _sender) in &mut bodies {
        assert!(all(body).await == whole.as_bytes());
    }
    talks.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(talks.exact(13).unwrap(), b"3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Takes no more of four bodies than HTTP/2 begins with, until it is asked for something without one; notes them then.
fn take_late(wire: &mut Wire, taken: &Mutex<BTreeMap<u32, Vec<u8>>>) -> io::Result<()> {
    loop {
        let frame = wire.frame()?;
        match (frame.kind, frame.flags & END_STREAM) {
            (SETTINGS, _) if frame.flags & ACK == 0 => wire.send(SETTINGS, ACK, 0, &[]),
            (PING, _) if frame.flags & ACK == 0 => wire.send(PING, ACK, 0, &frame.payload),
            (HEADERS, 0) => drop(taken.lock().unwrap().insert(frame.stream, Vec::new())),
            (HEADERS, _) => {
                wire.answer(frame.stream, b"now");
                let streams = taken.lock().unwrap().keys().copied().collect::<Vec<_>>();
                for stream in [0].into_iter().chain(streams) {
                    wire.send(WINDOW_UPDATE, 0, stream, &(1u32 << 24).to_be_bytes());
                }
            }
            (DATA, last) => {
                let mut taken = taken.lock().unwrap();
                let body = taken.get_mut(&frame.stream).unwrap();
                body.extend_from_slice(&frame.payload);
                if last != 0 {
                    wire.answer(frame.stream, b"all");
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_take_them_holds_up_their_streams_only() {
    const STREAMS: usize = 4;
    const COUNT: usize = 30_000;
    let taken = Arc::new(Mutex::new(BTreeMap::new()));
    let noted = Arc::clone(&taken);
    let (address, _) = frames::backend(move |wire| take_late(wire, &noted));
    let proxy = in_front_of(address);
    let before = proxy.resident_kib();
    let mut sender = both_sides::client(&proxy).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for _ in 0..STREAMS {
        let asked = request(Method::POST, "/grains");
        let (response, mut out) = sender.send_request(asked, false).unwrap();
        let sent = Arc::clone(&sent);
        calls.push(tokio::spawn(async move {
            for at in 0..COUNT {
                out.reserve_capacity(5);
                while out.capacity() < 5 {
                    let room = std::future::poll_fn(|cx| out.poll_capacity(cx)).await;
                    room.unwrap().unwrap();
                }
                out.send_data(grain(at).into(), at + 1 == COUNT).unwrap();
                sent.fetch_add(1, Ordering::SeqCst);
            }
            all(&mut response.await.unwrap().into_body()).await
        }));
    }
    eventually(PATIENCE, "their windows are full", || {
        sent.load(Ordering::SeqCst) >= STREAMS * (65_535 / 5)
    });
    let grown = proxy.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    // Another stream of the same connection goes on.
    let asked = request(Method::GET, "/");
    let (response, _) = sender.send_request(asked, true).unwrap();
    assert_eq!(all(&mut response.await.unwrap().into_body()).await, b"now");
    for call in calls {
        assert_eq!(call.await.unwrap(), b"all");
    }
    let whole: String = (0..COUNT).map(grain).collect();
    let taken = taken.lock().unwrap();
    assert_eq!(taken.len(), STREAMS);
    assert!(taken.values().all(|body| body == whole.as_bytes()));
}

/// h2 counts them for ever, since nobody takes them.
#[test]
fn what_still_comes_to_clients_that_have_left_costs_nobody_else_anything() {
    const LEAVERS: usize = 3;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let (address, connections) = frames::backend(move |wire| {
        let talks = wire.request()?;
        wire.send(HEADERS, END_HEADERS, talks, OK);
        loop {
            let frame = wire.frame()?;
            match frame.kind {
                HEADERS => wire.send(HEADERS, END_HEADERS, frame.stream, OK),
                DATA => wire.send(DATA, frame.flags & END_STREAM, talks, &frame.payload),
                RST_STREAM => {
                    // As if it had crossed the reset.
                    for at in 0..WINDOW / 5 {
                        wire.send(DATA, 0, frame.stream, grain(at).as_bytes());
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                _ => {}
            }
        }
    });
    let proxy = in_front_of(address);
    let mut talks = proxy.client();
    talks.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(talks.head().line.contains("200"));
    for left in 0..LEAVERS {
        let mut leaves = proxy.client();
        leaves.send("GET /grains HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(leaves.head().line.contains("200"));
        drop(leaves);
        eventually(PATIENCE, "it has been sent for nothing", || {
            sent.load(Ordering::SeqCst) > left
        });
    }
    talks.send("3\r\none\r\n0\r\n\r\n");
    assert_eq!(talks.exact(13).unwrap(), b"3\r\none\r\n0\r\n\r\n");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// h2 takes a hundred empty frames in the life of a connection. They are nothing that a backend must not send.
#[test]
fn a_connection_that_firedoor_ends_is_not_its_backends_fault() {
    let (address, _) = frames::backend(|wire| {
        loop {
            let stream = wire.request()?;
            wire.send(HEADERS, END_HEADERS, stream, OK);
            for _ in 0..101 {
                wire.send(DATA, 0, stream, &[]);
            }
        }
    });
    let (breaking, _) = frames::backend(|wire| {
        loop {
            let stream = wire.request()?;
            wire.send(HEADERS, END_HEADERS, stream, OK);
            wire.send(RST_STREAM, 0, stream, &2u32.to_be_bytes());
        }
    });
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"\ninterval = \"1h\"")
        .toml("[failover]\ngray = \"report\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{address}"), "")
        .backend_at("app-2", &format!("h2c://{breaking}"), "")
        .backend_at("app-3", &format!("h2c://{}", first.address), "")
        .backend_at("app-4", &format!("h2c://{}", second.address), "")
        .start();
    proxy.until_all_up();
    let gray = |status: &Value, at: usize| status["zones"][0]["components"][at]["gray"] == true;
    let status = proxy.until_status("one that breaks off itself is found out", |status| {
        let mut client = proxy.client();
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let _broken = client.response_within("POST", PATIENCE);
        gray(status, 1)
    });
    assert!(!gray(&status, 0), "{status:#}");
    let ended = proxy.access_text().matches("\"PD\"").count();
    assert!(ended > 0, "its connections do end");
}
