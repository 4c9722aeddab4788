//! `/v1/status`: all of it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ETAG, HeaderMap, IF_NONE_MATCH};
use http::{Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::json_ok;
use super::health::Health;
use super::{Context, certificates, demo, order};
use crate::config::MinHealthy;
use crate::health::monitor::Turns;
use crate::health::report::{ComponentKind, ComponentReport, Report, ZoneReport};
use crate::moment::Moment;
use crate::serve::{ReloadError, Standing};
use crate::shutdown::Phase;
use crate::snapshot::{Admission, Snapshot};
use crate::zone::{ComponentKey, Operator, Status};

/// The answer to `/v1/status`. Its tag is that of all that orders change, for their `If-Match`: one that is still the same says nothing
/// of what is up or down.
pub(super) fn answer(context: &Context, headers: &HeaderMap) -> Response<Full<Bytes>> {
    // Before the status: an order that comes in between must not be taken for known.
    let stamp = context.monitor.stamp();
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let known = known.filter_map(|tags| tags.to_str().ok());
    // Compared weakly (RFC 9110, 13.1.2).
    let mut tags = known.flat_map(|tags| tags.split(','));
    let same = tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || order::stamp(tag.strip_prefix("W/").unwrap_or(tag)) == Some(stamp)
    });
    let mut response = if same {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        json_ok(&status(context))
    };
    response.headers_mut().insert(ETAG, order::tag(&stamp));
    response
}

/// What it says.
pub(super) fn status(context: &Context) -> Value {
    let report = context.monitor.report();
    let snapshot = context.snapshot.current();
    let now = Moment::now();
    let health = Health::of(&report).beside(&context.monitor.troubles());
    let counted = context.counters.totals();
    let uptime = now.instant.duration_since(context.started.instant);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "at": timestamp(now.wall),
        "uptime_seconds": uptime.as_secs(),
        "phase": match context.readiness.phase() {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        },
        "status": health.grade.as_str(),
        "notes": health.because,
        "active_zone": *report.zones[report.active].name,
        "active_since": timestamp(report.active_since),
        "active_because": report.active_because,
        "decision": report.decision,
        "epoch": report.epoch,
        "generation": snapshot.generation,
        "config_generation": snapshot.config_generation,
        "pinned": report.pinned.as_deref(),
        "flip_pending": report.flip_pending.as_deref(),
        "drill": report.drill.as_ref().map(|drill| json!({
            "zone": *drill.zone,
            "away": *drill.away,
            "until": timestamp(drill.until),
            "reason": drill.reason,
        })),
        "flips_left": report.flips_left,
        "admission": match snapshot.admission {
            Admission::Open => "open",
            Admission::Hold => "hold",
        },
        "holds": context.held.load(std::sync::atomic::Ordering::Relaxed),
        "shed": counted.sheds,
        "limited": counted.limited,
        "tracing": snapshot.config.traces.collector.as_ref().map(|_| json!({
            "spans_exported": context.spans.exported(),
            "spans_dropped": context.spans.dropped(),
            "spans_waiting": context.spans.under_way(),
        })),
        "notify": context.board.targets().iter().map(|target| json!({
            "name": target.name,
            "delivered": target.delivered(),
            "failed": target.failed(),
            "waiting": target.waiting(),
            "error": target.trouble().map(|(at, text)| json!({"time": timestamp(at), "text": text})),
        })).collect::<Vec<_>>(),
        "access_log": {"lines_dropped": counted.log_lines_dropped},
        "connections_refused": {
            "proxy_protocol": counted.introductions_refused,
            "rate": counted.connections_limited,
            "per_client": counted.connections_crowded,
        },
        "holds_total": {
            "released": counted.holds_released,
            "expired": counted.holds_expired,
            "refused": counted.holds_refused,
            "left": counted.holds_left,
        },
        "zones": zones(&report, &snapshot, &context.monitor.turns()),
        "pools": pools(&report, &snapshot),
        "configuration": configuration(&context.reload.standing()),
        "certificates": certificates::in_force(&snapshot.config, now.wall),
        "acme": certificates::orders(&context.orders),
        "demo": demo::conditions(context),
    })
}

fn configuration(standing: &Standing) -> Value {
    let last_reload = standing.last_reload.as_ref().map(|(at, failure)| {
        json!({
            "at": timestamp(*at),
            "successful": failure.is_none(),
            "problems": failure.as_ref().map_or(Value::Array(Vec::new()), problems),
        })
    });
    json!({
        "path": standing.path.as_ref().map(|path| path.to_string_lossy()),
        "loaded_at": timestamp(standing.loaded_at),
        "last_reload": last_reload,
    })
}

/// As the answer to `/v1/reload` has them; one that is no fault of the file is a message only.
fn problems(failure: &ReloadError) -> Value {
    match failure {
        ReloadError::Invalid(error) => error.to_json(),
        other => json!([{"message": other.to_string()}]),
    }
}

/// RFC 3339, to the millisecond.
pub(super) fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// With microseconds, since a healthy check of a near component takes less than one millisecond.
pub(super) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

fn zones(report: &Report, snapshot: &Snapshot, turns: &Turns) -> Value {
    let in_flight: HashMap<&ComponentKey, u32> = snapshot
        .zones
        .iter()
        .flat_map(|zone| &zone.backends)
        .map(|backend| (&backend.key, backend.load.in_flight()))
        .collect();
    report
        .zones
        .iter()
        .enumerate()
        .map(|(index, zone)| {
            json!({
                "name": *zone.name,
                "active": index == report.active,
                "verdict": zone.verdict.to_string(),
                "since": timestamp(zone.since),
                "reasons": zone.reasons,
                "components": zone
                    .components
                    .iter()
                    .map(|c| component(c, in_flight.get(&c.key).copied(), turns))
                    .collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn component(component: &ComponentReport, in_flight: Option<u32>, turns: &Turns) -> Value {
    let outcomes: Vec<Value> = component
        .outcomes
        .iter()
        .map(|known| {
            let (at, outcome) = &**known;
            json!({
                "code": outcome.code.as_str(),
                "passed": outcome.passed(),
                "status": outcome.status,
                "ms": milliseconds(outcome.took),
                "time": timestamp(*at),
                "detail": outcome.detail,
            })
        })
        .collect();
    let mut value = json!({
        "name": *component.key.name,
        "address": component.address,
        "status": component.status.to_string(),
        "since": timestamp(component.since),
        "operator": component.operator.to_string(),
        "gray": component.gray,
        "hastened_by": component.hastened_by.map(|sign| sign.to_string()),
        "last": outcomes.last(),
        "outcomes": outcomes,
        "transitions": transitions(&component.key.to_string(), turns),
    });
    match &component.kind {
        ComponentKind::Backend { pool } => {
            value["kind"] = "backend".into();
            value["pool"] = (**pool).into();
            value["in_flight"] = in_flight.into();
        }
        ComponentKind::Dependency { required } => {
            value["kind"] = "dependency".into();
            value["required"] = (*required).into();
        }
    }
    value
}

/// The last ones of a component, newest last.
fn transitions(component: &str, turns: &Turns) -> Value {
    let turns = turns.get(component).into_iter().flatten();
    turns
        .map(|entry| {
            let entry = &entry.json;
            let at = entry["at"].as_str().and_then(|at| at.parse().ok());
            // The sentence without whom it is about and what: `L4CON in 0 ms (connection refused), 2 in a row`.
            let because = entry["message"]
                .as_str()
                .and_then(|message| message.strip_prefix(component)?.split_once(": "))
                .map(|(_, because)| because);
            json!({
                "number": entry["number"],
                "at": at.map(timestamp),
                "from": entry["from"],
                "to": entry["to"],
                "because": because,
            })
        })
        .collect()
}

fn pools(report: &Report, snapshot: &Snapshot) -> Value {
    snapshot
        .config
        .pools
        .iter()
        .enumerate()
        .map(|(index, pool)| {
            let zones: Vec<Value> = report
                .zones
                .iter()
                .map(|zone| pool_in_zone(&pool.name, index, zone, snapshot))
                .collect();
            json!({
                "name": *pool.name,
                "min_healthy": match pool.min_healthy {
                    MinHealthy::Percent(percent) => json!(format!("{percent}%")),
                    MinHealthy::Count(count) => json!(count),
                },
                "zones": zones,
            })
        })
        .collect()
}

fn pool_in_zone(name: &str, pool: usize, zone: &ZoneReport, snapshot: &Snapshot) -> Value {
    let backends = || {
        zone.components
            .iter()
            .filter(|c| matches!(&c.kind, ComponentKind::Backend { pool } if **pool == *name))
    };
    let up = backends()
        .filter(|c| c.status == Status::Up && c.operator == Operator::Ready)
        .count();
    let in_flight: u32 = snapshot
        .zones
        .iter()
        .filter(|routing| routing.name == zone.name)
        .flat_map(|routing| &routing.backends)
        .filter(|backend| backend.pool == pool)
        .map(|backend| backend.load.in_flight())
        .sum();
    json!({
        "name": *zone.name,
        "up": up,
        "total": backends().count(),
        "in_flight": in_flight,
    })
}
