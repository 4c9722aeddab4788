//! `/v1/drill`: what an order for a drill must say.

use std::time::Duration;

use serde_json::{Map, Value};

use super::api::bad_request;
use super::order::reason;
use super::problem::Problem;
use crate::config::parse::duration;
use crate::health::checker::Command;

/// Shorter, and nothing is learnt.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longer, and it is no drill: the preferred zone would be forgotten.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// `{"zone": "fz-1", "for": "10m", "reason": "…"}`
pub(super) fn begin(mut members: Map<String, Value>) -> Result<Command, Problem> {
    let zone = text(&mut members, "zone")?.ok_or_else(|| bad_request("\"zone\" is missing"))?;
    let length = text(&mut members, "for")?
        .ok_or_else(|| bad_request("\"for\" is missing: how long, like \"10m\""))?;
    let length = length_of(&length).map_err(|wrong| bad_request(format!("\"for\": {wrong}")))?;
    let reason = reason(&mut members)?;
    all_known(&members, "\"zone\", \"for\" and \"reason\"")?;
    Ok(Command::Drill {
        zone,
        length,
        reason,
    })
}

/// How long a drill is to be. `Err`: why it can't be that.
pub(crate) fn length_of(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if (SHORTEST..=LONGEST).contains(&length) {
        Ok(length)
    } else {
        Err("it must be from 1s to 24h".to_owned())
    }
}

/// `{"reason": "…"}`
pub(super) fn abort(mut members: Map<String, Value>) -> Result<Command, Problem> {
    let reason = reason(&mut members)?;
    all_known(&members, "\"reason\"")?;
    Ok(Command::AbortDrill { reason })
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => {
            Err(bad_request(format!("{name:?} is empty")))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad_request(format!("{name:?} must be a string"))),
    }
}

fn all_known(members: &Map<String, Value>, known: &str) -> Result<(), Problem> {
    match members.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(bad_request(format!(
            "unknown member {unknown:?}; known are {known}"
        ))),
    }
}
