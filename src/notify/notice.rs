//! What is told: an event in JSON, made once for everybody.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Occasion;
use crate::health::report::{Event, What};
use crate::journal::Entry;

/// One event, for whoever wants to know of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) occasion: Occasion,
    /// The sentence.
    pub(super) message: String,
    /// All of it, as JSON.
    pub(super) body: Bytes,
}

impl Notice {
    /// `None`: nobody can want to be told of that. The entry itself, and by which name it is told.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let event = entry.event.as_ref()?;
        Some(Self::new(
            occasion(event)?,
            event.to_string(),
            entry.json.clone(),
        ))
    }

    /// What isn't in the journal.
    pub(super) fn beside(occasion: Occasion, at: Timestamp, message: String) -> Self {
        let kind = occasion.as_str().replace('-', "_");
        let value =
            json!({"number": null, "at": at.to_string(), "kind": kind, "message": &message});
        Self::new(occasion, message, value)
    }

    fn new(occasion: Occasion, message: String, mut value: Value) -> Self {
        value["event"] = occasion.as_str().into();
        value["firedoor"] = env!("CARGO_PKG_VERSION").into();
        Self {
            occasion,
            message,
            body: value.to_string().into(),
        }
    }
}

fn occasion(event: &Event) -> Option<Occasion> {
    match &event.what {
        What::Flip(_) => Some(Occasion::Flip),
        What::FlipAborted { .. } => Some(Occasion::FlipGivenUp),
        What::NowhereToGo { .. } => Some(Occasion::NowhereToGo),
        What::Standby { ready: false, .. } => Some(Occasion::StandbyLost),
        What::Standby { ready: true, .. } => Some(Occasion::StandbyReady),
        What::Withheld { rule, .. } => {
            (*rule == "max_flips_per_hour").then_some(Occasion::BudgetUsedUp)
        }
        What::FailbackPossible { .. } => Some(Occasion::FailbackPossible),
        What::DrillEnded(_) => Some(Occasion::DrillEnded),
        What::Transition { .. }
        | What::OperatorState { .. }
        | What::Verdict { .. }
        | What::FlipBegun { .. }
        | What::Promotion { .. }
        | What::Gray { .. }
        | What::DrillBegun { .. }
        | What::Started(_)
        | What::Stopped { .. }
        | What::Order(_)
        | What::Pin { .. }
        | What::Reloaded { .. } => None,
    }
}
