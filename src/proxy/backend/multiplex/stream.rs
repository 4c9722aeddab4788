//! One request's part of a shared connection: waiting for room, its head and body on their way out, the head that comes back.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use http_body::Body;

use super::head::{self, Opening};
use super::inflow::trouble;
use super::{Channel, Inflow};
use crate::outcome::Trouble;
use crate::proxy::backend::stream_tunnel::StreamTunnel;
use crate::proxy::request::body::RequestBody;
use crate::proxy::socket::intake::Intake;
use crate::proxy::socket::trailers;

/// See the module's promise. Dropped before its end, it resets the stream, and the connection goes on.
pub(crate) struct Stream {
    channel: Rc<Channel>,
    sender: SendRequest<Bytes>,
    /// The connection has carried requests before this one.
    pub(crate) reused: bool,
    /// The backend has refused it before it looked at it (RFC 9113 8.7): as good as never sent.
    refused: bool,
    /// Whether it counts among the connection's streams.
    counted: bool,
    /// Grows with what the connection takes of the request.
    progress: u64,
    awaited: Option<Awaited>,
    outgoing: Option<Outgoing>,
    /// What it takes to make a request whose body is streamed once more. Boxed: most have no such body.
    refusable: Option<Box<Refusable>>,
    tunnel: Option<StreamTunnel>,
}

/// A request that may yet be refused unseen.
struct Refusable {
    head: Request<()>,
    /// Once it is sent.
    body: Option<RequestBody>,
}

/// A response that is waited for.
struct Awaited {
    response: ResponseFuture,
    opening: Option<Opening>,
    /// Without a body whatever its head says.
    head_only: bool,
    /// Keeps a WebSocket's way out open until it is known whether there will be one.
    way_out: Option<SendStream<Bytes>>,
}

/// A request body on its way out.
struct Outgoing {
    body: RequestBody,
    to: SendStream<Bytes>,
    /// Waits for the backend's window.
    chunk: Option<Bytes>,
}

/// Why a stream can't carry a request.
pub(crate) enum Unusable {
    /// It asks for a tunnel, and the backend doesn't offer any (RFC 8441 3).
    NoTunnel,
    /// It can't be said in HTTP/2.
    Unsayable,
}

impl Stream {
    /// For one request over `channel`.
    pub(crate) fn new(channel: &Rc<Channel>) -> Self {
        let life = &channel.life;
        life.lent.set(life.lent.get() + 1);
        Self {
            sender: channel.sender.borrow().clone(),
            reused: channel.used.get(),
            channel: Rc::clone(channel),
            refused: false,
            counted: false,
            progress: 0,
            awaited: None,
            outgoing: None,
            refusable: None,
            tunnel: None,
        }
    }

    /// Whether the backend has refused the request before it looked at it, so that it may go elsewhere, whatever its method.
    pub(crate) fn is_unsent(&self) -> bool {
        self.refused
    }

    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }

    /// Whether it was firedoor that has ended the connection, for what says nothing against the backend.
    pub(crate) fn is_ended_by_us(&self) -> bool {
        self.channel.life.ended_by_us.get()
    }

    /// Whether the connection can be used by others after a clean end.
    pub(crate) fn is_open(&self) -> bool {
        self.channel.is_open()
    }

    /// The number of the connection, if that has ended with all that it carried.
    pub(crate) fn lost(&self) -> Option<u64> {
        let life = &self.channel.life;
        (life.lost.get() || life.over.get()).then_some(self.channel.number())
    }

    /// Whether it counts against the backend that this has failed. What a connection takes with it at its end is one failure, and so is what
    /// it leaves unanswered while a newer one answers.
    pub(crate) fn takes_blame(&self) -> bool {
        let life = &self.channel.life;
        let at_once = self.lost().is_some() || life.outlived.get();
        !at_once || !life.blamed.replace(true)
    }

    /// The number of the newest connection when this one failed the first of its requests: `newest`, if this is that one.
    pub(crate) fn newest_at_failure(&self, newest: u64) -> u64 {
        let noted = &self.channel.newest_at_failure;
        noted.set(noted.get().or(Some(newest)));
        noted.get().unwrap_or(newest)
    }

    /// Waits for room on the connection. `false`: it takes no more requests.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let life = &self.channel.life;
        if life.over.get() || ready!(self.sender.poll_ready(cx)).is_err() {
            return Poll::Ready(false);
        }
        if life.streams.get() >= self.channel.room() {
            let mut waiting = life.waiting.borrow_mut();
            if !waiting.iter().any(|known| known.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    /// Sends the head. The body follows by [`Self::drive`].
    pub(crate) fn begin(&mut self, request: Request<RequestBody>) -> Result<(), Unusable> {
        let tunnel = head::opens_websocket(&request) && request.body().is_end_stream();
        if tunnel && !self.sender.is_extended_connect_protocol_enabled() {
            return Err(Unusable::NoTunnel);
        }
        let head_only = request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        let body = body.rewindable();
        let mut request = Request::from_parts(parts, ());
        if let RequestBody::Rewindable(_) = body {
            let head = request.clone();
            self.refusable = Some(Box::new(Refusable { head, body: None }));
        }
        let opening = tunnel.then(|| Opening::of(&mut request));
        head::convert(&mut request, &self.channel.scheme);
        let over = body.is_end_stream() && opening.is_none();
        let Ok((response, to)) = self.sender.send_request(request, over) else {
            return Err(Unusable::Unsayable);
        };
        let life = &self.channel.life;
        life.streams.set(life.streams.get() + 1);
        life.unheard.set(true);
        self.counted = true;
        let mut way_out = None;
        if opening.is_some() {
            way_out = Some(to);
        } else if !over {
            self.outgoing = Some(Outgoing {
                body,
                to,
                chunk: None,
            });
        }
        self.awaited = Some(Awaited {
            response,
            opening,
            head_only,
            way_out,
        });
        Ok(())
    }

    /// Sends what can be sent of the body.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(outgoing) = &mut self.outgoing
            && outgoing.poll(cx, &mut self.progress).is_ready()
        {
            let sent = self.outgoing.take();
            if let Some(refusable) = &mut self.refusable {
                refusable.body = sent.map(|sent| sent.body);
            }
        }
    }

    /// The next interim response.
    pub(crate) fn poll_interim(&mut self, cx: &mut Context<'_>) -> Option<Response<()>> {
        let awaited = self.awaited.as_mut()?;
        match awaited.response.poll_informational(cx) {
            Poll::Ready(Some(Ok(interim))) => {
                self.channel.life.answered.set(true);
                Some(interim)
            }
            _ => None,
        }
    }

    /// The response's head, with what its body comes through; `None`: a tunnel follows, [`Self::take_tunnel`].
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Option<Inflow>>, Trouble>> {
        let Some(awaited) = &mut self.awaited else {
            return Poll::Pending;
        };
        let head = ready!(Pin::new(&mut awaited.response).poll(cx));
        let awaited = self.awaited.take();
        let life = &self.channel.life;
        let (mut parts, source) = match head {
            Ok(response) => response.into_parts(),
            Err(error) => {
                // A GOAWAY reaches only those streams that are above the last one it speaks of (h2, `recv_go_away`).
                self.refused = error.is_remote()
                    && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
                return Poll::Ready(Err(trouble(&error, life)));
            }
        };
        self.refusable = None;
        life.answered.set(true);
        self.channel.used.set(true);
        if !head::lengths_agree(&parts.headers) {
            return Poll::Ready(Err(Trouble::Protocol));
        }
        let Some(awaited) = awaited else {
            return Poll::Pending;
        };
        if let (Some(opening), Some(way_out)) = (awaited.opening, awaited.way_out)
            && parts.status.is_success()
        {
            opening.answer(&mut parts.status, &mut parts.headers);
            self.tunnel = Some(StreamTunnel::new(
                Intake::new(source, &life.intakes),
                way_out,
            ));
            return Poll::Ready(Ok(Response::from_parts(parts, None)));
        }
        let length = parts.headers.get(CONTENT_LENGTH);
        let length = length.filter(|_| !awaited.head_only);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let inflow = Inflow::new(source, Rc::clone(life), length);
        Poll::Ready(Ok(Response::from_parts(parts, Some(inflow))))
    }

    /// The request again, if it has been refused and its body, which is streamed, can be had from its beginning.
    pub(crate) fn take_refused(&mut self) -> Option<Request<RequestBody>> {
        let refusable = self.refusable.take().filter(|_| self.refused)?;
        let sending = self.outgoing.take().map(|outgoing| outgoing.body);
        let body = refusable.body.or(sending)?.rewound()?;
        Some(refusable.head.map(|()| body))
    }

    /// After a WebSocket was let in. The stream has to be kept as long as it: that is its place on the connection.
    pub(crate) fn take_tunnel(&mut self) -> Option<StreamTunnel> {
        self.tunnel.take()
    }
}

impl Outgoing {
    /// Ready when nothing more is to be sent.
    fn poll(&mut self, cx: &mut Context<'_>, progress: &mut u64) -> Poll<()> {
        loop {
            if self.to.poll_reset(cx).is_ready() {
                // The response says why, or is complete without it.
                return Poll::Ready(());
            }
            if self.chunk.is_some() {
                while self.to.capacity() == 0 {
                    match ready!(self.to.poll_capacity(cx)) {
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return Poll::Ready(()),
                    }
                }
                if let Some(chunk) = self.chunk.take() {
                    *progress += chunk.len() as u64;
                    let last = self.body.is_end_stream();
                    if self.to.send_data(chunk, last).is_err() || last {
                        return Poll::Ready(());
                    }
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.has_remaining() => {
                        // No more than a claim: what is reserved is kept from the connection's other streams.
                        self.to.reserve_capacity(1);
                        self.chunk = Some(data);
                    }
                    Ok(_) => {}
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            trailers::end_with(&mut self.to, trailers, Reason::CANCEL);
                            return Poll::Ready(());
                        }
                    }
                },
                // Its end must not look like one.
                Some(Err(_)) => {
                    self.to.send_reset(Reason::CANCEL);
                    return Poll::Ready(());
                }
                None => {
                    let _sent = self.to.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let life = &self.channel.life;
        life.lent.set(life.lent.get() - 1);
        if self.counted {
            life.streams.set(life.streams.get() - 1);
            life.wake_waiting();
        }
    }
}
