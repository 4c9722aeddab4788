//! A record as a line of `outcomes.jsonl`, and back. Field names are part of the outside contract: add, never rename.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::command::{command, command_fields};
use super::sign;
use crate::config::Detail;
use crate::health::checker::Promoted;
use crate::health::recording::{Begin, Known, Record, Recorded, Why};
use crate::memory::Memory;
use crate::outcome::{CheckCode, Outcome, Tally, TrialTally};
use crate::zone::{ComponentKey, Status};

/// No duration that was recorded is longer; one that is would overflow clocks.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86400);
/// Nor has a component failed more often in a row.
const STREAK: u64 = 1_000_000_000;

/// A line as it is read: its process's own time is still to be fitted to that of other processes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::journal) struct Raw {
    /// Wall time.
    pub(in crate::journal) at: Timestamp,
    /// Since the process began.
    pub(in crate::journal) elapsed: Duration,
    pub(in crate::journal) overdue: Duration,
    pub(in crate::journal) what: Recorded,
}

/// The names of components, each kept once.
#[derive(Debug, Default)]
pub(in crate::journal) struct Names(HashMap<String, ComponentKey>);

/// The line of a record, with its end; `origin` is when its process began.
pub fn line(record: &Record, origin: Instant) -> String {
    let (kind, mut line) = fields(&record.what);
    line["kind"] = kind.into();
    line["at"] = record.moment.wall.to_string().into();
    line["t"] = nanoseconds(record.moment.instant.saturating_duration_since(origin));
    if !record.overdue.is_zero() {
        line["overdue"] = nanoseconds(record.overdue);
    }
    format!("{line}\n")
}

/// The line that stands for `lost` lost ones.
pub(super) fn gap(lost: u64) -> Vec<u8> {
    format!("{}\n", json!({"kind": "gap", "lost": lost})).into_bytes()
}

/// What [`line()`] made; `None` for anything else. A gap has no time of its own.
pub(in crate::journal) fn read(line: &Value, names: &mut Names) -> Option<Raw> {
    let what = recorded(line, names)?;
    let (at, elapsed) = match what {
        Recorded::Gap { .. } => (Timestamp::UNIX_EPOCH, Duration::ZERO),
        _ => (time(&line["at"])?, duration(&line["t"])?),
    };
    Some(Raw {
        at,
        elapsed,
        overdue: duration(&line["overdue"]).unwrap_or_default(),
        what,
    })
}

fn fields(what: &Recorded) -> (&'static str, Value) {
    match what {
        Recorded::Begin(begin) => ("begin", begin_fields(begin)),
        Recorded::Tick { began } if began.is_empty() => ("tick", json!({})),
        Recorded::Tick { began } => {
            let began = began.iter().map(ComponentKey::to_string);
            ("tick", json!({"began": began.collect::<Vec<_>>()}))
        }
        Recorded::Outcome {
            component,
            outcome,
            left_out,
            overtaken,
            began: _, // told by the tick, where it is known
        } => {
            let mut line = outcome_fields(outcome);
            line["component"] = component.to_string().into();
            if *overtaken > 0 {
                line["overtaken"] = (*overtaken).into();
            }
            if *left_out > 0 {
                line["left_out"] = (*left_out).into();
            }
            ("outcome", line)
        }
        Recorded::Sign { component, sign } => {
            let mut line = sign::fields(*sign);
            line["component"] = component.to_string().into();
            ("sign", line)
        }
        Recorded::Tally(tallies) => {
            let tallies = tallies.iter().map(|(component, tally)| {
                let mut line = json!({
                    "component": component.to_string(),
                    "requests": tally.requests,
                    "failures": tally.failures,
                });
                if tally.server_errors > 0 {
                    line["server_errors"] = tally.server_errors.into();
                }
                if tally.trial.requests > 0 {
                    line["trial_requests"] = tally.trial.requests.into();
                    line["trial_failures"] = tally.trial.failures.into();
                }
                line
            });
            ("tally", json!({"tallies": tallies.collect::<Vec<_>>()}))
        }
        Recorded::Command(command) => ("command", command_fields(command)),
        Recorded::Draining => ("draining", json!({})),
        Recorded::Drained => ("drained", json!({})),
        Recorded::Promoting => ("promoting", json!({})),
        Recorded::Promoted(end) => (
            "promoted",
            json!({
                "succeeded": end.succeeded,
                "how": end.how,
                "took_ms": milliseconds(end.took),
            }),
        ),
        // They stand in the journal.
        Recorded::Flip(_) | Recorded::Held(_) | Recorded::Reloaded(_) => ("tick", json!({})),
        Recorded::Gap { lost } => ("gap", json!({"lost": lost})),
        Recorded::End => ("end", json!({})),
    }
}

fn recorded(line: &Value, names: &mut Names) -> Option<Recorded> {
    let components = |list: &Value, names: &mut Names| {
        let list = list.as_array()?.iter();
        list.map(|name| names.key(name)).collect::<Option<Vec<_>>>()
    };
    Some(match line["kind"].as_str()? {
        "begin" => Recorded::Begin(Box::new(begin(line, names)?)),
        "tick" => Recorded::Tick {
            began: match &line["began"] {
                Value::Null => Vec::new(),
                began => components(began, names)?,
            },
        },
        "outcome" => Recorded::Outcome {
            component: names.key(&line["component"])?,
            outcome: outcome(line)?,
            began: None,
            overtaken: line["overtaken"].as_u64().unwrap_or(0),
            left_out: line["left_out"].as_u64().unwrap_or(0),
        },
        "sign" => Recorded::Sign {
            component: names.key(&line["component"])?,
            sign: sign::read(line)?,
        },
        "tally" => {
            let count = |value: &Value| u32::try_from(value.as_u64()?).ok();
            let or_none = |value: &Value| match value {
                Value::Null => Some(0),
                value => count(value),
            };
            let tallies = line["tallies"].as_array()?.iter().map(|one| {
                let tally = Tally {
                    requests: count(&one["requests"])?,
                    failures: count(&one["failures"])?,
                    server_errors: or_none(&one["server_errors"])?,
                    trial: TrialTally {
                        requests: or_none(&one["trial_requests"])?,
                        failures: or_none(&one["trial_failures"])?,
                    },
                };
                Some((names.key(&one["component"])?, tally))
            });
            Recorded::Tally(tallies.collect::<Option<_>>()?)
        }
        "command" => Recorded::Command(command(line, names)?),
        "draining" => Recorded::Draining,
        "drained" => Recorded::Drained,
        "promoting" => Recorded::Promoting,
        "promoted" => Recorded::Promoted(Promoted {
            succeeded: line["succeeded"].as_bool()?,
            how: line["how"].as_str()?.to_owned(),
            output: String::new(),
            took: from_milliseconds(&line["took_ms"])?,
        }),
        "gap" => Recorded::Gap {
            lost: line["lost"].as_u64()?,
        },
        "end" => Recorded::End,
        _ => return None,
    })
}

fn begin_fields(begin: &Begin) -> Value {
    let zones = begin.zones.iter();
    let zones = zones.map(|(zone, since)| json!({"zone": &**zone, "since": since.to_string()}));
    let components = begin.components.iter().map(|known| {
        json!({
            "component": known.key.to_string(),
            "address": known.address,
            "interval_ms": milliseconds(known.interval),
            "timeout_ms": milliseconds(known.timeout),
            "status": known.status.to_string(),
            "since": known.since.to_string(),
            "streak": known.streak,
            "joined": known.joined,
            "probing": known.probing,
            "last": known.last.as_ref().map(outcome_fields),
        })
    });
    json!({
        "why": why(begin.why),
        "outcomes": detail(begin.detail),
        "seed": begin.seed,
        "memory": begin.memory.to_json(),
        "zones": zones.collect::<Vec<_>>(),
        "components": components.collect::<Vec<_>>(),
    })
}

fn begin(line: &Value, names: &mut Names) -> Option<Begin> {
    let whys = [Why::Start, Why::Reload, Why::Rotation];
    let details = [Detail::Changes, Detail::All];
    let zones = line["zones"].as_array()?.iter();
    let zones = zones.map(|zone| Some((zone["zone"].as_str()?.into(), time(&zone["since"])?)));
    let components = line["components"].as_array()?.iter();
    let components = components.map(|known| {
        let statuses = [Status::Unknown, Status::Up, Status::Down];
        Some(Known {
            key: names.key(&known["component"])?,
            address: known["address"].as_str()?.to_owned(),
            interval: from_milliseconds(&known["interval_ms"])?,
            timeout: from_milliseconds(&known["timeout_ms"])?,
            status: statuses
                .into_iter()
                .find(|status| known["status"] == status.to_string())?,
            since: time(&known["since"])?,
            streak: u32::try_from(known["streak"].as_u64()?.min(STREAK)).ok()?,
            joined: known["joined"].as_bool()?,
            probing: known["probing"].as_bool()?,
            last: match &known["last"] {
                Value::Null => None,
                last => Some(outcome(last)?),
            },
        })
    });
    Some(Begin {
        why: whys.into_iter().find(|w| line["why"] == why(*w))?,
        detail: details
            .into_iter()
            .find(|d| line["outcomes"] == detail(*d))?,
        seed: line["seed"].as_u64()?,
        memory: Memory::from_json(&line["memory"]).ok()?,
        zones: zones.collect::<Option<_>>()?,
        components: components.collect::<Option<_>>()?,
    })
}

fn outcome_fields(outcome: &Outcome) -> Value {
    let mut line = json!({
        "code": outcome.code.as_str(),
        "ms": milliseconds(outcome.took),
    });
    if let Some(status) = outcome.status {
        line["status"] = status.into();
    }
    if !outcome.detail.is_empty() {
        line["detail"] = outcome.detail.as_str().into();
    }
    line
}

/// As a journal entry has it, too.
pub(in crate::journal) fn outcome(line: &Value) -> Option<Outcome> {
    Some(Outcome {
        code: CheckCode::from_name(line["code"].as_str()?)?,
        detail: line["detail"].as_str().unwrap_or_default().to_owned(),
        took: from_milliseconds(&line["ms"])?,
        status: line["status"].as_u64().and_then(|n| u16::try_from(n).ok()),
    })
}

impl Names {
    pub(in crate::journal) fn key(&mut self, name: &Value) -> Option<ComponentKey> {
        let name = name.as_str()?;
        if let Some(key) = self.0.get(name) {
            return Some(key.clone());
        }
        let (zone, component) = name.split_once(':')?;
        let key = ComponentKey {
            zone: zone.into(),
            name: component.into(),
        };
        self.0.insert(name.to_owned(), key.clone());
        Some(key)
    }
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Start => "start",
        Why::Reload => "reload",
        Why::Rotation => "rotation",
        Why::Journal => "journal",
    }
}

fn detail(detail: Detail) -> &'static str {
    match detail {
        Detail::Transitions => "transitions",
        Detail::Changes => "changes",
        Detail::All => "all",
    }
}

pub(in crate::journal) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn duration(nanoseconds: &Value) -> Option<Duration> {
    let duration = nanoseconds.as_u64().map(Duration::from_nanos);
    duration.filter(|duration| *duration <= LONGEST)
}

fn nanoseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .into()
}

pub(in crate::journal) fn from_milliseconds(value: &Value) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(value.as_f64()? / 1000.0);
    duration.ok().filter(|duration| *duration <= LONGEST)
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on ends")]
mod tests;
