//! An event as an operator says it at 3 a.m.: one line, the component first, then what, then why.

use std::fmt;

use jiff::Timestamp;

use crate::health::report::{Cause, Event, Flip, What};
use crate::outcome::Outcome;
use crate::zone::{Status, Verdict};

impl fmt::Display for Event {
    /// One line without its time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition {
                component,
                from,
                to,
                evidence,
                hastened_by,
            } => {
                match (from, to) {
                    (_, Status::Down) => write!(f, "{component} went down")?,
                    (Status::Down, Status::Up) => write!(f, "{component} is up again")?,
                    (_, Status::Up) => write!(f, "{component} is up")?,
                    (_, Status::Unknown) => {
                        write!(f, "{component} is not known to be up any more")?
                    }
                }
                proof(f, evidence)?;
                if let Some(sign) = hastened_by {
                    write!(f, "; a live request had noticed first: {sign}")?;
                }
                Ok(())
            }
            Self::OperatorState {
                component,
                from,
                to,
                reason,
            } => {
                write!(f, "{component} was set to {to} by an operator, was {from}")?;
                because(f, reason.as_deref())
            }
            Self::Gray {
                component,
                gray,
                explanation,
            } => {
                let words = if *gray {
                    "is gray"
                } else {
                    "is no longer gray"
                };
                write!(f, "{component} {words}: {explanation}")
            }
            Self::Verdict {
                zone, to, reasons, ..
            } => {
                match to {
                    Verdict::Serving => write!(f, "{zone} is serving")?,
                    Verdict::Failed => write!(f, "{zone} failed")?,
                    Verdict::Unknown => write!(f, "{zone} is unknown")?,
                }
                listed(f, ": ", reasons)
            }
            Self::FlipBegun { from, to, reason } => write!(
                f,
                "planned flip {from} → {to} begins, new requests wait for the running ones: {reason}"
            ),
            Self::Promotion {
                from,
                to,
                succeeded,
                how,
                output,
                took,
            } => {
                let word = if *succeeded { "succeeded" } else { "failed" };
                write!(
                    f,
                    "promote_command {word} for the flip {from} → {to}: {how} after {took:.1?}"
                )?;
                // A log line is one line.
                let said = output
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty());
                listed(
                    f,
                    "; it said: ",
                    &said.map(str::to_owned).collect::<Vec<_>>(),
                )
            }
            Self::FlipAborted {
                from,
                to,
                explanation,
            } => write!(
                f,
                "planned flip {from} → {to} was given up, {from} stays active: {explanation}"
            ),
            Self::Flip(flip) => flip.fmt(f),
            Self::NowhereToGo { zone, reasons } => {
                write!(f, "NOWHERE TO GO, {zone} stays active though it failed")?;
                listed(f, ": ", reasons)
            }
            Self::Withheld {
                to,
                rule,
                explanation,
            } => write!(f, "flip to {to} withheld ({rule}): {explanation}"),
            Self::FailbackPossible { zone } => write!(
                f,
                "{zone} has been serving long enough: an operator may fail back to it (firedoor failback)"
            ),
            Self::DrillBegun {
                zone,
                away,
                length,
                reason,
            } => {
                write!(
                    f,
                    "DRILL begins, {away} takes over from {zone} for {length:?}"
                )?;
                because(f, reason.as_deref())
            }
            Self::DrillEnded(report) => report.fmt(f),
            Self::Pin {
                zone,
                pinned,
                reason,
            } => {
                let done = if *pinned { "pinned" } else { "unpinned" };
                write!(f, "{zone} was {done} by an operator")?;
                because(f, reason.as_deref())
            }
            Self::Standby { ready, explanation } => {
                f.write_str(if *ready {
                    "a standby is ready"
                } else {
                    "NO STANDBY, the next failure is an outage"
                })?;
                because(
                    f,
                    Some(explanation)
                        .filter(|words| !words.is_empty())
                        .map(String::as_str),
                )
            }
            Self::Started(start) => start.fmt(f),
            Self::Stopped { version, zone } => {
                write!(f, "firedoor {version} stopped in order; {zone} was active")
            }
            Self::Order(order) => order.fmt(f),
            Self::Reloaded {
                generation,
                changes,
            } => {
                write!(f, "configuration {generation} is in force")?;
                if changes.is_empty() {
                    return f.write_str(": no component changed");
                }
                listed(f, ": ", changes)
            }
        }
    }
}

impl fmt::Display for Flip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from, to, epoch, ..
        } = self;
        write!(f, "FLIP {from} → {to} (epoch {epoch}), ")?;
        f.write_str(match self.cause {
            Cause::Failover => "failover",
            Cause::Failback => "failback",
            Cause::Operator => "by an operator",
            Cause::Drill => "for a drill",
            Cause::Reload => "by a reload",
        })?;
        if self.degraded {
            f.write_str(", degraded")?;
        }
        write!(f, ": {}", self.rule)?;
        listed(f, "; ", &self.reasons)?;
        listed(f, "; TOO SMALL: ", &self.shedding)?;
        listed(f, "; also considered: ", &self.alternatives)
    }
}

/// `: L4CON in 0 ms (connection refused), 2 in a row`
fn proof(f: &mut fmt::Formatter<'_>, evidence: &[(Timestamp, Outcome)]) -> fmt::Result {
    let Some((_, last)) = evidence.last() else {
        return Ok(());
    };
    write!(f, ": {last}")?;
    let alike = evidence
        .iter()
        .rev()
        .take_while(|(_, outcome)| outcome.passed() == last.passed())
        .count();
    if alike > 1 {
        write!(f, ", {alike} in a row")?;
    }
    Ok(())
}

fn because(f: &mut fmt::Formatter<'_>, reason: Option<&str>) -> fmt::Result {
    match reason {
        Some(reason) => write!(f, ": {reason}"),
        None => Ok(()),
    }
}

fn listed(f: &mut fmt::Formatter<'_>, lead: &str, items: &[String]) -> fmt::Result {
    let mut lead = lead;
    for item in items {
        write!(f, "{lead}{item}")?;
        lead = "; ";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::CheckCode;
    use crate::zone::ComponentKey;

    #[test]
    fn each_sentence_begins_with_whom_it_is_about_and_ends_with_why() {
        let component = ComponentKey {
            zone: "fz-1".into(),
            name: "app-1".into(),
        };
        let passed = Outcome {
            code: CheckCode::L7Ok,
            detail: "HTTP 200".into(),
            took: Duration::from_millis(3),
            status: Some(200),
        };
        let failed = Outcome {
            code: CheckCode::L7Timeout,
            detail: "connected, but no answer within 500 ms".into(),
            took: Duration::from_millis(500),
            status: None,
        };
        let at = Timestamp::UNIX_EPOCH;
        let up = What::Transition {
            component: component.clone(),
            from: Status::Down,
            to: Status::Up,
            evidence: vec![(at, failed), (at, passed.clone()), (at, passed)],
            hastened_by: None,
        };
        assert_eq!(
            up.to_string(),
            "fz-1:app-1 is up again: L7OK/200 in 3 ms (HTTP 200), 2 in a row"
        );
        let verdict = What::Verdict {
            zone: "fz-1".into(),
            from: Verdict::Serving,
            to: Verdict::Failed,
            reasons: vec!["postgres is down".into(), "app-1 is down".into()],
        };
        assert_eq!(
            verdict.to_string(),
            "fz-1 failed: postgres is down; app-1 is down"
        );
        let pin = What::Pin {
            zone: "fz-2".into(),
            pinned: true,
            reason: Some("database work".into()),
        };
        assert_eq!(
            pin.to_string(),
            "fz-2 was pinned by an operator: database work"
        );
        let withheld = What::Withheld {
            to: "fz-2".into(),
            rule: "min_stay",
            explanation: "fz-1 has been active for 3 s only".into(),
        };
        assert_eq!(
            withheld.to_string(),
            "flip to fz-2 withheld (min_stay): fz-1 has been active for 3 s only"
        );
    }
}
