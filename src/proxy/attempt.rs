//! One attempt at one backend: connecting to it and sending it the request, up to the response head.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::task::unconstrained;

use super::body::RequestBody;
use super::connections::Connection;
use super::downstream::millis;
use super::exchange::Exchange;
use super::upstream::Upstream;
use crate::config;
use crate::outcome::{Trouble, is_own_fault};

/// How an attempt ended without a response head.
pub(crate) enum Lost {
    /// Not one byte was sent: here is the request again.
    Unsent(Box<Request<RequestBody>>),
    /// It was sent, at least in part.
    Sent(Trouble),
    /// It was sent, and its backend was found dead while it waited.
    Abandoned,
}

/// The same request again, for a retry; `None` if its body is passed on as it comes.
pub(crate) fn copy(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let body = match request.body() {
        RequestBody::Kept(bytes) => RequestBody::Kept(bytes.clone()),
        RequestBody::Empty => RequestBody::Empty,
        RequestBody::Streamed(_) => return None,
    };
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// Connects to `upstream`, unless it takes too long or the backend is found dead meanwhile. `Err(None)`: our own system couldn't,
/// which is no news about the backend.
pub(crate) async fn connect(
    state: &Rc<Exchange>,
    upstream: &Rc<Upstream>,
    settings: &config::Upstream,
    limits: &config::Limits,
) -> Result<Box<Connection>, Option<Trouble>> {
    let Some(address) = upstream.address else {
        return Err(Some(Trouble::Connect));
    };
    // The clock may be a tick behind: what begins now must not seem to have begun before.
    state.worker.tick();
    let due = state.worker.now() + millis(settings.connect_timeout);
    let _debt = upstream.owe(state.worker.now());
    state.wait_until(due);
    let mut opening = pin!(Connection::open(
        address,
        limits.max_header_size.max(64 * 1024)
    ));
    let result = poll_fn(|cx| match opening.as_mut().poll(cx) {
        Poll::Ready(Ok(connection)) => Poll::Ready(Ok(connection)),
        Poll::Ready(Err(error)) if is_own_fault(&error) => Poll::Ready(Err(None)),
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Poll::Ready(Err(Some(Trouble::ConnectTimeout)))
        }
        Poll::Ready(Err(_)) => Poll::Ready(Err(Some(Trouble::Connect))),
        Poll::Pending if upstream.is_abandoned() || state.worker.now() >= due => {
            Poll::Ready(Err(Some(Trouble::ConnectTimeout)))
        }
        Poll::Pending => Poll::Pending,
    })
    .await;
    state.wait_no_more();
    result
}

/// By what an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Milliseconds of silence.
    pub(crate) limit: u64,
    /// It is sent as a whole, now: from then on an answer is owed. A body that is streamed takes as long as its client likes.
    pub(crate) whole: bool,
    /// Give up as soon as the backend is found dead, since the request can be made elsewhere.
    pub(crate) may_leave: bool,
    /// The client holds its body back until it is asked for it.
    pub(crate) expects: bool,
    /// The client understands interim responses.
    pub(crate) interim: bool,
}

/// Sends `request` and waits for the response head.
pub(crate) async fn send(
    state: &Rc<Exchange>,
    upstream: &Rc<Upstream>,
    connection: &mut Box<Connection>,
    request: Request<RequestBody>,
    rules: Rules,
) -> Result<Response<Incoming>, Lost> {
    let worker = &state.worker;
    let mut written = 0;
    let mut due = worker.now() + rules.limit;
    state.wait_until(due);
    let _debt = rules.whole.then(|| upstream.owe(worker.now()));
    let mut answer = pin!(unconstrained(connection.send(request, &state.task())));
    let result = poll_fn(|_| {
        // First the bytes, then the answer, without a waker: see `Connection::drive`. Unconstrained, since the runtime would wake
        // that waker to have us give way, and nobody would come back.
        connection.drive();
        if relay_interim(state, connection, rules) {
            worker.heard(upstream);
        }
        let mut unwoken = Context::from_waker(Waker::noop());
        let mut head = answer.as_mut().poll(&mut unwoken);
        if head.is_pending() && connection.is_finished() {
            // The backend had closed it while it was idle: without this the request would lie in its queue until the timeout.
            connection.hang_up();
            head = answer.as_mut().poll(&mut unwoken);
        }
        if let Poll::Ready(result) = head {
            return Poll::Ready(result.map_err(|mut error| match error.take_message() {
                Some(request) => Lost::Unsent(Box::new(request)),
                None if is_nonsense(error.error()) => Lost::Sent(Trouble::Protocol),
                None => Lost::Sent(Trouble::Reset),
            }));
        }
        let now = worker.now();
        if connection.traffic.written.get() != written || state.is_waiting_for_body() {
            // The time counts from the request's end, and a slow client has a clock of its own.
            written = connection.traffic.written.get();
            due = now + rules.limit;
            state.wait_until(due);
        }
        if rules.may_leave && upstream.is_abandoned() {
            return Poll::Ready(Err(Lost::Abandoned));
        }
        if now >= due {
            return Poll::Ready(Err(Lost::Sent(Trouble::ResponseTimeout)));
        }
        Poll::Pending
    })
    .await;
    state.wait_no_more();
    result
}

/// Sends on what the backend has said before its response. Whether it has said something.
fn relay_interim(state: &Rc<Exchange>, connection: &Connection, rules: Rules) -> bool {
    let mut interim = connection.traffic.interim.borrow_mut();
    let Some(heads) = interim.take() else {
        return false;
    };
    if rules.expects && interim.is_continued() && !state.is_continued() {
        // hyper gives the client its 100 when the body is first wanted; that is what this lets happen.
        state.set_continued();
        state.wake();
    } else if rules.interim {
        state.send_interim(&heads);
    }
    true
}

fn is_nonsense(error: &hyper::Error) -> bool {
    error.is_parse() || error.is_parse_too_large() || error.is_parse_status()
}
