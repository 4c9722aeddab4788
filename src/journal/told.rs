//! What a journal entry tells that a replay can use, read back from its line.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::line::cause;
use super::outcomes::{Names, from_milliseconds, operator, outcome, time};
use crate::health::checker::Promoted;
use crate::health::recording::RecordedFlip;
use crate::health::report::Cause;
use crate::outcome::Outcome;
use crate::zone::{ComponentKey, Operator, Status};

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) number: u64,
    pub(super) epoch: u64,
    pub(super) what: Telling,
}

/// What it tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Telling {
    Transition {
        component: ComponentKey,
        from: Status,
        evidence: Vec<(Timestamp, Outcome)>,
    },
    Operator {
        component: ComponentKey,
        from: Operator,
        to: Operator,
    },
    Pin {
        zone: Arc<str>,
        pinned: bool,
    },
    FlipBegun {
        to: Arc<str>,
        /// An operator has ended a drill by it.
        aborts_drill: bool,
    },
    FlipAborted,
    Promotion(Promoted),
    Flip(RecordedFlip),
    DrillBegun {
        zone: Arc<str>,
        length: Duration,
    },
    /// An operator has ended a drill before it had the traffic.
    DrillAborted,
    /// A flip was held back, or there was nowhere to go; the rule.
    Held(Arc<str>),
    Reloaded(Vec<String>),
    /// A process began or ended, which a replay is told by what that process has recorded.
    Process,
    /// Nothing that a replay doesn't find out by itself, or doesn't need.
    Other,
}

/// How a drill explains its end if an operator wanted it.
const ABORTED: &str = "an operator aborted it";

impl Told {
    /// Reads an entry; `None` for anything else. A kind that is not known here tells nothing.
    pub(super) fn read(line: &Value, names: &mut Names) -> Option<Self> {
        line["message"].as_str()?;
        Some(Self {
            at: time(&line["at"])?,
            number: line["number"].as_u64()?,
            epoch: line["epoch"].as_u64()?,
            what: telling(line, names)?,
        })
    }
}

fn telling(line: &Value, names: &mut Names) -> Option<Telling> {
    let text = |name: &str| line[name].as_str();
    let shared = |name: &str| Some(Arc::from(text(name)?));
    Some(match text("kind")? {
        "transition" => {
            let statuses = [Status::Unknown, Status::Up, Status::Down];
            let evidence = line["evidence"].as_array()?.iter();
            let evidence = evidence.map(|o| Some((time(&o["time"])?, outcome(o)?)));
            Telling::Transition {
                component: names.key(&line["component"])?,
                from: statuses
                    .into_iter()
                    .find(|status| line["from"] == status.to_string())?,
                evidence: evidence.collect::<Option<_>>()?,
            }
        }
        "operator_state" => Telling::Operator {
            component: names.key(&line["component"])?,
            from: operator(&line["from"])?,
            to: operator(&line["to"])?,
        },
        "pin" => Telling::Pin {
            zone: shared("zone")?,
            pinned: line["pinned"].as_bool()?,
        },
        "flip_begun" => Telling::FlipBegun {
            to: shared("to")?,
            aborts_drill: text("reason")?.contains(ABORTED),
        },
        "flip_aborted" => Telling::FlipAborted,
        "promotion" => Telling::Promotion(Promoted {
            succeeded: line["succeeded"].as_bool()?,
            how: text("how")?.to_owned(),
            output: String::new(),
            took: from_milliseconds(&line["took_ms"])?,
        }),
        "flip" => {
            let causes = [
                Cause::Failover,
                Cause::Failback,
                Cause::Operator,
                Cause::Drill,
                Cause::Reload,
            ];
            Telling::Flip(RecordedFlip {
                epoch: line["epoch"].as_u64()?,
                from: shared("from")?,
                to: shared("to")?,
                cause: causes.into_iter().find(|c| line["cause"] == cause(*c))?,
            })
        }
        "drill_begun" => Telling::DrillBegun {
            zone: shared("zone")?,
            length: from_milliseconds(&line["for_ms"])?,
        },
        "drill_ended" if text("outcome") == Some("not_begun") => {
            let by_operator = text("explanation")?.starts_with(ABORTED);
            if by_operator {
                Telling::DrillAborted
            } else {
                Telling::Other
            }
        }
        "withheld" => Telling::Held(shared("rule")?),
        "nowhere_to_go" => Telling::Held("nowhere_to_go".into()),
        "reloaded" => {
            let changes = line["changes"].as_array()?.iter();
            Telling::Reloaded(
                changes
                    .filter_map(|change| change.as_str().map(str::to_owned))
                    .collect(),
            )
        }
        "started" | "stopped" => Telling::Process,
        _ => Telling::Other,
    })
}
