//! `/v1/plan`: what would be decided if some components went down, or came up. Changes nothing.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Context;
use super::api::{bad_request, json_ok, members};
use super::problem::Problem;
use super::status::{milliseconds, timestamp};
use crate::health::checker::{Checker, Fault, Forecast, Hypothesis, Misnomer, Refusal};
use crate::health::failover::Decision;
use crate::journal;
use crate::moment::Moment;

/// Answers `{"down": ["fz-1:postgres"], "up": []}`.
pub(super) async fn plan(
    context: &Context,
    body: Incoming,
) -> Result<Response<Full<Bytes>>, Problem> {
    let mut members = members(body, r#"{"down": ["fz-1:app-1"]}"#).await?;
    let mut names = |name| match members.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => strings(&list).ok_or_else(|| {
            bad_request(format!(
                "{name:?} must be a list of strings, like [\"fz-1:app-1\"]"
            ))
        }),
    };
    let (down, up) = (names("down")?, names("up")?);
    if let Some(unknown) = members.keys().next() {
        return Err(bad_request(format!(
            "unknown member {unknown:?}; known are \"down\" and \"up\""
        )));
    }
    let checker = context.monitor.checker().await.ok_or(Refusal::Stopping)?;
    let hypothesis = checker.suppose(&down, &up).map_err(|misnomer| {
        let status = match &misnomer {
            Misnomer::Unknown(..) => StatusCode::NOT_FOUND,
            Misnomer::Both(_) => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, misnomer.to_string())
    })?;
    // A day of a large system takes a moment; the decision that is really due must not wait for it.
    let planned = tokio::task::spawn_blocking(move || answer(&checker, &hypothesis, Moment::now()));
    let answer = planned.await.map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the plan broke off: {error}"),
        )
    })?;
    Ok(json_ok(&answer))
}

fn strings(list: &Value) -> Option<Vec<String>> {
    let list = list.as_array()?.iter();
    list.map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn answer(checker: &Checker, hypothesis: &Hypothesis, now: Moment) -> Value {
    let before = checker.report(now);
    let refused = checker.forecast(hypothesis, Fault::Refused, now);
    let hung = checker.forecast(hypothesis, Fault::Hung, now);
    let keys = |set: &std::collections::BTreeSet<_>| -> Vec<String> {
        set.iter().map(ToString::to_string).collect()
    };
    let mut answer = json!({
        "at": timestamp(now.wall),
        "down": keys(&hypothesis.down),
        "up": keys(&hypothesis.up),
        "active_zone": *before.zones[before.active].name,
        "epoch": before.epoch,
        "kind": kind(&refused),
        "decision": refused.decision,
        "afterwards": refused.afterwards,
        "to": null,
        "rule": null,
        "reasons": [],
        "alternatives": [],
        "shedding": [],
        "degraded": false,
        "in_ms": null,
        "in_ms_if_hung": null,
        "withheld": refused.withheld.as_ref().map(|(rule, explanation)| json!({
            "rule": rule,
            "explanation": explanation,
        })),
        "zones": zones(&refused),
        "events": refused.events.iter().map(|(after, event)| json!({
            "in_ms": milliseconds(*after),
            "kind": journal::kind(event),
            "message": event.to_string(),
        })).collect::<Vec<_>>(),
    });
    if let Some((after, flip)) = &refused.flip {
        let same = |(_, other): &&(Duration, _)| same_flip(flip, other);
        let hung = hung.flip.as_ref().filter(same);
        answer["to"] = (*flip.to).into();
        answer["cause"] = journal::cause(flip.cause).into();
        answer["rule"] = (*flip.rule).into();
        answer["reasons"] = json!(flip.reasons);
        answer["alternatives"] = json!(flip.alternatives);
        answer["shedding"] = json!(flip.shedding);
        answer["degraded"] = flip.degraded.into();
        answer["in_ms"] = milliseconds(*after).into();
        answer["in_ms_if_hung"] = hung.map(|(after, _)| milliseconds(*after)).into();
    } else {
        match &refused.end {
            Decision::NowhereToGo { reasons } => answer["reasons"] = json!(reasons),
            Decision::Withheld { to, .. } => {
                answer["to"] = (*refused.report.zones[*to].name).into();
            }
            _ => {}
        }
    }
    answer
}

fn same_flip(one: &crate::health::report::Flip, other: &crate::health::report::Flip) -> bool {
    (&one.from, &one.to, one.cause, &one.rule) == (&other.from, &other.to, other.cause, &other.rule)
}

fn kind(forecast: &Forecast) -> &'static str {
    match (&forecast.flip, &forecast.end) {
        (Some(_), _) => "flip",
        (None, Decision::Flip(_) | Decision::Stay { .. }) => "stay",
        (None, Decision::NowhereToGo { .. }) => "nowhere_to_go",
        (None, Decision::Withheld { .. }) => "withheld",
        (None, Decision::FailbackPossible) => "failback_possible",
    }
}

/// The zones as they would be judged, before or after the flip alike.
fn zones(forecast: &Forecast) -> Value {
    let report = &forecast.report;
    let active = match &forecast.flip {
        Some((_, flip)) => &flip.to,
        None => &report.zones[report.active].name,
    };
    let zones = report.zones.iter().map(|zone| {
        json!({
            "name": *zone.name,
            "active": zone.name == *active,
            "verdict": zone.verdict.to_string(),
            "reasons": zone.reasons,
        })
    });
    zones.collect()
}
