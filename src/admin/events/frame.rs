//! Server-sent events as bytes (HTML Standard, 9.2.5).

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::journal::Entry;

pub(super) const TYPE: &str = "text/event-stream";
/// What a client that has lost its stream waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// The first words: a client that gets nothing else still knows where to go on.
pub(super) fn greeting(last: u64) -> Bytes {
    format!("retry: {}\nid: {last}\n\n", RETRY.as_millis()).into()
}

/// A journal entry. JSON has no line breaks of its own, so that one line holds it.
pub(super) fn entry(entry: &Entry) -> Bytes {
    format!(
        "event: journal\nid: {}\ndata: {}\n\n",
        entry.number, entry.json
    )
    .into()
}

/// An event without a number: there is nothing to go on after.
pub(super) fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Says nothing, so that both sides and all between them know that the stream lives.
pub(super) fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}
