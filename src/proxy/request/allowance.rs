//! What each client may take: requests and connections in a time, connections at once.
//!
//! A client is an address, as far as [`RateKey`] looks at it: that of the connection, or where a peer is trusted, the one that it
//! names. All workers share the two tables, since one client's connections are spread over them in no particular way; a share
//! for each worker would allow some clients a fraction and others a multiple. Whoever has no limits never touches them.

mod buckets;
mod places;

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;

use super::error::Refusal;
use super::view::View;
use crate::config::{HostPattern, PerClient, Rate, RateKey};
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::visitor::Visitor;
use crate::worker::Worker;
use buckets::Buckets;
use places::{Place, Places};

/// What all clients have taken, over all workers. Cheap to clone. The memory comes with the first limit that is looked at: 1 MiB for
/// rates and 1 MiB for connections at once, and never more, however many clients there are.
#[derive(Clone, Debug, Default)]
pub struct Allowances(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Nobody outside knows who shares a line with whom.
    seed: RandomState,
    buckets: OnceLock<Buckets>,
    places: OnceLock<Arc<Places>>,
}

/// What is counted, each by itself.
#[derive(Clone, Copy, Debug, Hash)]
enum Kind<'a> {
    Requests,
    /// Of the route with this host and path, which stays the same over reloads.
    RequestsOf(&'a Option<HostPattern>, &'a str),
    Connections,
    ConnectionsAtOnce,
}

/// Why a connection is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// `connection_rate`
    Rate,
    /// `max_connections_per_client`
    Number,
}

impl Allowances {
    /// Takes one of `kind` from what `client` may have at `now` (microseconds of the workers' clock). `Err`: microseconds until
    /// there will be one.
    fn take(&self, kind: Kind<'_>, client: u128, rate: Rate, now: u64) -> Result<(), u64> {
        let buckets = self.0.buckets.get_or_init(Buckets::new);
        buckets.take(self.0.seed.hash_one((kind, client)), rate, now)
    }

    fn enter(&self, client: u128, max: u32) -> Option<Place> {
        let places = self.0.places.get_or_init(Arc::default);
        let hash = self.0.seed.hash_one((Kind::ConnectionsAtOnce, client));
        Places::enter(places, hash, max)
    }
}

/// Lets a request in, or says when to come back. `own`: the index of its route, if that has a rate of its own, which then counts
/// instead of everybody's.
pub(in crate::proxy) fn request(
    state: &Downstream,
    headers: &HeaderMap,
    view: &View,
    own: Option<usize>,
) -> Result<(), Refusal> {
    let config = &view.snapshot.config;
    let limits = &config.limits.per_client;
    let (kind, rate) = match own {
        Some(index) => {
            let route = &config.routes[index];
            (Kind::RequestsOf(&route.host, &route.path), route.rate)
        }
        None => (Kind::Requests, limits.requests),
    };
    let Some(rate) = rate else {
        return Ok(());
    };
    let client = state.client_of(headers, config.upstream.forwarded);
    if is_exempt(limits, client) {
        return Ok(());
    }
    let worker = &state.worker;
    let allowances = worker.allowances();
    let taken = allowances.take(kind, key(client, limits.key), rate, worker.micros());
    taken.map_err(|wait| {
        worker.counters().limited.add(1);
        // Rounded up: who comes back then finds what it was promised.
        Refusal::Limited(u32::try_from(wait.div_ceil(1_000_000)).unwrap_or(u32::MAX))
    })
}

/// Lets a connection in. What is returned is its place among its client's, to be dropped with it.
///
/// Not for peers that are trusted: theirs are many clients' connections.
pub(in crate::proxy) fn connection(
    worker: &Worker,
    visitor: &Visitor,
) -> Result<Option<Place>, Excess> {
    let view = worker.view();
    let limits = &view.limits().per_client;
    if limits.connections.is_none() && limits.max_connections.is_none() {
        return Ok(None);
    }
    let client = visitor.address.ip().to_canonical();
    if visitor.trusted || is_exempt(limits, client) {
        return Ok(None);
    }
    let client = key(client, limits.key);
    let place = match limits.max_connections {
        Some(max) => {
            let place = worker.allowances().enter(client, max.get());
            Some(place.ok_or(Excess::Number)?)
        }
        None => None,
    };
    if let Some(rate) = limits.connections {
        worker.tick();
        let taken = worker
            .allowances()
            .take(Kind::Connections, client, rate, worker.micros());
        taken.map_err(|_| Excess::Rate)?;
    }
    Ok(place)
}

fn is_exempt(limits: &PerClient, client: IpAddr) -> bool {
    limits.exempt.iter().any(|net| net.contains(&client))
}

/// The part of an address that makes a client.
fn key(address: IpAddr, how: RateKey) -> u128 {
    let (address, kept) = match (address, how) {
        (IpAddr::V4(v4), RateKey::Full) => (v4.to_ipv6_mapped(), 128),
        (IpAddr::V4(v4), RateKey::Masked) => (v4.to_ipv6_mapped(), 96 + 24),
        (IpAddr::V6(v6), RateKey::Full) => (v6, 64),
        (IpAddr::V6(v6), RateKey::Masked) => (v6, 48),
    };
    let all: u128 = Ipv6Addr::to_bits(address);
    all & (u128::MAX << (128 - kept))
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rate => "its connections come faster than connection_rate",
            Self::Number => "it has max_connections_per_client already",
        })
    }
}

#[cfg(test)]
mod tests;
