//! Connections opened ahead: to the zone that a flip in sight would make active, so that the first requests after it don't all
//! have to connect.
//!
//! Not always, but only once a flip is in sight: a probe of the active zone has failed, or a planned flip drains it. The
//! confirming probe comes `confirm_interval` later, and a connection takes less. Keeping them open all the time would
//! mean new ones every `idle_timeout`, for each worker and backend, day and night.
//!
//! Never silent ones. A connection that says nothing is not harmless: gunicorn reads from it at once, so that two of them
//! keep two of its threads, or its only sync worker, from serving anybody, the health probe included, and that fails the very zone
//! which the flip needs. So each one carries the pool's own check first, and stays only if the backend keeps it. Whether
//! it does, one worker finds out for all, when the zone begins to serve; one that closes is left alone from then on. Where the
//! check is no HTTP request, nothing is known that could be asked without harm, and nothing is opened.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use tokio::task::unconstrained;

use super::connections::Connection;
use super::exclusive::Exclusive;
use super::multiplex::Stream;
use super::upstream::Upstream;
use crate::config::{self, Check, CheckKind, HttpCheck};
use crate::proxy::request::body::RequestBody;
use crate::proxy::request::view::View;
use crate::proxy::socket::doorbell::Sleeper;
use crate::snapshot::Habit;
use crate::worker::Worker;
use crate::zone::Verdict;

/// Milliseconds from one round of openings to the next, at one backend by one worker; a round takes no longer.
const PAUSE: u64 = 1000;
/// Bytes of an answer's body that are read; a backend that answers its check with more isn't worth it.
const BODY_LIMIT: usize = 64 * 1024;

/// One round of openings.
pub(crate) struct Opening {
    upstream: Rc<Upstream>,
    /// How many idle connections there shall be.
    count: usize,
    check: Arc<Check>,
    /// The backend's address as configured.
    authority: String,
    max_header_size: usize,
    settings: config::Upstream,
}

/// The rounds that are due at worker time `now`.
pub(crate) fn due(view: &View, now: u64) -> Vec<Opening> {
    let snapshot = &view.snapshot;
    let config = &snapshot.config;
    let most = config
        .upstream
        .prewarm
        .min(config.upstream.max_idle_per_worker);
    let mut due = Vec::new();
    for (index, (zone, configured)) in snapshot.zones.iter().zip(&config.zones).enumerate() {
        if most == 0 || index == snapshot.active || zone.verdict != Verdict::Serving {
            continue;
        }
        for (routing, backend) in zone.backends.iter().zip(&configured.backends) {
            if config.pools[routing.pool].send_proxy.is_some() {
                // In whose name would it be opened?
                continue;
            }
            let check = config.check_of(backend);
            let upstream = match view.upstreams.get(&routing.id) {
                Some(known) if routing.pickable() && matches!(check.kind, CheckKind::Http(_)) => {
                    known
                }
                _ => continue,
            };
            let count = match upstream.keep_alive().habit() {
                Habit::Unknown => 1,
                // One is for all.
                Habit::Keeps if snapshot.next == Some(index) && upstream.shares() => 1,
                Habit::Keeps if snapshot.next == Some(index) => most,
                Habit::Keeps | Habit::Asked | Habit::Closes => 0,
            };
            if upstream.idle.len() < count && upstream.may_prewarm(now, PAUSE) {
                due.push(Opening {
                    upstream: Rc::clone(upstream),
                    count,
                    check: Arc::clone(check),
                    authority: backend.address.to_string(),
                    max_header_size: config.limits.max_header_size,
                    settings: config.upstream.clone(),
                });
            }
        }
    }
    due
}

impl Opening {
    /// Opens one connection after the other: a server with a single process is never kept busy by more than one check of each
    /// worker.
    pub(crate) async fn run(self, worker: &Worker) {
        let asking = self.upstream.keep_alive().ask();
        if asking.is_none() && self.upstream.keep_alive().habit() != Habit::Keeps {
            return;
        }
        let kept = tokio::time::timeout(Duration::from_millis(PAUSE), self.open_all(worker)).await;
        if let (Some(asking), Ok(Some(kept))) = (asking, kept) {
            asking.answer(kept);
        }
    }

    /// Whether the backend kept the last one; `None` if it has not answered.
    async fn open_all(&self, worker: &Worker) -> Option<bool> {
        let upstream = &self.upstream;
        let mut kept = None;
        for _ in upstream.idle.len()..self.count {
            if kept == Some(false) {
                break;
            }
            // What the backend can take at once holds for this too.
            let _flight = upstream.enter(worker.index())?;
            let address = upstream.address?;
            let opening = Connection::open(
                worker,
                upstream,
                address,
                None,
                &self.settings,
                self.max_header_size,
            );
            let mut connection = opening.await.ok()?;
            let request = self.request()?;
            match &mut connection {
                Connection::Exclusive(connection) => ask(connection, request).await?,
                Connection::Shared(stream) => ask_beside_others(stream, request).await?,
            }
            if upstream.is_abandoned() {
                return None;
            }
            kept = Some(worker.keep(upstream, connection));
        }
        kept
    }

    /// The pool's check, on a connection that may be kept.
    fn request(&self) -> Option<Request<RequestBody>> {
        let CheckKind::Http(HttpCheck {
            method, path, host, ..
        }) = &self.check.kind
        else {
            return None;
        };
        let host = match host {
            Some(host) => host.clone(),
            None => HeaderValue::try_from(&self.authority).ok()?,
        };
        Request::builder()
            .method(method.clone())
            .uri(path.as_str())
            .header(HOST, host)
            .header(
                USER_AGENT,
                concat!("firedoor/", env!("CARGO_PKG_VERSION"), " (warm-up)"),
            )
            .body(RequestBody::Empty)
            .ok()
    }
}

/// Sends `request` and reads the answer to its end, whatever it says.
async fn ask(connection: &mut Exclusive, request: Request<RequestBody>) -> Option<()> {
    let mut unwoken = Context::from_waker(Waker::noop());
    let sleeper = Sleeper::default();
    let mut answer = pin!(unconstrained(connection.send(request, sleeper.id())));
    let response = poll_fn(|cx| {
        sleeper.register(cx);
        connection.drive();
        match answer.as_mut().poll(&mut unwoken) {
            Poll::Pending if connection.is_finished() => Poll::Ready(None),
            polled => polled.map(Result::ok),
        }
    })
    .await?;
    let mut body = response.into_body();
    let mut read = 0;
    poll_fn(|_| {
        loop {
            match connection.poll_frame(&mut body) {
                Poll::Ready(None) => return Poll::Ready(Some(())),
                Poll::Ready(Some(Ok(frame))) if read < BODY_LIMIT => {
                    read += frame.data_ref().map_or(0, bytes::Bytes::len);
                }
                Poll::Ready(Some(_)) => return Poll::Ready(None),
                Poll::Pending if connection.is_finished() => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// The same over HTTP/2.
async fn ask_beside_others(stream: &mut Stream, request: Request<RequestBody>) -> Option<()> {
    let mut waiting = Some(request);
    let mut body = None;
    let mut read = 0;
    poll_fn(|cx| {
        if waiting.is_some() {
            match stream.poll_room(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Ready(true) => {}
            }
        }
        if let Some(request) = waiting.take()
            && stream.begin(request).is_err()
        {
            return Poll::Ready(None);
        }
        stream.drive(cx);
        if body.is_none() {
            match stream.poll_head(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(head)) => body = head.into_body(),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
            }
        }
        let Some(body) = &mut body else {
            return Poll::Ready(None);
        };
        loop {
            match body.poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(Some(())),
                Poll::Ready(Some(Ok(frame))) if read < BODY_LIMIT => {
                    read += frame.data_ref().map_or(0, bytes::Bytes::len);
                }
                Poll::Ready(Some(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
