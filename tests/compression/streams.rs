//! Bodies on their way: nothing is held back, nothing is hurried, all of it arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::decoder::{CODINGS, accepting, builder, decode, decoded, get, text};
use crate::support::behaviour::{self, Behaviour, Next, chunk};
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Origin, RawClient};

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Sends `parts` as chunks, each when it is asked for by `step` (which counts up to it).
fn stepwise(parts: Vec<Vec<u8>>, step: Arc<AtomicU64>) -> Behaviour {
    behaviour::custom(move |exchange| {
        exchange.read_body();
        exchange.send(HEAD);
        for (at, part) in (1..).zip(&parts) {
            eventually(PATIENCE, "the next part is asked for", || {
                step.load(Ordering::Acquire) >= at
            });
            exchange.send(&chunk(part));
        }
        exchange.send(b"0\r\n\r\n")
    })
}

/// Reads chunks of a response until they decode to `expected`.
#[track_caller]
fn read_until(client: &mut RawClient, coding: &str, sent: &mut Vec<u8>, expected: &[u8]) {
    while decode(coding, sent).0 != expected {
        let mut line = client.exact(1).expect("a chunk's size");
        while !line.ends_with(b"\r\n") {
            line.extend(client.exact(1).expect("a chunk's size"));
        }
        let line = String::from_utf8(line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        assert_ne!(size, 0, "the end");
        sent.extend(client.exact(size).unwrap());
        client.exact(2).unwrap();
    }
}

#[test]
fn a_slow_stream_is_not_held_back() {
    for coding in CODINGS {
        let parts = vec![
            b"<p>first".to_vec(),
            b" second".to_vec(),
            b" third</p>".to_vec(),
        ];
        let step = Arc::new(AtomicU64::new(0));
        let origin = Origin::start(stepwise(parts.clone(), Arc::clone(&step)));
        let proxy = builder(&origin).start();
        let mut client = proxy.client();
        client.send(accepting(coding));
        assert!(client.head().line.contains("200"));
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for part in &parts {
            step.fetch_add(1, Ordering::Release);
            expected.extend(part);
            read_until(&mut client, coding, &mut sent, &expected);
        }
    }
}

#[test]
fn all_of_it_arrives_however_it_comes() {
    let mut random = fastrand::Rng::with_seed(7);
    let origin = Origin::named("");
    let proxy = builder(&origin).start();
    let mut client = proxy.client();
    for round in 0..30 {
        let text = text(random.usize(..400_000), round);
        let mut parts = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let most = [10, 1000, 70_000][random.usize(..3)];
            let (part, more) = rest.split_at(random.usize(1..=most).min(rest.len()));
            parts.push(part.to_vec());
            rest = more;
        }
        let pause = random.u8(..4) == 0;
        origin.behave(behaviour::custom(move |exchange| {
            exchange.read_body();
            exchange.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            for (at, part) in parts.iter().enumerate() {
                exchange.send(&chunk(part));
                if pause && at % 16 == 0 {
                    std::thread::yield_now();
                }
            }
            exchange.send(b"0\r\nX-Sum: 1\r\n\r\n")
        }));
        let wishes = format!(
            "Accept-Encoding: {}\r\nTE: trailers\r\nConnection: TE\r\n",
            CODINGS[random.usize(..3)]
        );
        let answer = client.exchange(get("/", &wishes));
        assert!(decoded(&answer) == text, "round {round}");
        assert_eq!(answer.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    }
}

/// Noise that calls itself text, so that it stays large.
fn endless_noise(sent: Arc<AtomicU64>) -> Behaviour {
    behaviour::custom(move |exchange| {
        exchange.read_body();
        let mut next = exchange.send(HEAD);
        let mut random = fastrand::Rng::with_seed(3);
        let mut block = vec![0; 65_536];
        while next == Next::Keep {
            random.fill(&mut block);
            next = exchange.send(&chunk(&block));
            sent.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
        next
    })
}

#[test]
fn a_client_that_does_not_read_makes_the_origin_wait() {
    for coding in CODINGS {
        let sent = Arc::new(AtomicU64::new(0));
        let origin = Origin::start(endless_noise(Arc::clone(&sent)));
        let proxy = builder(&origin).start();
        let before = proxy.resident_kib();
        let mut client = proxy.client();
        client.send(accepting(coding));
        assert!(client.head().line.contains("200"));
        let mut last = 0;
        eventually(PATIENCE, "the origin stalls", || {
            let now = sent.load(Ordering::Relaxed);
            let moved = || sent.load(Ordering::Relaxed) != now;
            let stalled = now > 0 && !within(Duration::from_millis(500), moved);
            last = now;
            stalled
        });
        assert!(
            last < 64 << 20,
            "{coding}: {last} bytes for a client that reads none"
        );
        let grown = proxy.resident_kib().saturating_sub(before);
        assert!(grown < 16 * 1024, "{coding}: {grown} KiB");
        // And it goes on as soon as somebody reads.
        let mut read = 0;
        while read < last + (1 << 20) {
            read += client.some(PATIENCE).expect("more of it").len() as u64;
        }
    }
}

/// Measured in bytes, since time tells more of the machine: how much the downloads of others get before an answer comes that is there at
/// once. That is two pieces of one of them; where each yielded by waking itself, it was some megabytes.
#[test]
fn a_request_beside_many_downloads_waits_for_none_of_them() {
    let noise = endless_noise(Arc::default());
    let origin = Origin::start(behaviour::custom(move |exchange| {
        if exchange.head.line.starts_with("GET /endless ") {
            noise(exchange)
        } else {
            behaviour::ok("")(exchange)
        }
    }));
    let proxy = builder(&origin).server("workers = 1").start();
    let received = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let usual = std::thread::scope(|scope| {
        for _ in 0..6 {
            let mut client = proxy.client();
            let (received, done) = (&received, &done);
            scope.spawn(move || {
                client.send(get("/endless", "Accept-Encoding: gzip\r\n"));
                while !done.load(Ordering::Relaxed) {
                    let bytes = client.some(PATIENCE).expect("more of it").len();
                    received.fetch_add(bytes as u64, Ordering::Relaxed);
                }
            });
        }
        let mut client = proxy.client();
        let mut waits = Vec::new();
        while waits.len() < 30 || received.load(Ordering::Relaxed) < 4 << 20 {
            let before = received.load(Ordering::Relaxed);
            assert_eq!(client.exchange(get("/", "")).status, 200);
            waits.push(received.load(Ordering::Relaxed) - before);
        }
        done.store(true, Ordering::Relaxed);
        waits.sort_unstable();
        waits[waits.len() / 2]
    });
    assert!(usual < 256 << 10, "{usual} bytes");
}

/// More of them would be more memory than anybody planned for.
#[test]
fn only_so_many_are_compressed_at_once() {
    let step = Arc::new(AtomicU64::new(1));
    let parts = vec![b"<p>".to_vec(), b"</p>".to_vec()];
    let origin = Origin::start(stepwise(parts, Arc::clone(&step)));
    let proxy = builder(&origin).server("workers = 1").start();
    let mut clients: Vec<RawClient> = (0..300).map(|_| proxy.client()).collect();
    let mut compressed = 0;
    for client in &mut clients {
        client.send(accepting("gzip"));
        let head = client.head();
        compressed += usize::from(head.field("content-encoding").is_some());
        assert_eq!(head.field("vary"), Some("Accept-Encoding"));
    }
    assert_eq!(compressed, 256);
    drop(clients);
    step.fetch_add(1, Ordering::Release);
    eventually(PATIENCE, "there is room again", || {
        let answer = proxy.client().exchange(accepting("gzip"));
        answer.field("content-encoding").is_some()
    });
}
