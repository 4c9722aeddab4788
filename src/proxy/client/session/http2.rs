//! A connection with HTTP/2: this task moves its frames, and each of its streams is a request with a task of its own.
//!
//! On h2 itself rather than hyper's server over it. hyper sends no interim responses but 100, hides how much of a body its client has
//! given leave for, so that a stream that isn't read could only be told from one that is by guessing, takes a request's body that its
//! client calls off (CANCEL) for complete, and has no way to raise the budget for small DATA frames, which a gRPC client can
//! exceed without meaning harm.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use h2::{Error, Reason};

use super::outlet::Outlet;
use super::wire::Wire;
use super::{attendant, linger, reset};
use crate::config::Limits;
use crate::proxy::client::downstream::{Cut, Downstream};
use crate::proxy::client::downstream_socket::DownstreamSocket;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::record::Record;
use crate::proxy::socket::doorbell::Doorbell;

/// Streams at once. More than any browser opens; a client that wants more waits, or makes another connection.
const STREAMS: u32 = 128;
/// Bytes of all request bodies of a connection that lie here while their backends don't take them. Small frames cost two megabytes more
/// with h2 at the most (see [`Intakes`](crate::proxy::socket::intake::Intakes)). Frames of 4 KiB, each alone in a read buffer that it keeps,
/// would cost 8 MiB: what the worst of clients can make of it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Of one body. It is what a client may assume anyway.
const STREAM_WINDOW: u32 = 65_535;
/// The same for who uploads in earnest: at 50 ms to the client and back, 10 MB a second instead of one.
const WIDE_WINDOW: u32 = 512 * 1024;
/// Bytes of a response's body that wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that their client has reset before this task has seen them ("rapid reset"). 20 is h2's default, which clients of gRPC
/// exceed.
const UNSEEN_RESETS: usize = 100;
/// Streams that h2 has to reset for what their client does wrong in them ("made you reset"), over a connection's life.
const WRONGS: usize = 512;
/// For a connection that is over to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a connection ends.
enum End {
    /// In peace: both sides have nothing more to say.
    Closed,
    Broken(Error),
    Cut(Cut),
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: ClientStream>(state: Rc<Downstream>, stream: S) {
    let doorbell = Arc::new(Doorbell::default());
    let socket = DownstreamSocket::new(stream, Rc::clone(&state), Arc::clone(&doorbell));
    let outlet = Rc::new(RefCell::new(Outlet::new(socket)));
    let end = run(&state, &outlet, &doorbell).await;
    let Some(outlet) = Rc::into_inner(outlet) else {
        return;
    };
    let mut stream = outlet.into_inner().socket.into_stream();
    match end {
        // A client that says nothing needs no answer, and one that doesn't read gets none.
        End::Cut(Cut::Head | Cut::Idle) => stream.bid_farewell(b""),
        End::Cut(Cut::Write | Cut::Drain) => reset(stream.socket()),
        End::Closed | End::Broken(_) | End::Cut(Cut::Flood | Cut::Protocol) => {
            Box::pin(linger(stream)).await
        }
    }
}

async fn run<S: ClientStream>(
    state: &Rc<Downstream>,
    outlet: &Rc<RefCell<Outlet<S>>>,
    doorbell: &Arc<Doorbell>,
) -> End {
    let wire = Wire::new(outlet, state);
    let waker = Waker::from(Arc::clone(doorbell));
    let begin = |cx: &Context<'_>| {
        state.register(cx);
        doorbell.belong(cx);
        state.is_cut()
    };
    let mut handshake = builder(state.worker.view().limits()).handshake::<_, Bytes>(wire);
    let shaken = poll_fn(|cx| match begin(cx) {
        Some(cut) => Poll::Ready(Err(End::Cut(cut))),
        None => {
            let cx = &mut Context::from_waker(&waker);
            let shaken = Pin::new(&mut handshake).poll(cx);
            let _sent = outlet.borrow_mut().poll_flush(cx);
            shaken.map_err(End::Broken)
        }
    });
    let mut connection = match shaken.await {
        Ok(connection) => connection,
        Err(end) => {
            note(state, &end);
            return end;
        }
    };
    let (mut told, mut widened) = (false, false);
    let end = poll_fn(|cx| {
        let cut = begin(cx);
        if let Some(cut) = cut.filter(|cut| *cut != Cut::Drain) {
            return Poll::Ready(End::Cut(cut));
        }
        let cx = &mut Context::from_waker(&waker);
        let turn = loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    attendant::serve::<S>(state, request, respond);
                }
                Poll::Ready(Some(Err(error))) => break Poll::Ready(End::Broken(error)),
                Poll::Ready(None) => break Poll::Ready(End::Closed),
                Poll::Pending if cut.is_some() && !state.has_tunnels() => {
                    break Poll::Ready(End::Cut(Cut::Drain));
                }
                // First what has come already, which is still answered.
                Poll::Pending if !told && (state.worker.is_draining() || state.is_leaving()) => {
                    told = true;
                    connection.graceful_shutdown();
                }
                // Refused while the client hasn't acknowledged other settings: it is tried again then.
                Poll::Pending if !widened && state.is_uploading() => {
                    widened = true;
                    if connection.set_initial_window_size(WIDE_WINDOW).is_err() {
                        widened = false;
                        break Poll::Pending;
                    }
                }
                Poll::Pending => break Poll::Pending,
            }
        };
        state.intakes().gather();
        match outlet.borrow_mut().poll_flush(cx) {
            // h2 would only learn of it by its next frame.
            Poll::Ready(Err(_)) if turn.is_pending() => Poll::Ready(End::Closed),
            Poll::Ready(_) | Poll::Pending => turn,
        }
    })
    .await;
    note(state, &end);
    if let End::Cut(cut) = end {
        Box::pin(part(state, &mut connection, outlet, cut, doorbell)).await;
    }
    end
}

/// Says why it is over, as far as the client takes it.
async fn part<S: ClientStream>(
    state: &Downstream,
    connection: &mut Connection<Wire<S>, Bytes>,
    outlet: &RefCell<Outlet<S>>,
    cut: Cut,
    doorbell: &Arc<Doorbell>,
) {
    let reason = match cut {
        Cut::Write => return,
        Cut::Head if state.is_in_head() => Reason::ENHANCE_YOUR_CALM,
        Cut::Flood => Reason::ENHANCE_YOUR_CALM,
        Cut::Protocol => Reason::PROTOCOL_ERROR,
        Cut::Head | Cut::Idle | Cut::Drain => Reason::NO_ERROR,
    };
    connection.abrupt_shutdown(reason);
    let waker = Waker::from(Arc::clone(doorbell));
    let closed = poll_fn(|cx| {
        doorbell.belong(cx);
        let cx = &mut Context::from_waker(&waker);
        let closed = connection.poll_closed(cx);
        let _sent = outlet.borrow_mut().poll_flush(cx);
        closed
    });
    let _said = tokio::time::timeout(LAST_WORDS, closed).await;
}

/// What its client has done wrong stands in the log, where no request tells of it.
fn note(state: &Rc<Downstream>, end: &End) {
    match end {
        End::Broken(error) if error.is_library() => {
            // h2 too has bounds for what makes work and means nothing.
            let flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
            Record::broken_connection(state, flood).finish();
        }
        End::Cut(cut @ (Cut::Flood | Cut::Protocol)) => {
            Record::broken_connection(state, *cut == Cut::Flood).finish();
        }
        End::Cut(Cut::Head) if state.is_in_head() => {
            Record::unread(state, Refusal::SlowHead).finish()
        }
        End::Closed | End::Broken(_) | End::Cut(_) => {}
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    // More than a head may have: what is within this can still be told apart (414, 431) in step 2. Each field counts for 32 bytes
    // more than it has (RFC 9113 6.5.2).
    let head = limits.max_header_size + limits.max_headers * 32 + 16 * 1024;
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(WRONGS))
        // The connection of an honest client would end by it, for a backend that is slow to take small messages.
        .data_frame_budget(usize::MAX)
        .enable_connect_protocol();
    builder
}
