//! A connection with HTTP/1.1: one request after the other, all of them served by the connection's own task.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{linger, reset, see_off};
use crate::config::Limits;
use crate::proxy::client::downstream::{Cut, Downstream};
use crate::proxy::client::downstream_socket::DownstreamSocket;
use crate::proxy::client::farewell::Farewell;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::forward;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::exchange::Exchange;
use crate::proxy::request::record::Record;
use crate::proxy::request::upgrade;
use crate::proxy::socket::doorbell::Doorbell;

/// Serves one connection to its end. While its client is silent it is parked: it has no buffers, and no room for serving a request.
pub(crate) async fn serve<S: ClientStream>(state: Rc<Downstream>, stream: S) {
    let mut parked = (stream, Vec::new());
    // What came with the last of a TLS handshake can't be seen from the socket.
    let mut may_be_silent = !S::SECURED;
    loop {
        let (stream, ahead) = parked;
        if may_be_silent && ahead.is_empty() {
            stay_parked(&state, stream.socket()).await;
        }
        state.take_up();
        match Box::pin(serve_until_quiet(&state, stream, ahead)).await {
            Some(quiet) => parked = quiet,
            None => return,
        }
        may_be_silent = true;
    }
}

/// Returns when the client says something or leaves, or when it is to hear something.
async fn stay_parked(state: &Downstream, socket: &TcpStream) {
    state.park();
    poll_fn(|cx| {
        state.register(cx);
        let draining = state.worker.is_draining() && !state.is_expecting_head();
        if state.is_cut().is_some() || draining || state.is_leaving() {
            return Poll::Ready(());
        }
        socket.poll_read_ready(cx).map(|_also_its_end| ())
    })
    .await;
}

/// How the work on a connection ends.
enum End {
    Hyper(hyper::Result<()>),
    Cut(Cut),
    /// Its client has been silent for a while, after all that it asked for was answered.
    Quiet,
}

/// Serves a connection to its end, or until it is to be parked: with what has been read of it, as a rule nothing.
async fn serve_until_quiet<S: ClientStream>(
    state: &Rc<Downstream>,
    stream: S,
    ahead: Vec<u8>,
) -> Option<(S, Vec<u8>)> {
    let doorbell = Arc::new(Doorbell::default());
    let waker = Waker::from(Arc::clone(&doorbell));
    let socket = DownstreamSocket::new(stream, Rc::clone(state), Arc::clone(&doorbell));
    let exchange = Exchange::on(state);
    let _attended = state.worker.attend(&exchange);
    let service = {
        let exchange = Rc::clone(&exchange);
        service_fn(move |request: Request<Incoming>| {
            forward::request::<S, Incoming>(Rc::clone(&exchange), request)
        })
    };
    let mut connection = builder(state.worker.view().limits())
        .serve_connection(TokioIo::new(socket.for_hyper(ahead)), service);
    let mut told_to_drain = false;
    let end = poll_fn(|cx| {
        state.register(cx);
        doorbell.belong(cx);
        let cx = &mut Context::from_waker(&waker);
        if let Some(cut) = state.is_cut() {
            return Poll::Ready(End::Cut(cut));
        }
        // First what has come already: a request that is here, in part or whole, is still answered.
        let polled = Pin::new(&mut connection).poll(cx);
        let draining = state.worker.is_draining() && !state.is_expecting_head();
        if polled.is_pending() && (draining || state.is_leaving()) && !told_to_drain {
            told_to_drain = true;
            Pin::new(&mut connection).graceful_shutdown();
            return Pin::new(&mut connection).poll(cx).map(End::Hyper);
        }
        if polled.is_pending() && state.is_to_park() {
            return Poll::Ready(End::Quiet);
        }
        polled.map(End::Hyper)
    })
    .await;

    // Taken whatever the end: a tunnel left behind would hold on to its own `Exchange`, and neither would ever go.
    let tunnel = exchange.tunnel.borrow_mut().take();
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    let (mut stream, ahead, farewell) = io.into_inner().into_parts();
    let early = || [&read_buf[..], &ahead].concat();
    match (farewell, &end) {
        (Some(farewell), _) => Record::parted(state, *farewell).finish(),
        (None, End::Hyper(Err(error))) if error.is_parse() => {
            let large = error.is_parse_too_large();
            let refusal = if large {
                Refusal::LargeHead
            } else {
                Refusal::NoHttp
            };
            Record::unread(state, refusal).finish();
        }
        (None, _) => {}
    }
    match end {
        End::Quiet => return Some((stream, early())),
        End::Hyper(Ok(())) => match tunnel {
            Some(tunnel) => {
                let early = early().into();
                Box::pin(upgrade::relay(&exchange, stream, early, tunnel)).await;
            }
            None if state.owes_rest() => Box::pin(see_off(state, stream)).await,
            None => Box::pin(linger(stream)).await,
        },
        End::Hyper(Err(_)) => {
            if state.reset.get() {
                reset(stream.socket());
            } else {
                Box::pin(linger(stream)).await;
            }
        }
        End::Cut(Cut::Head) if state.has_begun_head() => {
            let farewell = Farewell::new::<S>(Refusal::SlowHead, state);
            stream.bid_farewell(farewell.rest());
            Record::parted(state, *farewell).finish();
            Box::pin(linger(stream)).await;
        }
        End::Cut(Cut::Head | Cut::Idle) => stream.bid_farewell(b""),
        // What the client has not read for so long must not stay in our buffers: it is thrown away with the connection.
        End::Cut(Cut::Write | Cut::Drain | Cut::Flood | Cut::Protocol) => reset(stream.socket()),
    }
    None
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        // Not to keep who closes its half: the socket looks for clients that leave, see there.
        .half_close(true)
        // More than a head may have: what is within this can still be told apart (414, 431) in step 2.
        .max_buf_size(limits.max_header_size + 256 * 1024);
    if limits.max_headers != 100 {
        // Another number than hyper's own moves its header table to the heap.
        builder.max_headers(limits.max_headers);
    }
    builder
}
