//! What is remembered of a request until it ends: then one access-log line and one count.

mod call;
mod measure;
mod spans;
mod trace;
mod unread;
mod words;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body::Frame;

use super::exchange::Exchange;
use super::policy::Policy;
use super::trial::Side;
use super::view::Unserved;
use crate::config::{Coding, Config};
use crate::outcome::Ending;
use crate::proxy::backend::upstream::{InFlight, Upstream};
use crate::proxy::client::downstream::Cut;
use crate::proxy::message::headers::TraceContext;
use crate::proxy::message::identity::Identity;
use crate::telemetry::reason::{Reason, Retry};

use trace::Trace;
use words::Words;

/// See the module's promise.
pub(crate) struct Record {
    state: Rc<Exchange>,
    begun: Instant,
    /// The same in worker microseconds.
    begun_at: u64,
    method: Method,
    version: Version,
    status: u16,
    bytes_out: u64,
    termination: &'static str,
    identity: Option<Identity>,
    /// What its route says about it, if that is anything special.
    policy: Option<Rc<Policy>>,
    /// In which coding its client would like the response, where its route compresses.
    wish: Option<Coding>,
    /// A proxy that is trusted says that the client came over TLS.
    over_tls: bool,
    /// Where its client is sent instead.
    location: Option<Box<HeaderValue>>,
    /// The backend of the last attempt.
    upstream: Option<Rc<Upstream>>,
    /// Where it is counted while it has found no backend, once its pool is known.
    unserved: Option<Rc<Unserved>>,
    /// Why there will be another attempt, if there is one.
    retry: Option<Retry>,
    /// How far it is to blame for how the request ended.
    ending: Ending,
    /// The attempt takes part in a trial.
    on_trial: bool,
    /// Its part is counted already.
    counted: bool,
    retries: u32,
    /// Only while there is an access log: what it says besides.
    words: Option<Box<Words>>,
    /// Only if it is traced.
    trace: Option<Box<Trace>>,
    /// Since when it is held.
    held_since: Option<Instant>,
}

impl Record {
    /// A request head has come.
    pub(crate) fn begin<B>(
        state: &Rc<Exchange>,
        request: &Request<B>,
        begun: Instant,
    ) -> Box<Self> {
        let words = state
            .worker
            .is_logging()
            .then(|| Box::new(Words::of(state, request)));
        let mut record = Box::new(Self::new(state, begun));
        record.words = words;
        record.method.clone_from(request.method());
        record.version = request.version();
        record
    }

    fn new(state: &Rc<Exchange>, begun: Instant) -> Self {
        Self {
            state: Rc::clone(state),
            begun,
            begun_at: state.worker.micros(),
            method: Method::GET,
            version: Version::HTTP_11,
            status: 0,
            bytes_out: 0,
            termination: "--",
            identity: None,
            policy: None,
            wish: None,
            over_tls: false,
            location: None,
            upstream: None,
            unserved: None,
            retry: None,
            ending: Ending::Well,
            on_trial: false,
            counted: false,
            retries: 0,
            words: None,
            trace: None,
            held_since: None,
        }
    }

    pub(crate) fn state(&self) -> Rc<Exchange> {
        Rc::clone(&self.state)
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// `trace`: the id of the trace that the client has begun.
    pub(crate) fn identified(&mut self, identity: Identity, trace: Option<&str>) {
        if let Some(words) = &mut self.words {
            words.trace_id = trace.map(str::to_owned);
        }
        self.identity = Some(identity);
    }

    /// It is traced, as part of the trace that `came` with it or of one of its own.
    pub(in crate::proxy) fn traced<B>(
        &mut self,
        request: &Request<B>,
        came: Option<TraceContext>,
        client: IpAddr,
    ) {
        if let Some(identity) = &self.identity {
            self.trace = Some(Box::new(Trace::begin(request, came, identity, client)));
        }
    }

    /// Tells the backend of the attempt under way where in the trace it is, if there is one that is recorded.
    pub(in crate::proxy) fn sign(&self, headers: &mut HeaderMap) {
        if let Some(trace) = &self.trace {
            trace.sign(headers);
        }
    }

    /// Its route is known.
    pub(crate) fn governed(&mut self, policy: &Rc<Policy>) {
        self.policy = Some(Rc::clone(policy));
    }

    /// A proxy that is trusted says so.
    pub(crate) fn believed_over_tls(&mut self) {
        self.over_tls = true;
    }

    /// Whether the client came over TLS, to us or to a proxy that we trust.
    pub(crate) fn came_over_tls(&self) -> bool {
        self.over_tls || self.state.is_secured()
    }

    /// `None` also before its route is known.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// The coding that its response may have.
    pub(crate) fn wishes(&mut self, coding: Option<Coding>) {
        self.wish = coding;
    }

    /// The same.
    pub(crate) fn wish(&self) -> Option<Coding> {
        self.wish
    }

    /// Its client is to ask elsewhere.
    pub(crate) fn sent_on(&mut self, location: HeaderValue) {
        self.location = Some(Box::new(location));
    }

    /// Where.
    pub(crate) fn location(&self) -> Option<&HeaderValue> {
        self.location.as_deref()
    }

    /// How long it may wait for a zone.
    pub(crate) fn hold_time(&self, config: &Config) -> Duration {
        let policy = self.policy.as_deref();
        policy.map_or(config.failover.hold_time, |policy| policy.hold_time)
    }

    /// `None` before it is prepared.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// An attempt begins.
    pub(crate) fn attempt(&mut self, flight: &InFlight, epoch: u64) {
        if self.upstream.is_some() {
            self.retries += 1;
            let retry = self.retry.unwrap_or(Retry::Stale);
            self.state.worker.counters().retried(retry);
        }
        self.upstream = Some(Rc::clone(flight.upstream()));
        self.on_trial = flight.trial != Side::None;
        self.counted = false;
        if let Some(words) = &mut self.words {
            words.epoch = epoch;
        }
        if let Some(trace) = &mut self.trace {
            trace.attempt(flight.upstream(), epoch);
        }
    }

    /// The attempt has failed, and another one may follow: the failure is this backend's all the same, or what retries hide would
    /// never make it gray.
    pub(crate) fn lost(&mut self, ending: Ending) {
        self.ending = ending;
        self.count();
        self.ending = Ending::Well;
    }

    /// How the attempt ends says nothing about its backend.
    pub(crate) fn excuse(&mut self) {
        self.counted = true;
    }

    /// Its backend has answered, whatever comes of that.
    pub(in crate::proxy) fn heard(&mut self, status: StatusCode) {
        if let Some(trace) = &mut self.trace {
            trace.answered(status);
        }
    }

    fn count(&mut self) {
        if let Some(upstream) = &self.upstream
            && !self.counted
        {
            let worker = self.state.worker.index();
            upstream.count(worker, self.ending, self.on_trial);
            self.counted = true;
        }
    }

    pub(crate) fn connected(&mut self, took: Duration) {
        if let Some(words) = &mut self.words {
            words.connect = took;
        }
        if let Some(trace) = &mut self.trace {
            trace.connected(took);
        }
    }

    /// It is held from `since` on. Its client may leave meanwhile, and has been held all the same.
    pub(crate) fn hold_begins(&mut self, since: Instant) {
        self.held_since = Some(since);
    }

    /// It is held no more.
    pub(crate) fn held(&mut self) {
        let Some(since) = self.held_since.take() else {
            return;
        };
        if let Some(words) = &mut self.words {
            words.held += since.elapsed();
        }
        if let Some(trace) = &mut self.trace {
            trace.waited(since);
        }
    }

    /// The response head has come from the backend, just now unless there were other attempts.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        let bad = status.is_server_error();
        self.ending = if bad {
            Ending::ServerError
        } else {
            Ending::Well
        };
        if let Some(words) = &mut self.words {
            self.state.worker.glance();
            let took = self.state.worker.micros().saturating_sub(self.begun_at);
            words.first_byte = Duration::from_micros(took);
        }
    }

    /// firedoor answers by itself. `blame`: because of what the backend did.
    pub(crate) fn refused(
        &mut self,
        reason: Reason,
        status: StatusCode,
        termination: &'static str,
        blame: bool,
    ) {
        self.status = status.as_u16();
        self.termination = termination;
        self.ending = if blame { Ending::Broken } else { Ending::Well };
        self.state.worker.counters().refused(reason);
        if let Some(trace) = &mut self.trace {
            trace.refused(reason, blame);
        }
    }

    pub(crate) fn received(&mut self, bytes: u64) {
        if let Some(words) = &mut self.words {
            words.bytes_in += bytes;
        }
    }

    /// A part of the response's body went to the client.
    pub(crate) fn passed(&mut self, frame: &Frame<Bytes>) {
        match frame.trailers_ref() {
            Some(trailers) => self.told(trailers),
            None => self.sent(frame.data_ref().map_or(0, Bytes::len)),
        }
    }

    /// Body bytes went to the client.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// The response broke off on the backend's side.
    pub(crate) fn broke_off(&mut self) {
        self.termination = "SD";
        self.ending = Ending::Broken;
    }

    /// It ended otherwise: who, in which phase.
    pub(crate) fn ended(&mut self, termination: &'static str) {
        self.termination = termination;
    }

    /// The client left before the response was complete.
    pub(crate) fn left_by_client(&mut self) {
        if self.termination == "--" {
            self.termination = self.left();
        }
    }

    /// Who left before the response was complete, and in which phase.
    fn left(&self) -> &'static str {
        match (self.state.is_cut(), self.status) {
            (Some(Cut::Drain), 0) => "PH",
            (Some(Cut::Drain), _) => "PD",
            (_, 0) => "CH",
            (Some(Cut::Write), _) => "cD",
            _ if self.state.is_overdue() => "cD",
            _ => "CD",
        }
    }

    /// Writes the line and the counts. A record that is dropped instead writes them too; this only says so.
    pub(crate) fn finish(self) {}
}

impl Drop for Record {
    /// Also when the client leaves and hyper drops the request's future in the middle of it.
    fn drop(&mut self) {
        self.count();
        if self.status == 0 {
            self.termination = self.left();
        }
        self.held();
        let micros = self.measure();
        if let Some(words) = self.words.take() {
            self.write(&words, Duration::from_micros(micros));
        }
        if let Some(trace) = self.trace.take() {
            let worker = &self.state.worker;
            worker.trace(self.spans(&trace, worker.client_ip()));
        }
    }
}
