//! One stream of HTTP/2: a request, and its response as far as its client gives leave to send it.
//!
//! No more is handed to h2 than the client's windows have room for. So all that waits for a client lies here, under the request's own
//! clock (`write_timeout`), and what h2 has only waits for the socket, which has a clock too.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;

use super::alarm::Alarm;
use crate::proxy::backend::stream_tunnel::StreamTunnel;
use crate::proxy::client::downgrade::downgrade;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::forward;
use crate::proxy::message::{interim, websocket};
use crate::proxy::request::body::{ClientBody, ResponseBody};
use crate::proxy::request::exchange::Exchange;
use crate::proxy::request::{grpc, upgrade};
use crate::proxy::socket::intake::Intake;
use crate::proxy::socket::trailers;

/// For how long the rest of a request is taken in after its response, and a call that ends early has its stream.
const LINGER: Duration = Duration::from_secs(3);

/// Serves one stream to its end.
pub(super) async fn serve<S: ClientStream>(
    state: Rc<Exchange>,
    alarm: &Alarm,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (mut head, incoming) = request.into_parts();
    let grpc = grpc::is_call(&head.headers);
    let mut key = None;
    let whole = incoming.is_end_stream();
    let flaw = downgrade(&mut head, whole, || {
        key.insert(websocket::key(fastrand::u128(..))).clone()
    });
    state.foresee(flaw.err(), grpc);
    let (mut rest, mut tunnelled) = (None, None);
    let body = match &key {
        Some(_) => {
            // What comes in a tunnel is no body.
            tunnelled = Some(Intake::new(incoming, state.intakes()));
            ClientBody::None
        }
        // Asking h2 once is enough: each question locks all streams of the connection.
        None if whole => ClientBody::None,
        None => {
            let incoming = Intake::new(incoming, state.intakes());
            rest = Some(Rc::clone(&incoming));
            ClientBody::of_stream(incoming, &head.headers)
        }
    };
    let request = Request::from_parts(head, body);
    // Pinned here: it is large, and would be copied on its way into a function.
    let answering = pin!(forward::request::<S, _>(Rc::clone(&state), request));
    let Some(response) = answer(&state, alarm, &mut respond, answering).await else {
        state.called_off();
        return;
    };
    let (mut head, body) = response.into_parts();
    let tunnel = state.tunnel.take();
    if let (Some(tunnel), Some(key), Some(incoming)) = (tunnel, &key, tunnelled) {
        if head.headers.get(SEC_WEBSOCKET_ACCEPT) != Some(&websocket::accept(key)) {
            // HTTP/2 has nothing by which the client could see that itself.
            tunnel.refuse();
            respond.send_reset(Reason::INTERNAL_ERROR);
            return;
        }
        head.status = StatusCode::OK;
        head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        clean(&mut head.headers, &state);
        if let Ok(outgoing) = respond.send_response(Response::from_parts(head, ()), false) {
            let client = StreamTunnel::new(incoming, outgoing);
            state.begin_tunnel();
            // Boxed: no other request carries the room for it.
            Box::pin(upgrade::relay(&state, client, Bytes::new(), tunnel)).await;
            state.end_tunnel();
        }
        return;
    }
    clean(&mut head.headers, &state);
    let ends = body.is_end_stream();
    if let (false, Some(length)) = (ends, body.size_hint().exact()) {
        head.headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    match respond.send_response(Response::from_parts(head, ()), ends) {
        Ok(_) if ends => {
            // Its backend's side holds the request's rest, which would be reset unseen.
            drop(body);
            state.let_end();
        }
        Ok(outgoing) => relay(&state, alarm, outgoing, body).await,
        Err(_) => respond.send_reset(Reason::INTERNAL_ERROR),
    }
    if let Some(rest) = rest.filter(|rest| Rc::strong_count(rest) == 1) {
        // Boxed: requests without a body would carry the room for it.
        Box::pin(linger(rest)).await;
    }
}

/// Takes in what still comes of a request whose response is complete, for a moment. A reset may follow the response at once (RFC 9113
/// 8.1), but curl before 8 doesn't see the response then, if it waits for leave to send more.
async fn linger(rest: Rc<Intake>) {
    let taken_in = poll_fn(|cx| {
        while let Some(Ok(_)) = ready!(rest.poll_data(cx)) {}
        Poll::Ready(())
    });
    let _all_in_time = tokio::time::timeout(LINGER, taken_in).await;
}

/// Waits for the response head; `None`: the client has called the request off.
async fn answer(
    state: &Exchange,
    alarm: &Alarm,
    respond: &mut SendResponse<Bytes>,
    mut answering: Pin<&mut impl Future<Output = Result<Response<ResponseBody>, Infallible>>>,
) -> Option<Response<ResponseBody>> {
    poll_fn(|cx| {
        state.register(cx);
        let answered = answering.as_mut().poll(cx).map(Result::ok);
        if let Some(heads) = state.take_interim() {
            for response in interim::responses(&heads) {
                // Advice, without which the client manages.
                let _sent = respond.send_informational(response);
            }
        }
        if answered.is_pending() && respond.poll_reset(&mut alarm.context()).is_ready() {
            return Poll::Ready(None);
        }
        answered
    })
    .await
}

/// Sends the body as it comes.
async fn relay(
    state: &Exchange,
    alarm: &Alarm,
    mut outgoing: SendStream<Bytes>,
    body: ResponseBody,
) {
    let mut body = Some(body);
    while let Some(current) = &mut body {
        let next = poll_fn(|cx| {
            state.register(cx);
            if let Poll::Ready(frame) = Pin::new(&mut *current).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            outgoing.poll_reset(&mut alarm.context()).map(Err)
        });
        let frame = match next.await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) if state.is_grpc() => {
                let _sent = outgoing.send_trailers(grpc::broken_off(current.cause()));
                break;
            }
            Ok(Some(Err(_))) => return outgoing.send_reset(Reason::INTERNAL_ERROR),
            Ok(None) => {
                let _sent = outgoing.send_data(Bytes::new(), true);
                break;
            }
            Err(_called_off) => return state.called_off(),
        };
        let last = current.is_end_stream();
        if last {
            // Nothing more comes from the backend: its connection is free for others while the client still reads.
            body = None;
        }
        match frame.into_data() {
            Ok(data) => {
                match send(state, alarm, &mut outgoing, data, last).await {
                    Ok(()) => {}
                    Err(Left::CalledOff) => return state.called_off(),
                    Err(Left::Overdue) if state.is_grpc() => {
                        // The backend is free, and the log has its line.
                        drop(body);
                        return Box::pin(give_up(outgoing)).await;
                    }
                    Err(Left::Overdue) => return outgoing.send_reset(Reason::CANCEL),
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    if !trailers::end_with(&mut outgoing, trailers, Reason::INTERNAL_ERROR) {
                        return;
                    }
                    break;
                }
            }
        }
    }
    state.let_end();
}

/// Why no more can be sent.
enum Left {
    CalledOff,
    /// `write_timeout`.
    Overdue,
}

/// Ends a call whose client doesn't take its response. A reset with CANCEL would say that the caller has cancelled it; trailers can be sent
/// without leave (RFC 9113 5.2.1).
async fn give_up(mut outgoing: SendStream<Bytes>) {
    let _sent = outgoing.send_trailers(grpc::not_taken());
    let reset = poll_fn(|cx| outgoing.poll_reset(cx));
    let _reset_or_late = tokio::time::timeout(LINGER, reset).await;
    // Not seen by who has the trailers. But a client that has made its window smaller meanwhile keeps what h2 had been given before,
    // and the trailers behind it, from ever going out.
    outgoing.send_reset(Reason::CANCEL);
}

/// Sends `data`, piece by piece, as the client gives leave.
async fn send(
    state: &Exchange,
    alarm: &Alarm,
    outgoing: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
) -> Result<(), Left> {
    loop {
        let room = if data.is_empty() {
            0
        } else {
            room(state, alarm, outgoing, data.len()).await?
        };
        let piece = data.split_to(room.min(data.len()));
        state.write_progress(piece.len());
        let ends = last && data.is_empty();
        outgoing
            .send_data(piece, ends)
            .map_err(|_| Left::CalledOff)?;
        if data.is_empty() {
            return Ok(());
        }
    }
}

/// Waits until some of `wanted` bytes may be sent.
async fn room(
    state: &Exchange,
    alarm: &Alarm,
    outgoing: &mut SendStream<Bytes>,
    wanted: usize,
) -> Result<usize, Left> {
    alarm.off(|| outgoing.reserve_capacity(wanted));
    poll_fn(|cx| {
        state.register(cx);
        loop {
            let room = outgoing.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match outgoing.poll_capacity(&mut alarm.context()) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Left::CalledOff)),
                Poll::Pending if state.is_overdue() => return Poll::Ready(Err(Left::Overdue)),
                Poll::Pending => {
                    state.write_wait();
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What HTTP/1.1 says of the connection has no place in HTTP/2 (RFC 9113 8.2.2), and what hyper would have added is added here.
fn clean(headers: &mut HeaderMap, state: &Exchange) {
    // In one pass, for a look-up costs a hash each.
    let (mut of_connection, mut dated) = (false, false);
    for name in headers.keys() {
        match name.as_str() {
            "connection" | "keep-alive" | "upgrade" => of_connection = true,
            "date" => dated = true,
            _ => {}
        }
    }
    if of_connection {
        for name in [CONNECTION, KEEP_ALIVE, UPGRADE] {
            headers.remove(name);
        }
    }
    if !dated {
        headers.insert(DATE, state.worker.date());
    }
}
