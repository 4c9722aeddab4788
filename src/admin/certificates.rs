//! The certificates that listeners show, and how it stands with those that are obtained by ACME.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::status::timestamp;
use crate::config::{Certificate, Config, Listener};
use crate::serve::acme::OrderBook;

/// `certificates` of `/v1/status`: all that are in force.
pub(super) fn in_force(config: &Config, now: Timestamp) -> Value {
    config
        .listeners
        .iter()
        .flat_map(|listener| of_listener(listener, now))
        .collect()
}

fn of_listener(listener: &Listener, now: Timestamp) -> Vec<Value> {
    let Some(server) = &listener.tls else {
        return Vec::new();
    };
    let value = |source: &str, certificate: &Certificate| {
        let validity = certificate.validity();
        json!({
            "listener": listener.bind.to_string(),
            "source": source,
            "names": certificate.names(),
            "not_before": second(validity.from),
            "not_after": second(validity.until),
            "flaw": validity.flaw(now),
        })
    };
    let mut values: Vec<Value> = server
        .certificates()
        .iter()
        .map(|certificate| value("file", certificate))
        .collect();
    let acquired = server.all_acquired();
    values.extend(
        acquired
            .iter()
            .map(|certificate| value("acme", certificate)),
    );
    values
}

/// `acme` of `/v1/status`.
pub(super) fn orders(orders: &OrderBook) -> Value {
    orders
        .entries()
        .into_iter()
        .map(|entry| {
            json!({
                "name": entry.name,
                "directory": entry.directory,
                "state": entry.stage.as_str(),
                "not_after": second(entry.until),
                "next_order": entry.next.map(timestamp),
                "failures": entry.failures,
                "error": entry.trouble.map(|(at, text)| json!({"time": timestamp(at), "text": text})),
                "stored": entry.stored,
            })
        })
        .collect()
}

fn second(at: Option<i64>) -> Option<String> {
    Timestamp::from_second(at?).ok().map(|at| at.to_string())
}
