//! Backends that break off, and clients that leave.

use super::decoder::{CODINGS, accepting, broken, builder, decode, text};
use crate::support::Origin;
use crate::support::behaviour::{self, Next, chunk};
use crate::support::wait::{PATIENCE, eventually};

/// A response of which `sent` is the beginning, and no more comes; with a length, or in chunks.
fn cut(sent: &[u8], by_length: bool, then: Next) -> behaviour::Behaviour {
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_vec();
    if by_length {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", sent.len() + 1).as_bytes());
        bytes.extend_from_slice(sent);
    } else {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        bytes.extend(chunk(sent));
    }
    behaviour::raw(bytes, then)
}

#[test]
fn a_body_that_breaks_off_is_never_complete() {
    let text = text(200_000, 5);
    let origin = Origin::named("");
    let proxy = builder(&origin).start();
    for coding in CODINGS {
        for by_length in [true, false] {
            origin.behave(cut(&text, by_length, Next::Close));
            let mut client = proxy.client();
            client.send(accepting(coding));
            let answer = broken(&mut client);
            let (there, ended) = decode(coding, &answer.body);
            assert!(!ended, "{coding} has an end");
            assert!(
                there == text,
                "{coding}: {} of {} bytes",
                there.len(),
                text.len()
            );
        }
    }
    eventually(PATIENCE, "the log says so", || {
        proxy
            .access_text()
            .matches("\"termination\":\"SD\"")
            .count()
            == 6
    });
}

#[test]
fn a_reset_in_the_middle_is_never_complete() {
    let text = text(50_000, 6);
    let origin = Origin::start(cut(&text, false, Next::Reset));
    let proxy = builder(&origin).start();
    for coding in CODINGS {
        let mut client = proxy.client();
        client.send(accepting(coding));
        let response = client.response_within("GET", PATIENCE);
        assert!(response.is_err(), "{response:?}");
    }
}

#[test]
fn a_client_that_leaves_is_missed() {
    let origin = Origin::start(behaviour::custom(|exchange| {
        exchange.read_body();
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        exchange.send(&chunk(b"<p>"));
        exchange.wait_for_end();
        Next::Close
    }));
    let proxy = builder(&origin).start();
    let mut client = proxy.client();
    client.send(accepting("zstd"));
    assert!(client.head().line.contains("200"));
    client.reset();
    assert_eq!(proxy.access_line("/")["termination"], "CD");
    eventually(PATIENCE, "its connection is closed", || {
        origin.open_connections() <= 1
    });
}

/// What is not what it calls itself is no worse off than without compression.
#[test]
fn nonsense_arrives_as_it_is() {
    let mut noise = vec![0; 100_000];
    fastrand::Rng::with_seed(9).fill(&mut noise);
    let origin = Origin::start(behaviour::answer(200, &["Content-Type: text/html"], &noise));
    let proxy = builder(&origin).start();
    for coding in CODINGS {
        let answer = proxy.client().exchange(accepting(coding));
        assert!(super::decoder::decoded(&answer) == noise, "{coding}");
        assert!(
            answer.body.len() < 102_000,
            "{coding}: {}",
            answer.body.len()
        );
    }
}
