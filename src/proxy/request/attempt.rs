//! One attempt at one backend: connecting to it and sending it the request, up to the response head.

use std::cell::Cell;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::Body as _;
use tokio::task::unconstrained;

use super::body::{Patience, RequestBody};
use super::exchange::Exchange;
use crate::config::{Config, Upstream as Settings};
use crate::introduction::Announcement;
use crate::outcome::words::tls;
use crate::outcome::{Trouble, is_own_fault};
use crate::proxy::backend::connections::{Connection, Unopened};
use crate::proxy::backend::inflow::Inflow;
use crate::proxy::backend::multiplex::{Stream, Unusable};
use crate::proxy::backend::turns::Unmade;
use crate::proxy::backend::upstream::{Debt, InFlight, Upstream};
use crate::proxy::message::interim::Interim;
use crate::telemetry::reason::Retry;
use crate::worker::millis;

/// How an attempt ended without a response head.
pub(crate) enum Lost {
    /// Not one byte was sent: here is the request again. With a reason, no connection has failed it: its backend is to get nothing new.
    Unsent(Box<Request<RequestBody>>, Option<Retry>),
    /// It was sent, at least in part.
    Sent(Trouble),
    /// It was sent, and its backend was found dead while it waited.
    Abandoned,
    /// Its zone was left or has failed, its body is still on its way or it is a call of gRPC, and the time for that is over.
    Left,
    /// It asks for a tunnel that can't be had there.
    NoTunnel,
    /// Its backend speaks HTTP/2, in which it can't be said.
    Unsayable,
}

/// Connects to the backend of `flight`, in the name of the `announced` client if there is one, unless it takes too long, or the backend is
/// found dead or its zone is left meanwhile; or shares what somebody else opens, see [`Idle::pop`] for `newer_than`. That our own system
/// couldn't, or somebody else was waited for, is no news about the backend.
///
/// [`Idle::pop`]: crate::proxy::backend::connections::Idle::pop
pub(crate) async fn connect(
    state: &Rc<Exchange>,
    flight: &InFlight,
    announced: Option<Announcement>,
    settings: &Settings,
    config: &Config,
    newer_than: Option<u64>,
) -> Result<Connection, Unmade> {
    let told = |trouble: Trouble| (Retry::from(trouble), Some(trouble));
    let upstream = flight.upstream();
    let Some(address) = upstream.address else {
        return Err(told(Trouble::Connect));
    };
    let worker = &state.worker;
    // The clock may be a tick behind: what begins now must not seem to have begun before.
    worker.tick();
    let _debt = upstream.owe(worker.now());
    let due = Cell::new(0);
    let within = |period| {
        due.set(worker.awake() + millis(period));
        state.wait_until(due.get());
    };
    // As long as room on a connection is waited for. Each one whose turn it is has a time of its own, so that this is seldom used up.
    within(settings.response_timeout);
    let connecting = Cell::new(false);
    let mut opening = pin!(async {
        let turn = upstream.turn().await?;
        if turn.is_some()
            && let Some(opened_by_another) = upstream.idle.pop(announced.as_ref(), newer_than)
        {
            return Ok(opened_by_another);
        }
        worker.tick();
        within(settings.connect_timeout);
        connecting.set(true);
        let head = config.limits.max_header_size;
        let opened = Connection::open(worker, upstream, address, announced, settings, head).await;
        opened.map_err(|unopened| match unopened {
            Unopened::Unfit(what, reason) => {
                upstream.complain(what, &reason, worker.now());
                told(Trouble::Handshake)
            }
            Unopened::Unconnected(error) if is_own_fault(&error) => (Retry::NoSocket, None),
            Unopened::Unconnected(error) => told(match error.kind() {
                io::ErrorKind::TimedOut => Trouble::ConnectTimeout,
                _ => Trouble::Connect,
            }),
        })
    });
    let result = poll_fn(|cx| match opening.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending if upstream.is_abandoned() || worker.awake() >= due.get() => {
            Poll::Ready(Err(if connecting.get() {
                told(Trouble::ConnectTimeout)
            } else {
                (Retry::ConnectTimeout, None)
            }))
        }
        Poll::Pending if !flight.is_welcome() => Poll::Ready(Err((Retry::Left, None))),
        Poll::Pending => Poll::Pending,
    })
    .await;
    if let Err(unmade) = result
        && connecting.get()
        && unmade.0 != Retry::Left
    {
        upstream.turns.fail(unmade);
    }
    state.wait_no_more();
    match (result, connecting.get()) {
        // A backend that takes no new connection in time may be busy, not dead, and go on with those that it has.
        (Err(unmade @ (Retry::ConnectTimeout, _)), true) if !upstream.is_abandoned() => {
            upstream.idle.doubtful(newer_than).ok_or(unmade)
        }
        (result, _) => result,
    }
}

/// By what an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Milliseconds of silence.
    pub(crate) limit: u64,
    /// It is sent as a whole, now: from then on an answer is owed. A body that is streamed takes as long as its client likes, and it is owed
    /// from its end on.
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
    flight: &InFlight,
    connection: &mut Connection,
    request: Request<RequestBody>,
    rules: Rules,
) -> Result<Response<Inflow>, Lost> {
    state.heads_for(matches!(connection, Connection::Shared(_)));
    let connection = match connection {
        Connection::Exclusive(connection) => connection,
        // Boxed: requests over HTTP/1.1 would carry the room for it. Those go on here, since a function of their own would have all of the
        // request moved once more.
        Connection::Shared(stream) => {
            return Box::pin(send_beside_others(state, flight, stream, request, rules)).await;
        }
    };
    let (worker, upstream) = (&state.worker, flight.upstream());
    let mut wait = Wait::begin(state, upstream, rules, request.body());
    let mut answer = pin!(unconstrained(
        connection.send(request, state.sleeper().id())
    ));
    let result = poll_fn(|_| {
        // First the bytes, then the answer, without a waker: see `Exclusive::drive`. Unconstrained, since the runtime would wake
        // that waker to have us give way, and nobody would come back.
        connection.drive();
        if relay_interim(state, &mut connection.traffic.interim.borrow_mut(), rules) {
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
            let result = result.map(|response| {
                let length = response.body().size_hint().exact();
                connection.traffic.expect(length);
                response.map(Inflow::Exclusive)
            });
            return Poll::Ready(result.map_err(|mut error| match error.take_message() {
                Some(request) => Lost::Unsent(Box::new(request), None),
                None if is_nonsense(error.error()) => Lost::Sent(Trouble::Protocol),
                None => {
                    if let Some(refusal) = refusal(error.error()) {
                        upstream.complain("TLS", &refusal, worker.now());
                    }
                    Lost::Sent(Trouble::Reset)
                }
            }));
        }
        wait.poll(connection.traffic.written.get()).map(Err)
    })
    .await;
    state.wait_no_more();
    result
}

/// Over HTTP/2. The limit of a connection is kept here: a request that waits for room has not been sent.
async fn send_beside_others(
    state: &Rc<Exchange>,
    flight: &InFlight,
    stream: &mut Stream,
    request: Request<RequestBody>,
    rules: Rules,
) -> Result<Response<Inflow>, Lost> {
    let (worker, upstream) = (&state.worker, flight.upstream());
    let mut wait = Wait::begin(state, upstream, rules, request.body());
    let mut interim = Interim::default();
    let mut waiting = Some(Box::new(request));
    let mut waited = false;
    let result = poll_fn(|cx| {
        if let Some(request) = waiting.take() {
            if waited {
                // Looked at anew: this task may be woken, by room, before the worker has taken the new snapshot over.
                let _taken_over = worker.view();
                let reason = match upstream.is_abandoned() {
                    true => Retry::Abandoned,
                    false => Retry::Left,
                };
                if !flight.is_welcome() {
                    return Poll::Ready(Err(Lost::Unsent(request, Some(reason))));
                }
            }
            waited = true;
            match stream.poll_room(cx) {
                Poll::Ready(true) => match stream.begin(*request) {
                    Ok(()) => {}
                    Err(Unusable::NoTunnel) => return Poll::Ready(Err(Lost::NoTunnel)),
                    Err(Unusable::Unsayable) => return Poll::Ready(Err(Lost::Unsayable)),
                },
                Poll::Ready(false) => return Poll::Ready(Err(Lost::Unsent(request, None))),
                Poll::Pending if wait.is_over() => {
                    return Poll::Ready(Err(Lost::Unsent(request, None)));
                }
                Poll::Pending => {
                    waiting = Some(request);
                    return Poll::Pending;
                }
            }
        }
        stream.drive(cx);
        while let Some(head) = stream.poll_interim(cx) {
            interim.note(head);
            if relay_interim(state, &mut interim, rules) {
                worker.heard(upstream);
            }
        }
        if let Poll::Ready(head) = stream.poll_head(cx) {
            let response = head.map(|head| {
                head.map(|body| body.map_or(Inflow::None, |body| Inflow::Shared(Box::new(body))))
            });
            return Poll::Ready(response.map_err(|trouble| match stream.take_refused() {
                Some(request) => Lost::Unsent(Box::new(request), None),
                None => Lost::Sent(trouble),
            }));
        }
        wait.poll(stream.progress()).map(Err)
    })
    .await;
    state.wait_no_more();
    result
}

/// How much longer an answer is waited for.
struct Wait<'a> {
    state: &'a Exchange,
    upstream: &'a Upstream,
    rules: Rules,
    /// Bytes of the request that had gone out at the last look.
    sent: u64,
    /// Worker milliseconds, awake.
    due: u64,
    /// What the backend owes, from when on it does.
    debt: Option<Debt<'a>>,
    /// For the end of a body that is on its way to a zone that was left.
    patience: Patience,
    /// That body has an end that it moves towards.
    bounded: bool,
}

impl<'a> Wait<'a> {
    fn begin(
        state: &'a Exchange,
        upstream: &'a Upstream,
        rules: Rules,
        body: &RequestBody,
    ) -> Self {
        let due = state.worker.awake() + rules.limit;
        state.wait_until(due);
        Self {
            state,
            upstream,
            rules,
            sent: 0,
            due,
            debt: rules.whole.then(|| upstream.owe(state.worker.now())),
            patience: Patience::default(),
            bounded: body.size_hint().exact().is_some(),
        }
    }

    fn is_over(&self) -> bool {
        self.state.worker.awake() >= self.due
    }

    /// Ready when it isn't waited for any more. `sent`: bytes of the request that have gone out by now.
    fn poll(&mut self, sent: u64) -> Poll<Lost> {
        let moves = sent != self.sent;
        if moves || self.state.is_waiting_for_body() {
            // The time counts from the request's end, and a slow client has a clock of its own.
            self.sent = sent;
            self.due = self.state.worker.awake() + self.rules.limit;
            self.state.wait_until(self.due);
        }
        if self.debt.is_none() && self.state.body_complete_at().is_some() {
            self.debt = Some(self.upstream.owe(self.state.worker.now()));
        }
        if self.rules.may_leave && self.upstream.is_abandoned() {
            return Poll::Ready(Lost::Abandoned);
        }
        if (!self.rules.whole || self.state.is_grpc()) && self.drain(moves).is_none() {
            return Poll::Ready(Lost::Left);
        }
        if self.is_over() {
            return Poll::Ready(Lost::Sent(Trouble::ResponseTimeout));
        }
        Poll::Pending
    }

    /// For who sends a body as it comes, and for calls of gRPC: until when that may go on; `None`: no longer. An upload of known length ends
    /// by itself while it `moves`, as a download does; a call whose server has nothing to say as yet would be in the zone that was left for
    /// ever, or if it has been sent as a whole, for as long as its answer may take. Any other request gets that answer.
    fn drain(&mut self, moves: bool) -> Option<()> {
        let mut again = self.due;
        if self.debt.is_none() || self.state.is_grpc() {
            if moves && self.bounded {
                self.patience.renew();
            }
            match self.patience.look(self.state, self.upstream)? {
                0 => {}
                next => again = again.min(next),
            }
        }
        self.state.wait_until(again);
        Some(())
    }
}

/// Sends on what the backend has said before its response. Whether it has said something.
fn relay_interim(state: &Rc<Exchange>, interim: &mut Interim, rules: Rules) -> bool {
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

/// Why the backend doesn't want to have TLS with us, if that is why nothing came.
fn refusal(error: &hyper::Error) -> Option<String> {
    tls::afterwards(error.source()?.downcast_ref()?)
}

fn is_nonsense(error: &hyper::Error) -> bool {
    error.is_parse() || error.is_parse_too_large() || error.is_parse_status()
}
