//! The fields of a start.

use serde_json::{Value, json};

use crate::health::report::{LastEnd, Source, Start};

pub(super) fn started(start: &Start) -> Value {
    json!({
        "version": start.version,
        "zone": &*start.zone,
        "recalled_from": start.recalled.map(Source::as_str),
        "last_end": start.last_end.map(LastEnd::as_str),
    })
}
