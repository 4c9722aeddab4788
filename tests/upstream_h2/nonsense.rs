//! Answers that are not HTTP/2 end their connection: those that shared it with the culprit are made again like those of any connection
//! that breaks, and the log says what it was.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::faults::in_front_of_frames;
use crate::frames::{self, END_HEADERS, END_STREAM, HEADERS, PING, Wire};
use crate::support::eventually;
use crate::support::wait::PATIENCE;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /lie HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

/// What a backend may say on a stream, and that is none of its business.
const LIES: [fn(&mut Wire, u32); 3] = [
    |wire, _| wire.send(PING, 0, 0, b"bad"),
    // `:status: abc`.
    |wire, stream| wire.send(HEADERS, END_HEADERS | END_STREAM, stream, b"\x08\x03abc"),
    // A field with a control character in its name.
    |wire, stream| {
        wire.send(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            b"\x88\x00\x02a\x01\x01v",
        )
    },
];

/// Answers one request, and then lies to the last of seven; later connections answer everything.
fn lying_once(lie: fn(&mut Wire, u32)) -> SocketAddr {
    let (address, _) = frames::backend(move |wire| {
        if wire.number > 0 {
            loop {
                let next = wire.request()?;
                wire.answer(next, b"again");
            }
        }
        let first = wire.request()?;
        wire.answer(first, b"first");
        for _ in 0..6 {
            wire.request()?;
        }
        let last = wire.request()?;
        lie(wire, last);
        while wire.frame().is_ok() {}
        Ok(())
    });
    address
}

#[test]
fn those_beside_a_malformed_answer_are_made_again() {
    for lie in LIES {
        let proxy = in_front_of_frames(lying_once(lie), "");
        assert_eq!(proxy.get("/").text(), "first");
        let mut beside: Vec<_> = (0..6).map(|_| proxy.client()).collect();
        for client in &mut beside {
            client.send(GET);
        }
        let mut culprit = proxy.client();
        culprit.send(POST);
        for client in &mut beside {
            let answer = client.response_within("GET", PATIENCE).unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "again"));
        }
        // It may have been made, and so it isn't made twice.
        assert_eq!(culprit.response().status, 502);
        let told = || proxy.log().matches("its HTTP/2 is malformed").count();
        eventually(PATIENCE, "the log says so", || told() > 0);
        assert_eq!(told(), 1);
    }
}

#[test]
fn a_request_that_is_always_answered_with_nonsense_ends_in_a_502() {
    for lie in LIES {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let (address, _) = frames::backend(move |wire| {
            let stream = wire.request()?;
            count.fetch_add(1, Ordering::SeqCst);
            lie(wire, stream);
            while wire.frame().is_ok() {}
            Ok(())
        });
        let proxy = in_front_of_frames(address, "");
        assert_eq!(proxy.get("/").status, 502);
        let asked = asked.load(Ordering::SeqCst);
        assert!((1..=4).contains(&asked), "{asked}");
    }
}
