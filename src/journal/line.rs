//! An event as a journal line. Field names are part of the outside contract: add, never rename.

mod process;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::health::report::{
    Cause, ComponentReport, DrillReport, Event, Flip, Giver, Order, OrderEnd, Share, Way, What,
};
use crate::outcome::{Outcome, Sign};

/// The whole line: what every entry has, and the fields of its kind.
pub(super) fn json(number: u64, epoch: u64, event: &Event) -> Value {
    let (kind, mut line) = fields(&event.what);
    line["number"] = number.into();
    line["at"] = event.at.to_string().into();
    line["kind"] = kind.into();
    line["epoch"] = epoch.into();
    line["message"] = event.to_string().into();
    line
}

/// An event's kind, as its line says it.
pub fn kind(event: &Event) -> &'static str {
    fields(&event.what).0
}

fn fields(what: &What) -> (&'static str, Value) {
    match what {
        What::Transition {
            component,
            from,
            to,
            evidence,
            hastened_by,
        } => (
            "transition",
            json!({
                "component": component.to_string(),
                "from": from.to_string(),
                "to": to.to_string(),
                "evidence": evidence.iter().map(outcome).collect::<Vec<_>>(),
                "hastened_by": hastened_by.map(sign),
            }),
        ),
        What::OperatorState {
            component,
            from,
            to,
            reason,
        } => (
            "operator_state",
            json!({
                "component": component.to_string(),
                "from": from.to_string(),
                "to": to.to_string(),
                "reason": reason,
            }),
        ),
        What::Gray {
            component,
            gray,
            explanation,
        } => (
            "gray",
            json!({
                "component": component.to_string(),
                "gray": gray,
                "explanation": explanation,
            }),
        ),
        What::Verdict {
            zone,
            from,
            to,
            reasons,
        } => (
            "verdict",
            json!({
                "zone": &**zone,
                "from": from.to_string(),
                "to": to.to_string(),
                "reasons": reasons,
            }),
        ),
        What::FlipBegun { from, to, reason } => (
            "flip_begun",
            json!({"from": &**from, "to": &**to, "reason": reason}),
        ),
        What::Promotion {
            from,
            to,
            succeeded,
            how,
            output,
            took,
        } => (
            "promotion",
            json!({
                "from": &**from,
                "to": &**to,
                "succeeded": succeeded,
                "how": how,
                "output": output,
                "took_ms": milliseconds(*took),
            }),
        ),
        What::FlipAborted {
            from,
            to,
            explanation,
        } => (
            "flip_aborted",
            json!({"from": &**from, "to": &**to, "explanation": explanation}),
        ),
        What::Flip(Flip {
            epoch: _, // the line's own
            from,
            to,
            cause,
            rule,
            reasons,
            evidence,
            alternatives,
            degraded,
            shedding,
            detected_in,
        }) => (
            "flip",
            json!({
                "from": &**from,
                "to": &**to,
                "cause": self::cause(*cause),
                "rule": rule,
                "reasons": reasons,
                "evidence": evidence.iter().map(component).collect::<Vec<_>>(),
                "alternatives": alternatives,
                "degraded": degraded,
                "shedding": shedding,
                "detected_in_ms": milliseconds(*detected_in),
            }),
        ),
        What::NowhereToGo { zone, reasons } => (
            "nowhere_to_go",
            json!({"zone": &**zone, "reasons": reasons}),
        ),
        What::Withheld {
            to,
            rule,
            explanation,
        } => (
            "withheld",
            json!({"to": &**to, "rule": rule, "explanation": explanation}),
        ),
        What::FailbackPossible { zone } => ("failback_possible", json!({"zone": &**zone})),
        What::DrillBegun {
            zone,
            away,
            length,
            reason,
        } => (
            "drill_begun",
            json!({"zone": &**zone, "away": &**away, "for_ms": milliseconds(*length), "reason": reason}),
        ),
        What::DrillEnded(report) => ("drill_ended", drill(report)),
        What::Pin {
            zone,
            pinned,
            reason,
        } => (
            "pin",
            json!({"zone": &**zone, "pinned": pinned, "reason": reason}),
        ),
        What::Standby { ready, explanation } => (
            "standby",
            json!({"ready": ready, "explanation": explanation}),
        ),
        What::Started(start) => ("started", process::started(start)),
        What::Stopped { version, zone } => {
            ("stopped", json!({"version": version, "zone": &**zone}))
        }
        What::Order(order) => ("order", self::order(order)),
        What::Reloaded {
            generation,
            changes,
        } => (
            "reloaded",
            json!({"generation": generation, "changes": changes}),
        ),
    }
}

fn component(component: &ComponentReport) -> Value {
    json!({
        "component": component.key.to_string(),
        "address": component.address,
        "status": component.status.to_string(),
        "since": component.since.to_string(),
        "operator": component.operator.to_string(),
        "gray": component.gray,
        "hastened_by": component.hastened_by.map(sign),
        "outcomes": component.outcomes.iter().map(|told| outcome(told)).collect::<Vec<_>>(),
    })
}

fn order(order: &Order) -> Value {
    let Giver { name, way, token } = &order.by;
    let mut by = json!({"name": name, "token": token});
    let (way, from) = match way {
        Way::Tcp(address) => ("tcp", json!(address)),
        Way::Unix(user) => ("unix", json!(user)),
        Way::Signal(name) => ("signal", json!(name)),
    };
    by["way"] = way.into();
    by["from"] = from;
    let refusal = match &order.end {
        OrderEnd::Refused(why) => Some(why),
        OrderEnd::Done | OrderEnd::Begun => None,
    };
    let mut told = json!({
        "by": by,
        "order": order.what,
        "reason": order.reason,
        "result": order.end.as_str(),
        "refusal": refusal,
    });
    if order.left_out > 0 {
        told["left_out"] = order.left_out.into();
    }
    told
}

fn sign(sign: Sign) -> String {
    sign.to_string()
}

fn outcome((at, outcome): &(Timestamp, Outcome)) -> Value {
    json!({
        "time": at.to_string(),
        "code": outcome.code.as_str(),
        "ms": milliseconds(outcome.took),
        "status": outcome.status,
        "detail": outcome.detail,
    })
}

fn drill(report: &DrillReport) -> Value {
    let share = |share: Share| json!({"requests": share.requests, "failures": share.failures});
    let (out, back) = report.held_for;
    json!({
        "zone": &*report.zone,
        "away": &*report.away,
        "outcome": report.outcome.as_str(),
        "explanation": report.explanation,
        "reason": report.reason,
        "lasted_ms": milliseconds(report.lasted),
        "left_in_ms": milliseconds(out),
        "returned_in_ms": milliseconds(back),
        "held": report.held,
        "before": share(report.before),
        "during": share(report.during),
    })
}

/// With three decimals: a refused connection takes microseconds.
fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// A flip's cause, as its line says it.
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Failover => "failover",
        Cause::Failback => "failback",
        Cause::Operator => "operator",
        Cause::Drill => "drill",
        Cause::Reload => "reload",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::report::ComponentKind;
    use crate::outcome::{CheckCode, Silence, Trouble};
    use crate::zone::{ComponentKey, Operator, Status};

    #[test]
    fn a_transition_carries_its_evidence_field_by_field() {
        let at: Timestamp = "2025-03-01T02:03:04Z".parse().unwrap();
        let refused = Outcome {
            code: CheckCode::L4Con,
            detail: "connection refused".into(),
            took: Duration::from_micros(123),
            status: None,
        };
        let what = What::Transition {
            component: ComponentKey {
                zone: "fz-1".into(),
                name: "postgres".into(),
            },
            from: Status::Up,
            to: Status::Down,
            evidence: vec![(at, refused.clone()), (at, refused)],
            hastened_by: Some(Trouble::Reset.into()),
        };
        let evidence = json!({
            "time": "2025-03-01T02:03:04Z", "code": "L4CON", "ms": 0.123, "status": null,
            "detail": "connection refused",
        });
        assert_eq!(
            json(12, 3, &Event { at, what }),
            json!({
                "number": 12,
                "at": "2025-03-01T02:03:04Z",
                "kind": "transition",
                "epoch": 3,
                "component": "fz-1:postgres",
                "from": "up",
                "to": "down",
                "evidence": [evidence, evidence],
                "hastened_by": "connection broke off",
                "message": "fz-1:postgres went down: L4CON in 0 ms (connection refused), 2 in a row; \
                            a live request had noticed first: connection broke off",
            })
        );
    }

    #[test]
    fn a_flip_says_who_when_why_and_what_else_was_considered() {
        let at: Timestamp = "2025-03-01T02:03:04Z".parse().unwrap();
        let refused = Outcome {
            code: CheckCode::L4Con,
            detail: "connection refused".into(),
            took: Duration::from_micros(123),
            status: None,
        };
        let what = What::Flip(Flip {
            evidence: vec![ComponentReport {
                key: ComponentKey {
                    zone: "fz-1".into(),
                    name: "postgres".into(),
                },
                kind: ComponentKind::Dependency { required: true },
                address: "10.0.0.1:5432".into(),
                status: Status::Down,
                since: at,
                operator: Operator::Ready,
                gray: false,
                hastened_by: Some(Sign::Silence(Silence {
                    lasted: Duration::from_millis(104),
                    usual: Some(Duration::from_micros(12_340)),
                })),
                outcomes: vec![std::sync::Arc::new((at, refused))],
            }],
            epoch: 8,
            from: "fz-1".into(),
            to: "fz-2".into(),
            cause: Cause::Failover,
            rule: "fz-1 failed and fz-2 is serving".into(),
            reasons: vec!["postgres is down".into()],
            alternatives: vec!["fz-3 failed".into()],
            degraded: false,
            shedding: vec!["fz-2 can take 80 of 120 requests in flight (pool hq): …".into()],
            detected_in: Duration::from_millis(51),
        });
        let line = json(13, 8, &Event { at, what });
        assert_eq!(line["kind"], "flip");
        assert_eq!(line["epoch"], 8);
        assert_eq!(line["cause"], "failover");
        assert_eq!(line["detected_in_ms"], 51.0);
        assert_eq!(line["reasons"], json!(["postgres is down"]));
        assert_eq!(
            line["evidence"],
            json!([{
                "component": "fz-1:postgres",
                "address": "10.0.0.1:5432",
                "status": "down",
                "since": "2025-03-01T02:03:04Z",
                "operator": "ready",
                "gray": false,
                "hastened_by": "no answer for 104 ms, usually after 12.3 ms",
                "outcomes": [{
                    "time": "2025-03-01T02:03:04Z", "code": "L4CON", "ms": 0.123, "status": null,
                    "detail": "connection refused",
                }],
            }])
        );
        assert_eq!(line["alternatives"], json!(["fz-3 failed"]));
        assert_eq!(
            line["message"],
            "FLIP fz-1 → fz-2 (epoch 8), failover: fz-1 failed and fz-2 is serving; postgres is down; \
             TOO SMALL: fz-2 can take 80 of 120 requests in flight (pool hq): …; also considered: fz-3 failed"
        );
    }
}
