//! `/v1/events`: what the journal tells, and how everything stands, as server-sent events.
//!
//! An entry's number is its event's id, so that whoever comes back with `Last-Event-ID` goes on where it was: nothing is lost
//! and nothing doubled between what was and what comes, across restarts too.

mod feed;
mod frame;
mod pump;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, request};
use http_body_util::{Either, Full};
use tokio::sync::{mpsc, watch};

use super::api::{bad_request, parameter, typed};
use super::order::Peer;
use super::problem::Problem;
use super::seats::Manners;
use super::{Context, traffic};
pub(super) use feed::Feed;
pub(super) use pump::{End, Pump, Stream};

/// Streams at once: half of the seats, so that any number of dashboards leaves room for `/health`.
pub(super) const ROOM: usize = super::seats::ROOM / 2;

/// When to ask again for a stream that there was no room for.
const COME_BACK: Duration = Duration::from_secs(10);

/// One connection, as its answers see it: who is at its other end, who feeds its streams, who runs them, and when they end.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) peer: Peer,
    feed: Arc<Feed>,
    /// To the task of the connection, which runs what comes here beside it.
    pumps: mpsc::Sender<Pump>,
    pub(super) manners: Manners,
    pub(super) closing: watch::Receiver<bool>,
}

impl Outlet {
    /// Also gives the streams to be run.
    pub(super) fn new(
        feed: &Arc<Feed>,
        peer: Peer,
        closing: watch::Receiver<bool>,
    ) -> (Self, mpsc::Receiver<Pump>) {
        let (pumps, streams) = mpsc::channel(1);
        let outlet = Self {
            peer,
            feed: Arc::clone(feed),
            pumps,
            manners: Manners::default(),
            closing,
        };
        (outlet, streams)
    }
}

/// A body: nearly all are whole, a stream is one that comes bit by bit.
pub(super) type Body = Either<Full<Bytes>, Stream>;

/// Begins a stream.
pub(super) async fn events(
    context: &Context,
    head: &request::Parts,
    outlet: &Outlet,
) -> Result<Response<Body>, Problem> {
    let wishes = Wishes::of(head)?;
    if head.method == Method::HEAD {
        return Ok(typed(StatusCode::OK, frame::TYPE, Bytes::new()).map(Either::Left));
    }
    let seat = outlet.feed.seat().ok_or_else(|| {
        Problem::try_again(
            COME_BACK,
            format!("{ROOM} streams are open, which is all that there may be: close one"),
        )
    })?;
    let (mut pump, body) = Pump::new(seat, outlet);
    // Subscribed to before the backlog is asked for, so that nothing falls between the two.
    pump.resume(&context.monitor, wishes.after).await;
    if wishes.traffic {
        let newest = traffic::traffic(&context.traffic.borrow());
        let newest = frame::event("traffic", &newest);
        pump.add_traffic(newest, outlet.feed.traffic());
    }
    if wishes.status {
        outlet.feed.refresh(context);
        pump.add_status(outlet.feed.status());
    }
    // An error means that the connection has ended already.
    let _ = outlet.pumps.send(pump).await;
    let mut response = Response::new(Either::Right(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(frame::TYPE));
    // A proxy that holds back what it gets would make it useless; nginx asks for this.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// What a client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    /// The number of the last entry that it has.
    after: Option<u64>,
    status: bool,
    traffic: bool,
}

impl Wishes {
    fn of(head: &request::Parts) -> Result<Self, Problem> {
        let query = head.uri.query();
        // The field is the newer one: a browser comes back to the same address with it.
        let last = head.headers.get("last-event-id");
        let last = last
            .map(|value| value.to_str().unwrap_or("?"))
            .filter(|value| !value.is_empty());
        let after = match last.or(parameter(query, "after")) {
            None => None,
            Some(number) => Some(number.parse().map_err(|_| {
                bad_request(format!(
                    "{number:?} is no number of a journal entry, to go on after"
                ))
            })?),
        };
        let mut wishes = Self {
            after,
            ..Self::default()
        };
        let with = parameter(query, "with").unwrap_or("");
        // A comma may have been encoded.
        let with = with.replace("%2C", ",").replace("%2c", ",");
        for what in with.split(',').filter(|what| !what.is_empty()) {
            match what {
                "status" => wishes.status = true,
                "traffic" => wishes.traffic = true,
                unknown => {
                    return Err(bad_request(format!(
                        "with={unknown}: the journal's entries can come with \"status\" and \"traffic\""
                    )));
                }
            }
        }
        Ok(wishes)
    }
}
