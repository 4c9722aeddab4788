//! `/v1/traffic`: what flows now.

use serde_json::{Value, json};

use super::status::timestamp;
use crate::telemetry::traffic::{Flow, Rates, Traffic};

/// The answer to `/v1/traffic`. Numbers have as many digits as mean something.
pub(super) fn traffic(traffic: &Traffic) -> Value {
    let by_proxy = traffic.by_proxy.iter();
    let by_proxy: Value = by_proxy
        .map(|(reason, rate)| (reason.as_str(), rounded(*rate)))
        .collect();
    let zones = traffic.zones.iter().map(|zone| {
        let pools = zone.pools.iter().map(|(name, flow)| named(name, flow));
        let mut value = named(&zone.name, &zone.flow);
        value["pools"] = pools.collect();
        value
    });
    let Rates { requests, errors } = traffic.rates;
    json!({
        "at": timestamp(traffic.at),
        "seconds": rounded(traffic.seconds),
        "requests_per_second": rounded(requests),
        "errors_per_second": rounded(errors),
        "by_proxy_per_second": by_proxy,
        "held": traffic.held,
        "connections": {"downstream": traffic.downstream, "upstream": traffic.upstream},
        "zones": zones.collect::<Vec<_>>(),
    })
}

fn named(name: &str, flow: &Flow) -> Value {
    json!({
        "name": name,
        "requests_per_second": rounded(flow.rates.requests),
        "errors_per_second": rounded(flow.rates.errors),
        "in_flight": flow.in_flight,
        "p50_ms": flow.p50.map(rounded),
        "p99_ms": flow.p99.map(rounded),
    })
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
