//! Steps 2 to 4 of a request's life: admit, route, clean. Done once, however many attempts follow.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{EXPECT, HOST, HeaderMap, HeaderName, UPGRADE};
use http::{HeaderValue, Method, Request, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Limited};

use super::affinity::{Pin, Session};
use super::allowance;
use super::body::{ClientBody, Kept, RequestBody, Streamed};
use super::error::Refusal;
use super::exchange::{BodyTrouble, Exchange};
use super::policy::{BodyBounds, Policy};
use super::record::Record;
use super::redirect;
use super::retry;
use super::route::Lookup;
use super::sampling;
use super::view::View;
use crate::config::{self, Config};
use crate::proxy::backend::upstream::InFlight;
use crate::proxy::message::headers::{self, Additions};
use crate::proxy::message::identity::Identity;
use crate::proxy::message::survey::{self, Flaw, Survey};
use crate::zone::ComponentId;

/// A request that is ready for its first attempt.
pub(crate) struct Prepared {
    /// By `routed`'s configuration.
    pool: usize,
    pub(crate) priority: u8,
    /// What the route says besides.
    policy: Option<Rc<Policy>>,
    /// What the request was routed by.
    routed: Rc<View>,
    pub(crate) idempotent: bool,
    /// It asks for nothing to be changed.
    pub(crate) safe: bool,
    /// The protocols that it offers to go on with; `None`: it offers none.
    pub(crate) protocols: Option<Box<HeaderValue>>,
    pub(crate) expects: bool,
    /// The client's version.
    pub(crate) version: Version,
    found: Survey,
    /// `None`: its pool has no sticky sessions.
    pub(crate) session: Option<Session>,
}

impl Prepared {
    /// How backends are talked to for this request.
    pub(crate) fn upstream<'a>(&'a self, config: &'a Config) -> &'a config::Upstream {
        Policy::upstream(self.policy.as_deref(), config)
    }

    /// Whether the connection may go on as `answer`, a 101, says: only with a protocol that was offered (RFC 9110 7.8).
    pub(crate) fn may_switch(&self, answer: &HeaderMap) -> bool {
        self.protocols
            .as_ref()
            .is_some_and(|offered| headers::is_offered(offered, answer))
    }

    /// Adds what the app may rely on to `headers`, for an attempt by `view`.
    pub(crate) fn dress(
        &self,
        headers: &mut HeaderMap,
        state: &Exchange,
        identity: &Identity,
        (view, flight): (&View, &InFlight),
    ) {
        headers::add_to_request(
            headers,
            &self.found,
            &Additions {
                client: &state.client,
                trusted: state.trusted,
                client_ip: view.snapshot.config.upstream.client_ip,
                forwarding: view.snapshot.config.upstream.forwarded,
                scheme: state.scheme,
                version: self.version,
                identity,
            },
        );
        headers::stamp(headers, view.zone_of(flight), &view.epoch);
        if self.version == Version::HTTP_10
            && !headers.contains_key(HOST)
            && let Some(address) = flight.upstream().address
            && let Ok(host) = HeaderValue::try_from(address.to_string())
        {
            // HTTP/1.0 may come without; HTTP/1.1 must not go without.
            headers.insert(HOST, host);
        }
        if let Some(certificate) = state.certificate.get() {
            certificate.put_into(headers);
        }
        if let Some(session) = &self.session {
            session.learn_scheme(headers);
        }
    }

    /// What the response of `backend` has to say about the session. Boxed, so that the answers of other pools carry no room for it.
    pub(crate) fn pin(&self, view: &View, pool: usize, backend: ComponentId) -> Option<Box<Pin>> {
        let pin = view.affinity(pool)?.pin(self.session.as_ref()?, backend);
        Some(Box::new(pin))
    }
}

impl Prepared {
    /// The request's pool in `view`. A reload may have moved it or removed it while the request waited, and an index of the old
    /// configuration would lead to another application.
    pub(crate) fn pool_in(&self, view: &View) -> Result<usize, Refusal> {
        let (old, new) = (&self.routed.snapshot.config, &view.snapshot.config);
        if Arc::ptr_eq(old, new) {
            return Ok(self.pool);
        }
        let name = &old.pools[self.pool].name;
        new.pools
            .iter()
            .position(|pool| pool.name == *name)
            .ok_or(Refusal::UnknownHost)
    }
}

/// Steps 2 to 4: everything that is done once, however many attempts there are.
/// The request stays where it is, since it is large, and gets its body at the end: all of `incoming`, or what can stand for it. Where it is
/// refused before, that is left.
pub(crate) async fn prepare<B: Body + Into<ClientBody>>(
    state: &Rc<Exchange>,
    request: &mut Request<RequestBody>,
    incoming: &mut Option<B>,
    found: Survey,
    record: &mut Record,
) -> Result<Prepared, Refusal> {
    let worker = &state.worker;
    let view = worker.view();
    let config = &view.snapshot.config;
    worker.count_request();
    identify(state, request.headers(), &found, record);
    if config.traces.collector.is_some() {
        sampling::consider(state, request, &found, config, record);
    }

    // 2. admit
    if let Some(flaw) = state.flaw() {
        return Err(flaw);
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > config.limits.max_header_size {
        return Err(Refusal::LongTarget);
    }
    if target + found.size > config.limits.max_header_size {
        return Err(Refusal::LargeHead);
    }
    // HTTP/1.1's own parser has seen to that already.
    if request.headers().len() > config.limits.max_headers {
        return Err(Refusal::LargeHead);
    }
    if let Some(flaw) = survey::flaw(request.headers(), &found, request.version()) {
        return Err(Refusal::Flawed(flaw));
    }
    normalise_target(request)?;
    limit_forwards(request)?;

    // 3. route
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    if let Some(port) = state.redirect {
        allowance::request(state, request.headers(), &view, None)?;
        return Err(over_tls(host, request.uri(), port, record));
    }
    let found_goal = view.routes.lookup(host, request.uri().path());
    if let Lookup::To(goal) = &found_goal
        && let Some(policy) = &goal.policy
    {
        // Before anything that may be refused: the answer to that has the route's fields and the pool's pages, too.
        record.governed(policy);
    }
    allowance::request(state, request.headers(), &view, found_goal.rated())?;
    let goal = match found_goal {
        Lookup::To(goal) => goal,
        Lookup::UnknownHost => return Err(Refusal::UnknownHost),
        Lookup::NoPath => return Err(Refusal::NoRoute),
        Lookup::BadPath => return Err(Refusal::BadTarget),
    };
    if !state.is_at_home(host) {
        return Err(Refusal::Misdirected);
    }
    let policy = goal.policy;
    if let Some(policy) = &policy {
        if state.trusted && headers::is_https(request.headers()) {
            record.believed_over_tls();
        }
        // Where a trusted proxy ends TLS, sending the client there again would never end.
        if let Some(port) = policy.https
            && !record.came_over_tls()
        {
            return Err(over_tls(host, request.uri(), port, record));
        }
        policy.meet(request, record)?;
    }
    let bounds = match &policy {
        Some(policy) => policy.bounds,
        None => BodyBounds::of(&config.limits),
    };
    let known_length = incoming.as_ref().map_or(Some(0), |b| b.size_hint().exact());
    if known_length > Some(bounds.max) {
        return Err(Refusal::Body(BodyTrouble::TooLarge));
    }

    // 4. clean; what we add is added for each attempt, so that a copy for a retry need not carry it
    let upgrade = headers::wants_upgrade(request.headers(), &found, request.version());
    let protocols = if upgrade {
        request.headers().get(UPGRADE).cloned().map(Box::new)
    } else {
        None
    };
    let mut expects = headers::expects_continue(request.headers(), &found);
    if found.expect && request.version() < Version::HTTP_11 {
        // RFC 9110 10.1.1: to be ignored.
        request.headers_mut().remove(EXPECT);
        expects = false;
    }
    let mut named = if found.names_fields() {
        headers::named_by_connection(request.headers())
    } else {
        Vec::new()
    };
    headers::clean_request(request.headers_mut(), &found, state.trusted, upgrade);
    if found.claim && state.is_secured() {
        headers::strip_certificates(request.headers_mut());
    }
    headers::disguise(request.headers_mut(), config.upstream.client_ip);
    let session = view
        .affinity(goal.pool)
        .map(|affinity| affinity.take(request.headers_mut()));

    if let Some(policy) = &policy {
        policy.request.apply_to_request(request.headers_mut());
        named.extend(policy.request.displaced());
    }
    let keyed = policy.as_ref().is_some_and(|p| p.idempotency_key);
    // Also where it asks for another protocol: there is none before a 101, and that ends all attempts.
    let idempotent = retry::is_idempotent(request.method())
        || (keyed && headers::has_idempotency_key(request.headers()));
    let safe = request.method().is_safe() && !upgrade;
    let prepared = Prepared {
        pool: goal.pool,
        priority: goal.priority,
        policy,
        routed: Rc::clone(&view),
        idempotent,
        safe,
        protocols,
        expects,
        version: request.version(),
        found,
        session,
    };
    let replay_buffer = config.upstream.replay_buffer;
    drop(view);
    request.extensions_mut().clear();
    *request.body_mut() = match incoming.take() {
        Some(incoming) if known_length != Some(0) => {
            if !expects && known_length.is_some_and(|length| length <= replay_buffer as u64) {
                Box::pin(keep(state, incoming.into(), replay_buffer, bounds, named)).await?
            } else {
                RequestBody::Streamed(Box::new(Streamed::new(
                    incoming.into(),
                    Rc::clone(state),
                    bounds,
                    expects,
                    named,
                )))
            }
        }
        _ => RequestBody::Empty,
    };
    Ok(prepared)
}

/// Sends the request on to the same host, over TLS at `port`.
fn over_tls(host: &str, target: &Uri, port: u16, record: &mut Record) -> Refusal {
    match redirect::over_tls(host, target, port) {
        Some(location) => {
            record.sent_on(location);
            Refusal::Redirect
        }
        None => Refusal::Flawed(Flaw::Host),
    }
}

/// Reads a small body whole, so that the request can be sent again.
async fn keep(
    state: &Rc<Exchange>,
    incoming: ClientBody,
    max: usize,
    bounds: BodyBounds,
    named: Vec<HeaderName>,
) -> Result<RequestBody, Refusal> {
    let streamed = Streamed::new(incoming, Rc::clone(state), bounds, false, named);
    let limited = Limited::new(RequestBody::Streamed(Box::new(streamed)), max);
    match limited.collect().await {
        Ok(collected) => Ok(RequestBody::Kept(Some(Rc::new(Kept {
            trailers: collected.trailers().cloned(),
            data: collected.to_bytes(),
        })))),
        Err(_) => Err(state
            .body_refusal()
            .unwrap_or(Refusal::Body(BodyTrouble::Broken))),
    }
}

/// `X-Request-Id` and `traceparent`: taken over from a trusted peer, made otherwise. A client's own trace context is passed on: it
/// names no person and grants nothing.
fn identify(state: &Exchange, headers: &HeaderMap, found: &Survey, record: &mut Record) {
    let kept = if found.has_request_id() && state.trusted {
        headers.get(headers::X_REQUEST_ID).cloned()
    } else {
        None
    };
    let known = if found.has_traceparent() {
        headers
            .get(headers::TRACEPARENT)
            .and_then(headers::trace_id)
    } else {
        None
    };
    record.identified(Identity::new(kept, known.is_some()), known);
}

/// Origin form towards the backend (RFC 9112 3.2.1), with the authority of an absolute form in `Host` (3.2.2).
fn normalise_target<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Method);
    }
    let uri = request.uri();
    if let Some(authority) = uri.authority() {
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || !survey::is_host(authority.as_str().as_bytes())
        {
            return Err(Refusal::BadTarget);
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::BadTarget)?;
        let target = uri.path_and_query().cloned();
        // RFC 9112 3.2.4: OPTIONS for an absolute target that has no path at all is about the whole server.
        let whole_server = request.method() == Method::OPTIONS
            && target == Uri::from_static("http://a").path_and_query().cloned();
        request.headers_mut().insert(HOST, host);
        *request.uri_mut() = match target {
            Some(target) if !whole_server => Uri::from(target),
            Some(_) => Uri::from_static("*"),
            None => Uri::from_static("/"),
        };
    }
    let path = request.uri().path();
    let whole_server = path == "*" && request.method() == Method::OPTIONS;
    if !path.starts_with('/') && !whole_server {
        return Err(Refusal::BadTarget);
    }
    Ok(())
}

/// RFC 9110 7.6.2: counts `Max-Forwards` down; at 0 the request ends here, and here is nothing that could answer it.
fn limit_forwards<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    if !matches!(*request.method(), Method::OPTIONS | Method::TRACE) {
        return Ok(());
    }
    match headers::max_forwards(request.headers()) {
        None => Ok(()),
        Some(0) if request.method() == Method::OPTIONS => Err(Refusal::Options),
        Some(0) => Err(Refusal::Method),
        Some(left) => {
            request
                .headers_mut()
                .insert(http::header::MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
    }
}
