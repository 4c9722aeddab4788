//! What a route says about its requests besides where they go, digested once for one worker. Most routes say nothing, and have none.

use std::time::Duration;

use crate::config::{Config, Limits, Route, Upstream};

/// See the module's promise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// `[upstream]`, with what the route sets otherwise.
    upstream: Upstream,
    /// Of request bodies.
    pub(crate) allowance: Allowance,
    /// How long a request may wait for a zone.
    pub(crate) hold_time: Duration,
    /// Whether `Idempotency-Key` makes a request idempotent.
    pub(crate) idempotency_key: bool,
}

impl Policy {
    /// `None`: `route` is nothing special.
    pub(crate) fn of(route: &Route, config: &Config) -> Option<Self> {
        let own = &route.overrides;
        if *own == Default::default() {
            return None;
        }
        let mut upstream = config.upstream.clone();
        replace(&mut upstream.connect_timeout, own.connect_timeout);
        replace(&mut upstream.response_timeout, own.response_timeout);
        replace(&mut upstream.retries, own.retries);
        replace(&mut upstream.retry_on_status, own.retry_on_status.clone());
        let usual = Allowance::of(&config.limits);
        Some(Self {
            upstream,
            allowance: Allowance {
                max: own.max_body_size.map_or(usual.max, unlimited),
                timeout: own.body_timeout.unwrap_or(usual.timeout),
            },
            hold_time: own.hold_time.unwrap_or(config.failover.hold_time),
            idempotency_key: own.idempotency_key,
        })
    }

    /// How backends are talked to for requests with this policy, or with none.
    pub(crate) fn upstream<'a>(policy: Option<&'a Self>, config: &'a Config) -> &'a Upstream {
        policy.map_or(&config.upstream, |policy| &policy.upstream)
    }
}

/// What a request's body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bytes.
    pub(crate) max: u64,
    /// Between two reads.
    pub(crate) timeout: Duration,
}

impl Allowance {
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
