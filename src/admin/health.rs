//! `/health`, for monitoring and outer load balancers, and `/readyz`, for orchestrators.

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::Context;
use super::api::{parameter, text, typed};
use super::status::timestamp;
use crate::health::report::{ComponentKind, ComponentReport, Report, ZoneReport};
use crate::shutdown::Phase;
use crate::zone::{Operator, Status, Verdict};

/// How firedoor as a whole is, and why it isn't better.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// `pass`, `warn` or `fail`.
    pub(super) grade: Grade,
    /// What keeps it from `pass`; empty for `pass`.
    pub(super) because: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    /// Serving as preferred, a standby is ready.
    Pass,
    /// Serving, but not as preferred, without a standby, or with a disk that takes no journal.
    Warn,
    /// Nothing can serve.
    Fail,
}

impl Grade {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Health {
    pub(super) fn of(report: &Report) -> Self {
        let active = &report.zones[report.active];
        if !can_serve(active) {
            let mut because = vec![format!("{} is active and can serve nothing", active.name)];
            because.extend(active.reasons.iter().cloned());
            return Self {
                grade: Grade::Fail,
                because,
            };
        }
        let mut because = Vec::new();
        if active.verdict != Verdict::Serving {
            because.push(format!("{} is active and {}", active.name, active.verdict));
            because.extend(active.reasons.iter().cloned());
        }
        if report.active != 0 {
            because.push(format!(
                "{} is active instead of {}: {}",
                active.name, report.zones[0].name, report.active_because
            ));
        }
        if !standbys(report).any(|zone| zone.verdict == Verdict::Serving) {
            because.push("no standby is ready".to_owned());
            for zone in standbys(report) {
                because.extend(
                    zone.reasons
                        .iter()
                        .map(|reason| format!("{}: {reason}", zone.name)),
                );
            }
        }
        Self {
            grade: if because.is_empty() {
                Grade::Pass
            } else {
                Grade::Warn
            },
            because,
        }
    }
}

impl Health {
    /// With what is wrong with firedoor itself: at least a warning, since it serves all the same.
    pub(super) fn beside(mut self, troubles: &[String]) -> Self {
        if !troubles.is_empty() && self.grade == Grade::Pass {
            self.grade = Grade::Warn;
        }
        self.because.extend_from_slice(troubles);
        self
    }
}

/// The answer to `/health`.
pub(super) fn health(context: &Context, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let report = context.monitor.report();
    let health = Health::of(&report).beside(&context.monitor.troubles());
    let status = match health.grade {
        Grade::Pass | Grade::Warn => StatusCode::OK,
        Grade::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    if wants_text(headers) {
        let mut lines = vec![health.grade.as_str().to_owned()];
        lines.extend(health.because);
        return text(status, lines.join("\n") + "\n");
    }
    let body = render(&report, &health, context.snapshot.current().generation);
    typed(
        status,
        "application/health+json",
        format!("{body}\n").into(),
    )
}

/// The answer to `/readyz`; `?verbose` says what each part is like.
pub(super) fn ready(context: &Context, query: Option<&str>) -> Response<Full<Bytes>> {
    let phase = context.readiness.phase();
    let status = match phase {
        Phase::Ready => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    if parameter(query, "verbose").is_none() {
        return text(
            status,
            match phase {
                Phase::Starting => "starting\n",
                Phase::Ready => "ok\n",
                Phase::Draining => "draining\n",
            },
        );
    }
    let parts = [
        ("configuration", true, ""),
        ("listeners", phase != Phase::Starting, ": not listening yet"),
        (
            "not-draining",
            phase != Phase::Draining,
            ": finishing what is in flight",
        ),
    ];
    let mut lines: Vec<String> = parts
        .iter()
        .map(|(name, good, why)| {
            if *good {
                format!("[+]{name} ok")
            } else {
                format!("[-]{name} failed{why}")
            }
        })
        .collect();
    lines.push(format!(
        "readyz check {}",
        if phase == Phase::Ready {
            "passed"
        } else {
            "failed"
        }
    ));
    text(status, lines.join("\n") + "\n")
}

/// Some backend can be sent requests, and what the backends need is there.
fn can_serve(zone: &ZoneReport) -> bool {
    let taking_part = || {
        zone.components
            .iter()
            .filter(|component| component.operator == Operator::Ready)
    };
    let backends_up = taking_part()
        .any(|c| matches!(c.kind, ComponentKind::Backend { .. }) && c.status == Status::Up);
    let needs_missing = taking_part().any(|c| {
        c.kind == (ComponentKind::Dependency { required: true }) && c.status == Status::Down
    });
    backends_up && !needs_missing
}

fn standbys(report: &Report) -> impl Iterator<Item = &ZoneReport> {
    let active = report.active;
    report
        .zones
        .iter()
        .enumerate()
        .filter(move |(index, _)| *index != active)
        .map(|(_, zone)| zone)
}

fn render(report: &Report, health: &Health, generation: u64) -> Value {
    let mut checks = Map::new();
    for component in report.zones.iter().flat_map(|zone| &zone.components) {
        checks.insert(component.key.to_string(), json!([check(component)]));
    }
    json!({
        "status": health.grade.as_str(),
        "description": "firedoor",
        "version": env!("CARGO_PKG_VERSION"),
        "active_zone": *report.zones[report.active].name,
        "epoch": report.epoch,
        "generation": generation,
        "notes": health.because,
        "output": health.because.join("; "),
        "checks": checks,
    })
}

fn check(component: &ComponentReport) -> Value {
    let status = match (component.operator, component.status) {
        (Operator::Drain | Operator::Maintenance, _) | (_, Status::Unknown) => Grade::Warn,
        (Operator::Ready, Status::Down) => Grade::Fail,
        (Operator::Ready, Status::Up) if component.gray => Grade::Warn,
        (Operator::Ready, Status::Up) => Grade::Pass,
    };
    let last = component.outcomes.last().map(|last| &**last);
    let mut output = Vec::new();
    if component.operator != Operator::Ready {
        output.push(format!("in {} by an operator", component.operator));
    }
    if component.gray {
        output.push("passes its checks but fails live requests".to_owned());
    }
    match last {
        None => output.push("not probed yet".to_owned()),
        Some((_, outcome)) => output.push(outcome.to_string()),
    }
    json!({
        "componentId": component.key.to_string(),
        "componentType": match component.kind {
            ComponentKind::Backend { .. } => "backend",
            ComponentKind::Dependency { .. } => "dependency",
        },
        "status": status.as_str(),
        "time": timestamp(last.map_or(component.since, |(at, _)| *at)),
        "observedValue": last.map(|(_, outcome)| super::status::milliseconds(outcome.took)),
        "observedUnit": "ms",
        "output": output.join("; "),
    })
}

/// Whether plain text is asked for before anything else that we have.
fn wants_text(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or("").trim())
        .find_map(|media_type| match media_type {
            "text/plain" | "text/*" => Some(true),
            "application/health+json" | "application/json" | "application/*" | "*/*" => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}
