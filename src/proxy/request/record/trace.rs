//! What is remembered of a request that is traced: its attempts, and when it waited.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::{HOST, HeaderMap};
use http::{HeaderValue, Request, StatusCode, Uri};

use crate::proxy::backend::upstream::Upstream;
use crate::proxy::message::headers::{self, TraceContext};
use crate::proxy::message::identity::Identity;
use crate::telemetry::reason::{Reason, Retry};

/// Attempts that are told of one by one. There are more only where nobody can be connected to for a long time.
const MOST: usize = 64;

/// Only there while the request is traced.
pub(super) struct Trace {
    pub(super) context: TraceContext,
    /// Of the span that is all of the request.
    pub(super) span: u64,
    pub(super) state: String,
    pub(super) client: IpAddr,
    pub(super) uri: Uri,
    pub(super) host: Option<HeaderValue>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) waits: Vec<Wait>,
    /// Why firedoor answers by itself, if it does.
    pub(super) reason: Option<Reason>,
}

/// One attempt at one backend.
pub(super) struct Attempt {
    pub(super) span: u64,
    pub(super) upstream: Rc<Upstream>,
    pub(super) epoch: u64,
    pub(super) begun: Instant,
    pub(super) connect: Option<Duration>,
    pub(super) ended: Option<Instant>,
    pub(super) status: Option<StatusCode>,
    /// Why it was in vain.
    pub(super) setback: Option<&'static str>,
}

/// Once that it waited for a backend.
pub(super) struct Wait {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    /// Attempts before it.
    pub(super) after: usize,
}

impl Trace {
    pub(super) fn begin<B>(
        request: &Request<B>,
        came: Option<TraceContext>,
        identity: &Identity,
        client: IpAddr,
    ) -> Self {
        let headers = request.headers();
        Self {
            context: came.unwrap_or_else(|| TraceContext::new(identity.trace_id())),
            span: fastrand::u64(1..),
            // Without a parent it means nothing.
            state: came.map_or_else(String::new, |_| state(headers)),
            client,
            uri: request.uri().clone(),
            host: headers.get(HOST).cloned(),
            attempts: Vec::new(),
            waits: Vec::new(),
            reason: None,
        }
    }

    pub(super) fn attempt(&mut self, upstream: &Rc<Upstream>, epoch: u64) {
        if self.attempts.len() == MOST {
            self.attempts.pop();
        }
        self.attempts.push(Attempt {
            span: fastrand::u64(1..),
            upstream: Rc::clone(upstream),
            epoch,
            begun: Instant::now(),
            connect: None,
            ended: None,
            status: None,
            setback: None,
        });
    }

    pub(super) fn connected(&mut self, took: Duration) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.connect = Some(took);
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = Some(status);
        }
    }

    /// There will be another attempt, for want of this one.
    pub(super) fn set_back(&mut self, retry: Retry) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended = Some(Instant::now());
            attempt.setback = (retry != Retry::Status).then_some(retry.as_str());
        }
    }

    /// firedoor answers by itself; `blame`: for what the last attempt was like.
    pub(super) fn refused(&mut self, reason: Reason, blame: bool) {
        self.reason = Some(reason);
        let last = self.attempts.last_mut().filter(|_| blame);
        if let Some(attempt) = last.filter(|attempt| attempt.ended.is_none()) {
            attempt.ended = Some(Instant::now());
            attempt.setback = Some(reason.as_str());
        }
    }

    pub(super) fn waited(&mut self, since: Instant) {
        let now = Instant::now();
        let after = self.attempts.len();
        let room = self.waits.len() < MOST;
        match self.waits.last_mut() {
            // Called in vain: for whoever looks at it, it has waited all the time.
            Some(wait) if wait.after == after => wait.ended = now,
            _ if !room => {}
            _ => self.waits.push(Wait {
                begun: since,
                ended: now,
                after,
            }),
        }
    }

    /// Tells the backend of the attempt under way where in the trace it is.
    pub(super) fn sign(&self, headers: &mut HeaderMap) {
        let span = self
            .attempts
            .last()
            .map_or(self.span, |attempt| attempt.span);
        headers.insert(headers::TRACEPARENT, self.context.onward(span, true));
    }
}

/// `tracestate` as it came.
fn state(headers: &HeaderMap) -> String {
    let values = headers.get_all(headers::TRACESTATE).iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    texts.join(",")
}
