//! The life of a request, in ten steps.
//!
//! 1. **snapshot**: the worker's view of the current one, read anew for every attempt, so that a retry follows a flip.
//! 2. **admit**: is it a message that can be understood in one way only?
//! 3. **route**: host and path → pool.
//! 4. **clean**: strip what concerns one connection or can't be believed, *then* add ours.
//! 5. **pick** a backend of the active zone, or hold until there is one.
//! 6. **checkout** an idle connection to it, or connect.
//! 7. **send**: a request that comes back unsent goes elsewhere whatever its method; a sent one only by the retry rule.
//! 8. **relay** status and header fields ([`answer`]); a 101 becomes a tunnel.
//! 9. **stream** the body ([`super::request::body`]): from here on an error can only abort, and the client must see that.
//! 10. **finish** ([`super::request::body`], [`super::request::record`]): keep the connection after a clean end only; one log
//!     line, one count.

mod answer;
mod loss;
mod remainder;
mod stale;

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use http::header::CONNECTION;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::client::challenge;
use super::client::stream::ClientStream;
use super::message::headers;
use super::message::survey::Survey;
use super::request::announcement;
use super::request::attempt::{self, Lost, Rules};
use super::request::body::{ClientBody, RequestBody, ResponseBody};
use super::request::error::Refusal;
use super::request::exchange::{BodyTrouble, Exchange};
use super::request::hold::{Failure, Stay};
use super::request::prepare::prepare;
use super::request::record::Record;
use super::request::spare::Spare;
use crate::outcome::{Ending, Trouble};
use crate::telemetry::reason::Retry;
use crate::worker::millis;
use crate::zone::ComponentId;

use answer::Answer;
use stale::Stale;

/// Answers one request. Never fails: what goes wrong before the response head is an answer of our own.
///
/// One copy for each kind of stream and body: a common one would no longer be compiled into the one place that calls it, and the request
/// would be moved about to have its body wrapped.
pub(crate) async fn request<S: ClientStream, B: Body + Into<ClientBody>>(
    state: Rc<Exchange>,
    request: Request<B>,
) -> Result<Response<ResponseBody>, Infallible> {
    state.begin_request(request.body().is_end_stream());
    let version = request.version();
    let begun = state.worker.glance();
    let mut record = Record::begin(&state, &request, begun);
    let found = Survey::of(request.headers());
    if !S::SECURED
        && let Some(file) = state.worker.challenges().file(&request)
    {
        return Ok(challenge::respond(file, record));
    }
    let json = found.has_accept() && headers::prefers_json(request.headers());
    let mut blamed = false;
    let mut response = match forward(&state, request, found, &mut record).await {
        Ok(answer) => answer.relay(&state, record),
        // With a chunked body it is the connection's last: nobody has looked at the trailers, see `Streamed`.
        Err(refusal) => {
            blamed = refusal.is_last() && refusal != Refusal::Body(BodyTrouble::TooLarge);
            refusal.response(json, found.codings > 0, record)
        }
    };
    state.promise::<S>(response.headers_mut());
    if state.is_body_due() {
        remainder::part(&mut response);
        if !blamed {
            state.forgo_rest();
        }
    }
    if response.status().canonical_reason().is_none()
        && response.extensions().get::<ReasonPhrase>().is_none()
    {
        // hyper would write `<none>`. There need not be any (RFC 9112 4).
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(b""));
    }
    if version == Version::HTTP_10 && response.headers().contains_key(CONNECTION) {
        // Its last: with any other version, hyper would promise a client that asks for it to keep the connection all the same.
        *response.version_mut() = Version::HTTP_10;
    }
    Ok(response)
}

async fn forward<B: Body + Into<ClientBody>>(
    state: &Rc<Exchange>,
    request: Request<B>,
    found: Survey,
    record: &mut Record,
) -> Result<Answer, Refusal> {
    let (head, incoming) = request.into_parts();
    let mut request = Request::from_parts(head, RequestBody::Empty);
    let mut incoming = Some(incoming);
    let prepared = match prepare(state, &mut request, &mut incoming, found, record).await {
        Ok(prepared) => prepared,
        Err(refusal) => {
            if let Some(rest) = incoming
                && state.is_body_due()
                && !refusal.is_last()
            {
                // Boxed: the others would carry the room for it.
                Box::pin(remainder::take_in(state, rest.into(), &found)).await;
            }
            return Err(refusal);
        }
    };
    let worker = &state.worker;
    let version = request.version();
    *request.version_mut() = Version::HTTP_11;

    let mut tried: Vec<ComponentId> = Vec::new();
    let mut stale = Stale::default();
    let mut retries = 0;
    // Its retries are used up, and it waits for another zone to have one more.
    let mut crossed = false;
    let mut stay = Stay::default();
    // How the last attempt that had been sent was lost.
    let mut failed: Option<Failure> = None;
    // An answer worth another try, for want of a better one.
    let mut poor: Option<Box<Answer>> = None;
    let mut dressed = false;
    loop {
        // 1. snapshot
        let view = worker.view();
        let config = &view.snapshot.config;
        let settings = prepared.upstream(config);

        // 5. pick
        let pool = prepared.pool_in(&view)?;
        let mut admitted = None;
        if let Some(gate) = view.gate(pool) {
            admitted = gate.enter(prepared.priority, worker.now());
            if admitted.is_none() {
                worker.counters().sheds.add(1);
                record.unserved(&view, pool);
                return poor.map(Answer::unkept).ok_or(Refusal::Shed);
            }
        }
        // A session goes on where it was, also where those without one wait.
        let session = prepared.session.as_ref();
        let newcomer = !stay.has_begun() && tried.is_empty() && session.is_none();
        let picked = if newcomer && worker.queue().is_waiting(pool) {
            None
        } else {
            view.pick_or_try(pool, &prepared, &tried, worker)
        };
        if picked.is_some() {
            stay.end(worker, pool);
        }
        let Some(mut flight) = picked else {
            // Or a planned flip would wait for who waits for that flip.
            if let Some(answer) = &mut poor {
                answer.flight.set_counted(false);
                worker.call_next(pool);
            }
            // Boxed: few requests are ever held, and all of them would carry the room for it.
            match Box::pin(stay.wait(state, view, pool, &mut tried, failed, record)).await {
                Ok(()) => continue,
                Err(refusal) => return poor.map(Answer::unkept).ok_or(refusal),
            }
        };
        flight.admitted = admitted;
        let upstream = Rc::clone(flight.upstream());
        let epoch = view.snapshot.epoch;
        record.attempt(&flight, epoch);
        poor = None;

        // 6. checkout
        let announced = announcement::of(state, config, pool);
        let newer_than = stale.before(&upstream);
        let mut connection = match upstream.idle.pop(announced.as_ref(), newer_than) {
            Some(connection) => connection,
            None => {
                let since = Instant::now();
                let connecting =
                    attempt::connect(state, &flight, announced, settings, config, newer_than);
                match Box::pin(connecting).await {
                    Ok(connection) => {
                        record.connected(since.elapsed());
                        // Looked at anew: this task may be woken before the worker has taken the new snapshot over.
                        let _taken_over = worker.view();
                        if !flight.is_welcome() {
                            // The zone was left while we were connecting to it.
                            record.again(Retry::Left);
                            continue;
                        }
                        connection
                    }
                    Err((retry @ Retry::Left, _)) => {
                        record.again(retry);
                        continue;
                    }
                    Err((retry, trouble)) => {
                        record.again(retry);
                        if let Some(trouble) = trouble {
                            worker.report(&upstream, trouble);
                            record.lost(Ending::Broken);
                            // Unlike a full backlog, nothing that a moment of waiting mends.
                            if trouble == Trouble::Handshake {
                                failed = Some(Failure {
                                    trouble,
                                    epoch,
                                    granted: false,
                                });
                            }
                        }
                        tried.push(upstream.id);
                        continue;
                    }
                }
            }
        };

        // 7. send
        let spare = Spare::of(&request);
        if dressed {
            headers::stamp(request.headers_mut(), view.zone_of(&flight), &view.epoch);
        } else {
            let identity = record.identity().expect("it is prepared");
            prepared.dress(request.headers_mut(), state, identity, (&view, &flight));
        }
        dressed = false;
        record.sign(request.headers_mut());
        let most = settings.retries;
        let repeatable = spare.is_some() && prepared.idempotent && most > 0;
        let may_repeat = repeatable && retries < most;
        worker.glance();
        let (sent_at, since) = (worker.micros(), worker.awake());
        let rules = Rules {
            limit: millis(settings.response_timeout),
            whole: spare.is_some(),
            may_leave: may_repeat,
            expects: prepared.expects,
            interim: version >= Version::HTTP_11,
        };
        match attempt::send(state, &flight, &mut connection, request, rules).await {
            Ok(response) => {
                let owed_since = match &spare {
                    Some(_) => Some(sent_at),
                    // Of a call of gRPC the head may come with the first message of many, whenever that is.
                    None if state.is_grpc() => None,
                    None => state.body_complete_at().map(|at| at.max(sent_at)),
                };
                worker.answered(&upstream, owed_since);
                let status = response.status();
                record.heard(status);
                let Some(found) = answer::survey(&response, &prepared, version) else {
                    return Err(Refusal::Upstream(Trouble::Protocol));
                };
                let bad = status.is_server_error();
                if bad {
                    worker.report(&upstream, Trouble::ServerError);
                }
                let pin = prepared.pin(&view, pool, upstream.id);
                let answer = Answer {
                    response,
                    found,
                    connection,
                    flight,
                    version,
                    pin,
                };
                let another = view.has_another(pool, &tried, upstream.id);
                let worth_it = may_repeat
                    && settings.retry_on_status.contains(&status.as_u16())
                    && (another || (bad && view.has_standby()))
                    && worker.withdraw_retry();
                let Some(again) = spare.filter(|_| worth_it).and_then(Spare::unpack) else {
                    return Ok(answer);
                };
                record.again(Retry::Status);
                if bad {
                    record.lost(Ending::ServerError);
                }
                if !another {
                    // The probes have been asked: the next attempt is the standby's, or there is none.
                    failed = Some(Failure {
                        trouble: Trouble::ServerError,
                        epoch,
                        granted: false,
                    });
                }
                poor = Some(Box::new(answer));
                retries += 1;
                tried.push(upstream.id);
                request = again;
            }
            Err(Lost::Unsent(unsent, reason)) => {
                match spare.and_then(Spare::unpack) {
                    Some(spare) => request = spare,
                    None => {
                        // There is only this one, its body untouched, and it wears already what we add.
                        request = *unsent;
                        dressed = true;
                    }
                }
                if let Some(reason) = reason {
                    record.again(reason);
                } else if stale.meet(&upstream, &connection, true) {
                    record.again(Retry::Stale);
                } else {
                    worker.report(&upstream, Trouble::Reset);
                    record.again(Retry::Reset);
                    if !connection.takes_blame() {
                        record.excuse();
                    }
                    record.lost(Ending::Broken);
                    tried.push(upstream.id);
                }
            }
            Err(Lost::Sent(trouble)) => {
                stay.resume(worker, since);
                if let Some(refusal) = state.body_refusal() {
                    return Err(refusal);
                }
                if connection.is_ended_by_us() {
                    record.excuse();
                } else {
                    worker.report(&upstream, trouble);
                }
                let unsent = connection.is_unsent();
                // Silence and nonsense are no sign of a connection that was about to close: a fresh one would bring more of them.
                let reset = trouble == Trouble::Reset;
                let is_stale = reset && stale.meet(&upstream, &connection, unsent);
                let allowed = unsent
                    || ((may_repeat || (repeatable && is_stale))
                        && loss::withdraw_retry(worker, &upstream, &connection));
                // A dying zone can use up all retries before the probes have seen that it is dead.
                let last_resort = !allowed && reset && repeatable && !crossed && view.has_standby();
                let again = spare.filter(|_| allowed || last_resort);
                let again = again.and_then(Spare::unpack);
                let counts = !unsent || again.is_none();
                if counts && !connection.takes_blame() {
                    record.excuse();
                }
                let Some(again) = again else {
                    return Err(Refusal::Upstream(trouble));
                };
                record.again(if is_stale {
                    Retry::Stale
                } else {
                    trouble.into()
                });
                if !unsent {
                    record.lost(Ending::Broken);
                }
                failed = (!unsent).then_some(Failure {
                    trouble,
                    epoch,
                    granted: allowed,
                });
                if last_resort {
                    crossed = true;
                    tried.extend(view.backends_of(pool));
                } else if !is_stale {
                    // A stale one costs no retry, as with nginx.
                    retries += u32::from(!unsent);
                    tried.push(upstream.id);
                }
                request = again;
            }
            Err(Lost::NoTunnel) => return Err(Refusal::NoTunnel),
            Err(Lost::Unsayable) => return Err(Refusal::BadTarget),
            Err(Lost::Left) => {
                record.excuse();
                return Err(Refusal::Drained);
            }
            Err(Lost::Abandoned) => {
                stay.resume(worker, since);
                // The flip's own retry is not the kind that multiplies load, so it costs no budget.
                let Some(again) = spare.and_then(Spare::unpack) else {
                    return Err(Refusal::Upstream(Trouble::ResponseTimeout));
                };
                record.again(Retry::Abandoned);
                record.lost(Ending::Broken);
                retries += 1;
                request = again;
            }
        }
    }
}
