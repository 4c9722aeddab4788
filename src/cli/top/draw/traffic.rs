//! What flows, in one line: all of it, or that of a zone.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::super::super::terminal::Tone;
use super::super::state::State;
use super::fold::width;
use super::{lines, style};

/// All of a zone's flow stands in one row from so many columns on.
const ONE_ROW: u16 = 62;

/// All zones together, and what waits before them.
pub(super) fn totals(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let status = &state.picture.status;
    let none = Value::Null;
    let traffic = state.picture.traffic.as_ref().unwrap_or(&none);
    let held = status["holds"].as_u64().unwrap_or(0);
    let errors = &traffic["errors_per_second"];
    let mut parts = vec![
        (
            Tone::Plain,
            format!("{} req/s", rate(&traffic["requests_per_second"])),
        ),
        (tone(errors), format!("{} err/s", rate(errors))),
        (
            if held > 0 {
                Tone::Doubtful
            } else {
                Tone::Plain
            },
            format!("{held} held"),
        ),
        (
            Tone::Plain,
            format!("configuration {}", status["config_generation"]),
        ),
        (
            Tone::Plain,
            format!(
                "connections {} in, {} out",
                count(&traffic["connections"]["downstream"]),
                count(&traffic["connections"]["upstream"])
            ),
        ),
        (
            Tone::Plain,
            format!("{} flips left this hour", status["flips_left"]),
        ),
    ];
    let own = traffic["by_proxy_per_second"].as_object();
    let own: f64 = own.map_or(0.0, |own| own.values().filter_map(Value::as_f64).sum());
    if own > 0.0 {
        let own = format!("{}/s answered by firedoor itself", rate(&own.into()));
        parts.insert(2, (Tone::Doubtful, own));
    }
    if let Some(zone) = status["pinned"].as_str() {
        parts.insert(0, (Tone::Ordered, format!("pinned to {zone}")));
    }
    lines(frame, area, vec![joined(parts, usize::from(area.width))]);
}

/// Rows that a zone's flow takes in `columns` columns.
pub(super) fn height(columns: u16) -> u16 {
    if columns >= ONE_ROW { 1 } else { 2 }
}

/// What flows in one zone.
pub(super) fn of_zone(flow: Option<&Value>, in_flight: u64, columns: u16) -> Vec<Line<'static>> {
    let room = usize::from(columns);
    if height(columns) == 1 {
        return vec![in_one_row(flow, in_flight, room)];
    }
    let mut rates = parts(flow, in_flight);
    let rest = rates.split_off(2);
    vec![joined(rates, room), joined(rest, room)]
}

/// As much of it as has room in one row.
pub(super) fn in_one_row(flow: Option<&Value>, in_flight: u64, columns: usize) -> Line<'static> {
    joined(parts(flow, in_flight), columns)
}

/// Two rates, and two more figures.
fn parts(flow: Option<&Value>, in_flight: u64) -> Vec<(Tone, String)> {
    let none = Value::Null;
    let flow = flow.unwrap_or(&none);
    let errors = &flow["errors_per_second"];
    let requests = format!("{} req/s", rate(&flow["requests_per_second"]));
    let latencies = format!(
        "p50 {} p99 {} ms",
        latency(&flow["p50_ms"]),
        latency(&flow["p99_ms"])
    );
    vec![
        (Tone::Strong, requests),
        (tone(errors), format!("{} err/s", rate(errors))),
        (Tone::Plain, latencies),
        (Tone::Plain, format!("{in_flight} in flight")),
    ]
}

/// As many of `parts` as have room.
fn joined(parts: Vec<(Tone, String)>, columns: usize) -> Line<'static> {
    let mut line = Line::default();
    for (tone, part) in parts {
        let gap = if line.spans.is_empty() { 1 } else { 3 };
        if line.width() + gap + width(&part) > columns {
            break;
        }
        let gap = if line.spans.is_empty() { " " } else { " · " };
        line.push_span(Span::styled(gap, style(Tone::Faint)));
        line.push_span(Span::styled(part, style(tone)));
    }
    line
}

fn tone(errors: &Value) -> Tone {
    if errors.as_f64().is_some_and(|errors| errors > 0.0) {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

fn rate(value: &Value) -> String {
    match value.as_f64() {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

fn latency(value: &Value) -> String {
    match value.as_f64() {
        None => "–".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1}"),
        Some(ms) => format!("{ms:.0}"),
    }
}

fn count(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "–".to_owned(), |count| count.to_string())
}
