//! Bodies, streamed in both directions without being held, and never boxed.
//!
//! Both pass `size_hint` and `is_end_stream` on exactly; where they didn't, hyper would turn a `Content-Length` into chunks.

mod cause;
mod client;
pub(crate) mod compressed;
mod patience;
mod request;
mod rewindable;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};

use super::exchange::{BodyTrouble, Exchange};
use super::policy::BodyBounds;
use super::record::Record;
use crate::outcome::Trouble;
use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::inflow::Inflow;
use crate::proxy::backend::upstream::InFlight;
use crate::proxy::message::headers;

pub(crate) use client::ClientBody;
use compressed::Compressed;
pub(crate) use patience::Patience;
pub(crate) use request::{Kept, RequestBody};

/// What made a body end before its end. The details are where they are acted on: in the record, and in
/// [`Exchange::body_trouble`].
#[derive(Debug)]
pub(crate) struct Cut(&'static str);

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Cut {}

/// A request body that is passed on as it comes.
pub(crate) struct Streamed {
    incoming: ClientBody,
    state: Rc<Exchange>,
    received: u64,
    bounds: BodyBounds,
    /// The client waits for a `100 (Continue)`: asked for its body when the backend wants it, or at this time (worker
    /// milliseconds), since a backend may never say so (RFC 9110 10.1.1).
    opens_at: Option<u64>,
    /// Fields that the request's `Connection` names: not for its trailers either.
    named: Vec<HeaderName>,
}

/// How long a client that expects a `100 (Continue)` is kept waiting for the backend's.
const CONTINUE_PATIENCE: u64 = 1000;

impl Streamed {
    pub(crate) fn new(
        incoming: ClientBody,
        state: Rc<Exchange>,
        bounds: BodyBounds,
        expects: bool,
        named: Vec<HeaderName>,
    ) -> Self {
        let opens_at = expects.then(|| state.worker.now() + CONTINUE_PATIENCE);
        Self {
            incoming,
            state,
            received: 0,
            bounds,
            opens_at,
            named,
        }
    }

    fn fail(&self, trouble: BodyTrouble) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.state.body_end();
        self.state.body_trouble.set(Some(trouble));
        Poll::Ready(Some(Err(Cut("the request body ended badly"))))
    }

    fn poll(&mut self) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(opens_at) = self.opens_at {
            if !self.state.is_continued() && self.state.worker.now() < opens_at {
                self.state.look_at(opens_at);
                return Poll::Pending;
            }
            self.opens_at = None;
            self.state.ask_for_body();
        }
        // Not by whoever polls us: a connection with HTTP/1.1 doesn't say who that is.
        let task = self.state.sleeper().waker();
        match Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(&task)) {
            Poll::Pending if self.state.is_body_overdue() => self.fail(BodyTrouble::TooSlow),
            Poll::Pending => {
                self.state.body_wait(self.bounds.timeout);
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.state.body_complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => self.fail(BodyTrouble::Broken),
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    if matches!(self.incoming, ClientBody::Http1(_)) {
                        // For hyper, all up to the next empty line is trailers; what a bare line feed cuts off from them is gone, were it
                        // the next request. Where that left nothing of them, it shows; else whoever waits for an answer to it
                        // has to see that there will be none.
                        self.state.be_last();
                        if trailers.is_empty() {
                            return self.fail(BodyTrouble::Broken);
                        }
                    }
                    headers::clean_request_trailers(trailers, &self.named);
                } else if let Some(data) = frame.data_ref() {
                    self.received += data.len() as u64;
                    if self.received > self.bounds.max {
                        return self.fail(BodyTrouble::TooLarge);
                    }
                    self.state.body_progress(data.len());
                }
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.state.body_complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }
}

/// A response's body on its way to the client. Ends the request's record when hyper drops it.
pub(crate) struct ResponseBody {
    source: Source,
    record: Option<Box<Record>>,
}

enum Source {
    Empty,
    /// firedoor's own words.
    Own(std::vec::IntoIter<Bytes>),
    /// A backend's. Boxed, since a response moves several times on its way.
    Relayed(Box<Relay>),
    /// A backend's, compressed.
    Compressed(Box<Compressed>),
}

impl Source {
    /// Where a backend's body comes from.
    fn relay(&self) -> Option<&Relay> {
        match self {
            Self::Relayed(relay) => Some(relay),
            Self::Compressed(compressed) => Some(&compressed.relay),
            Self::Empty | Self::Own(_) => None,
        }
    }

    /// Whether the client has been given all of it.
    fn is_complete(&self) -> bool {
        match self {
            Self::Relayed(relay) => relay.complete,
            Self::Compressed(compressed) => compressed.is_complete(),
            Self::Empty | Self::Own(_) => true,
        }
    }
}

/// A backend's response body, with the connection it comes over.
struct Relay {
    incoming: Inflow,
    /// `None`: it broke off.
    connection: Option<Connection>,
    /// Counts the request out when dropped.
    flight: InFlight,
    state: Rc<Exchange>,
    complete: bool,
    /// It broke off since firedoor has ended the connection, for what says nothing against the backend.
    excused: bool,
    /// It broke off together with others of its connection, which is one failure, and another one's.
    spared: bool,
    /// Its zone was left, and the time for that is over.
    left: bool,
    /// With a backend that is believed dead, or whose zone was left.
    patience: Patience,
    /// Its end is the connection's end: if it breaks off, only a reset can tell the client.
    ends_by_close: bool,
    /// Fields that the response's `Connection` names: not for its trailers either.
    named: Vec<HeaderName>,
}

impl ResponseBody {
    /// Nothing, and nothing to remember.
    pub(crate) fn none() -> Self {
        Self {
            source: Source::Empty,
            record: None,
        }
    }

    pub(crate) fn own(words: Vec<Bytes>, record: Box<Record>) -> Self {
        Self {
            source: Source::Own(words.into_iter()),
            record: Some(record),
        }
    }

    pub(crate) fn relayed(
        incoming: Inflow,
        connection: Connection,
        flight: InFlight,
        state: Rc<Exchange>,
        record: Box<Record>,
        ends_by_close: bool,
        named: Vec<HeaderName>,
    ) -> Self {
        // For bodies that nobody will ever poll (HEAD, 304, empty ones) the end is now.
        let complete = incoming.is_end_stream();
        Self {
            source: Source::Relayed(Box::new(Relay {
                incoming,
                connection: Some(connection),
                flight,
                state,
                complete,
                excused: false,
                spared: false,
                left: false,
                patience: Patience::default(),
                ends_by_close,
                named,
            })),
            record: Some(record),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Own(words) => Poll::Ready(words.next().map(|words| Ok(Frame::data(words)))),
            Source::Relayed(relay) => relay.poll(cx),
            Source::Compressed(compressed) => compressed.poll(cx),
        };
        if let Some(record) = &mut this.record {
            match &polled {
                Poll::Pending | Poll::Ready(None) => {}
                Poll::Ready(Some(Ok(frame))) => {
                    record.passed(frame);
                }
                Poll::Ready(Some(Err(_))) => match this.source.relay() {
                    Some(relay) => relay.tell(record),
                    None => record.broke_off(),
                },
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Own(words) => words.len() == 0,
            Source::Relayed(relay) => relay.incoming.is_end_stream(),
            Source::Compressed(compressed) => compressed.is_complete(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Own(words) => {
                SizeHint::with_exact(words.as_slice().iter().map(|part| part.len() as u64).sum())
            }
            Source::Relayed(relay) => relay.incoming.size_hint(),
            Source::Compressed(_) => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let record = self.record.take();
        let state = match self.source.relay() {
            Some(relay) => Some(Rc::clone(&relay.state)),
            None => record.as_ref().map(|record| record.state()),
        };
        if let Some(mut record) = record {
            if !self.source.is_complete() {
                record.left_by_client();
            }
            record.finish();
        }
        if let Some(state) = state {
            state.end_request();
        }
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(connection) = &mut self.connection else {
            return self.break_off();
        };
        match connection.poll_frame(cx, &mut self.incoming) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if self.incoming.size_hint().exact().is_some() {
                    // A download of known length ends by itself; a stream of events may never, so that it is not given more
                    // time with each event.
                    self.patience.renew();
                }
                let mut last = self.incoming.is_end_stream();
                if let Some(trailers) = frame.trailers_mut() {
                    if trailers.is_empty() && matches!(self.incoming, Inflow::Exclusive(_)) {
                        return self.broken(Trouble::Protocol);
                    }
                    headers::clean_response_trailers(trailers, &self.named);
                    last = true;
                }
                if last {
                    self.complete = true;
                } else {
                    self.state.worker.heard(self.flight.upstream());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(trouble))) => self.broken(trouble),
            Poll::Ready(None) => {
                self.complete = true;
                Poll::Ready(None)
            }
            Poll::Pending if self.connection.as_ref().is_some_and(|c| c.is_finished()) => {
                self.broken(Trouble::Reset)
            }
            Poll::Pending if self.patience.is_over(&self.state, self.flight.upstream()) => {
                // Who goes on well in a zone that was left has failed nobody.
                self.left = !self.flight.upstream().is_abandoned();
                self.broken(Trouble::ResponseTimeout)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn broken(&mut self, trouble: Trouble) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let connection = self.connection.take();
        self.excused = self.left || connection.as_ref().is_some_and(|c| c.is_ended_by_us());
        if self.fault().is_none() && !self.excused {
            self.state.worker.report(self.flight.upstream(), trouble);
            self.spared = connection.is_some_and(|c| !c.takes_blame());
        }
        if self.ends_by_close {
            self.state.reset.set(true);
        }
        self.state.begin_break();
        self.break_off()
    }

    /// Ends the response in an error, but not before all that came of it is on its way: hyper throws away what it has not sent yet,
    /// and a client without a head would see a connection that was merely closed.
    fn break_off(&self) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.state.is_flushed() {
            Poll::Ready(Some(Err(Cut("the response broke off"))))
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Relay {
    /// Step 10: the connection goes back on a clean end only.
    fn drop(&mut self) {
        let worker = &self.state.worker;
        let upstream = self.flight.upstream();
        if let Some(connection) = self.connection.take()
            && self.complete
            && !upstream.is_left()
        {
            worker.keep(upstream, connection);
        }
        worker.place_freed(upstream.pool_index());
    }
}
