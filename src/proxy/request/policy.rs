//! What a route and its pool say about requests besides where they go, digested once for one worker. Most say nothing, and have none.
//!
//! In this order: from cleartext to TLS, an answer of firedoor's own ([`answer`]), the path's prefix and the request's fields ([`edits`]), then what the
//! route sets otherwise than everything else. On the way back: the response's fields, and pages for people ([`page`]).

pub(crate) mod answer;
pub(crate) mod edits;
pub(crate) mod page;

use std::rc::Rc;
use std::time::Duration;

use http::header::{STRICT_TRANSPORT_SECURITY, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};

use super::body::compressed::Compressor;
use super::error::Refusal;
use super::record::Record;
use super::redirect;
use crate::config::{Compression, Config, Limits, Route, Upstream};
use crate::proxy::message::coding;
use answer::Answer;
use edits::{FieldEdits, PrefixEdit};
use page::Pages;

/// See the module's promise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// At which port what comes in cleartext is to come over TLS.
    pub(crate) https: Option<u16>,
    answer: Option<Answer>,
    prefix: Option<PrefixEdit>,
    /// Of requests.
    pub(crate) request: FieldEdits,
    /// Of responses.
    pub(crate) response: FieldEdits,
    hsts: Option<HeaderValue>,
    compression: Option<Compression>,
    /// Instead of firedoor's own words.
    pub(crate) pages: Pages,
    /// `[upstream]`, with what the route sets otherwise.
    upstream: Upstream,
    /// Of request bodies.
    pub(crate) bounds: BodyBounds,
    /// How long a request may wait for a zone.
    pub(crate) hold_time: Duration,
    /// Whether `Idempotency-Key` makes a request idempotent.
    pub(crate) idempotency_key: bool,
}

impl Policy {
    /// `None`: neither `route` nor `pool` (an index into the pools of `config`) says anything special.
    pub(crate) fn of(
        route: Option<&Route>,
        pool: Option<usize>,
        config: &Config,
    ) -> Option<Rc<Self>> {
        let usual = BodyBounds::of(&config.limits);
        let mut policy = Self {
            https: None,
            answer: None,
            prefix: None,
            request: FieldEdits::default(),
            response: FieldEdits::default(),
            hsts: None,
            compression: None,
            pages: Pages::of(pool.map(|pool| &config.pools[pool])),
            upstream: config.upstream.clone(),
            bounds: usual,
            hold_time: config.failover.hold_time,
            idempotency_key: false,
        };
        let plain = policy.clone();
        if let Some(route) = route {
            let own = &route.overrides;
            let upstream = &mut policy.upstream;
            replace(&mut upstream.connect_timeout, own.connect_timeout);
            replace(&mut upstream.response_timeout, own.response_timeout);
            replace(&mut upstream.retries, own.retries);
            replace(&mut upstream.retry_on_status, own.retry_on_status.clone());
            replace(&mut policy.hold_time, own.hold_time);
            policy.bounds = BodyBounds {
                max: own.max_body_size.map_or(usual.max, unlimited),
                timeout: own.body_timeout.unwrap_or(usual.timeout),
            };
            policy.idempotency_key = own.idempotency_key;
            policy.https = route.https;
            policy.answer = route.answer.as_ref().map(Answer::new);
            policy.prefix = route.prefix.as_ref().and_then(PrefixEdit::new);
            policy.request = FieldEdits::new(&route.request_headers);
            policy.response = FieldEdits::new(&route.response_headers);
            policy.compression.clone_from(&route.compression);
            policy.hsts = route.hsts.map(redirect::promise);
        }
        (policy != plain || !policy.pages.is_empty()).then(|| Rc::new(policy))
    }

    /// How backends are talked to for requests with this policy, or with none.
    pub(crate) fn upstream<'a>(policy: Option<&'a Self>, config: &'a Config) -> &'a Upstream {
        policy.map_or(&config.upstream, |policy| &policy.upstream)
    }

    /// Turns the request away, if the answer is firedoor's own; otherwise changes its target as it goes on.
    pub(crate) fn meet<B>(
        &self,
        request: &mut Request<B>,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        if let Some(prefix) = &self.prefix {
            prefix.apply(request.uri_mut()).ok_or(Refusal::BadTarget)?;
        }
        if let Some(compression) = &self.compression {
            let version = request.version();
            record.wishes(coding::wish(
                request.headers(),
                version,
                &compression.codings,
            ));
        }
        match &self.answer {
            None => Ok(()),
            Some(answer)
                if answer.is_success()
                    && request.version() == Version::HTTP_2
                    && request.headers().contains_key(UPGRADE) =>
            {
                Err(Refusal::NoTunnel)
            }
            Some(answer) => Err(answer.refusal(request, record)),
        }
    }

    /// What the client gets to see of a response's fields.
    pub(crate) fn finish(&self, headers: &mut HeaderMap, over_tls: bool) {
        self.response.apply(headers);
        if let Some(hsts) = &self.hsts
            && over_tls
            && !headers.contains_key(STRICT_TRANSPORT_SECURITY)
        {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    /// Brings the fields of a response in line with how its body will be sent. `None`: as it is.
    pub(crate) fn compress(
        &self,
        status: StatusCode,
        headers: &mut HeaderMap,
        record: &Record,
    ) -> Option<Compressor> {
        let compression = self.compression.as_ref()?;
        let mut compressor = None;
        let room = |coding| {
            // HEAD has the fields of GET, and no body (RFC 9110 9.3.2).
            if !record.is_head() {
                compressor = Compressor::new(coding, record.state());
            }
            record.is_head() || compressor.is_some()
        };
        coding::settle(status, headers, compression, record.wish(), room);
        compressor
    }

    /// The answer that is the same for all.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }
}

/// What a request's body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyBounds {
    /// Bytes.
    pub(crate) max: u64,
    /// Between two reads.
    pub(crate) timeout: Duration,
}

impl BodyBounds {
    /// Where no route says otherwise.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            max: unlimited(limits.max_body_size),
            timeout: limits.body_timeout,
        }
    }
}

fn unlimited(max: Option<u64>) -> u64 {
    max.unwrap_or(u64::MAX)
}

fn replace<T>(value: &mut T, own: Option<T>) {
    if let Some(own) = own {
        *value = own;
    }
}
