//! Before the first byte of a client: where the proxy in front of us introduces it.
//!
//! A listener with `proxy_protocol` demands that of each connection. To take it where it comes, and to do without where it doesn't,
//! would let everybody be whoever they like.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::accept::{self, Door, Seat};
use super::downstream::Downstream;
use super::visitor::{self, Visitor};
use crate::config::Listener;
use crate::introduction::{self, Extent, Fault, Introduction};
use crate::worker::Worker;

/// Bytes that are looked at at once: a header without extras has 52, or as a line 107.
const WINDOW: usize = 256;

/// Why nobody comes in.
#[derive(Debug)]
enum Refused {
    /// The header, or what there is instead.
    Fault(Fault),
    /// `header_timeout`.
    Late,
    /// It has closed in the middle of it.
    Left,
    /// It has closed without a word, as the health checks of balancers do.
    Silent,
}

/// Has `stream` wait for the introduction of its client, and serves it then.
pub(in crate::proxy) fn enter(
    worker: &Rc<Worker>,
    door: &Door,
    stream: TcpStream,
    peer: SocketAddr,
    settings: &Listener,
    seat: Seat,
) {
    if !visitor::is_trusted(peer, settings) {
        worker.counters().introductions_refused.add(1);
        worker.complain(
            peer,
            "it isn't in trusted_proxies, so it may not send a PROXY header",
        );
        return;
    }
    let state = Downstream::new(Rc::clone(worker), Visitor::direct(peer, settings), settings);
    let waiting = wait(Rc::clone(&state), door.clone(), stream, seat);
    worker.admit(&state, waiting, || {});
}

async fn wait(state: Rc<Downstream>, door: Door, mut stream: TcpStream, seat: Seat) {
    let mut head = Vec::new();
    let come = poll_fn(|cx| {
        state.register(cx);
        if state.is_cut().is_some() {
            return Poll::Ready(Err(Refused::Late));
        }
        poll_introduction(&mut stream, cx, &mut head)
    });
    let worker = &state.worker;
    match come.await {
        Ok(introduction) => {
            let view = worker.view();
            if let Some(settings) = accept::settings(&view, &door) {
                let visitor = Visitor::introduced(state.peer, introduction, settings);
                accept::begin(worker, stream, visitor, settings, seat, Some(&state));
            }
        }
        Err(Refused::Silent) => {}
        Err(refused) => {
            worker.counters().introductions_refused.add(1);
            worker.complain(state.peer, &refused.to_string());
        }
    }
}

/// Reads the header and not one byte more, into `head`.
fn poll_introduction(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    head: &mut Vec<u8>,
) -> Poll<Result<Option<Introduction>, Refused>> {
    loop {
        let mut window = [0; WINDOW];
        let mut look = ReadBuf::new(&mut window);
        let seen = match ready!(stream.poll_peek(cx, &mut look)) {
            Ok(seen) if seen > 0 => seen,
            Ok(_) | Err(_) if head.is_empty() => return Poll::Ready(Err(Refused::Silent)),
            Ok(_) | Err(_) => return Poll::Ready(Err(Refused::Left)),
        };
        let before = head.len();
        head.extend_from_slice(&window[..seen]);
        let extent = introduction::measure(head).map_err(Refused::Fault);
        let (ours, complete) = match extent {
            Ok(Extent::Part) => (seen, false),
            Ok(Extent::Whole(length)) => (length - before, true),
            Err(refused) => return Poll::Ready(Err(refused)),
        };
        // They are here: what has been seen once can be taken. Should the kernel hand out less, the rest is looked at again.
        let taken = match stream.try_read(&mut window[..ours]) {
            Ok(taken) => taken,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(_) => return Poll::Ready(Err(Refused::Left)),
        };
        head.truncate(before + taken);
        if complete && taken == ours {
            return Poll::Ready(introduction::read(head).map_err(Refused::Fault));
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Late => f.write_str("its PROXY header has not come within header_timeout"),
            Self::Left | Self::Silent => {
                f.write_str("it closed before its PROXY header was complete")
            }
        }
    }
}
