//! One component in one row: what its checks say, what an operator says, and its recent latencies.

use std::time::Instant;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::super::super::status::text;
use super::super::super::terminal::Tone;
use super::super::picture::{Picture, list};
use super::fold::{fit, width};
use super::style;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a sparkline: at least, and as many outcomes as there are.
const SPARK: (usize, usize) = (6, 32);

/// How wide the columns of a zone are. What has no room is left out: in-between times first, the name never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    name: usize,
    state: usize,
    code: usize,
    ms: usize,
    since: usize,
    spark: usize,
}

impl Columns {
    /// For the components of a zone, in rows of `room` columns.
    pub(super) fn of(components: &[Value], room: usize) -> Self {
        let widest = |cell: &dyn Fn(&Value) -> String| {
            components
                .iter()
                .map(|one| width(&cell(one)))
                .max()
                .unwrap_or(0)
        };
        let name = widest(&|one| text(&one["name"]));
        let state = widest(&state);
        let mut columns = Self {
            // Before it stand the cursor and the mark.
            name: name.min(room.saturating_sub(state + 5).max(4)),
            state,
            ..Self::default()
        };
        let mut left = room.saturating_sub(4 + columns.name + 1 + columns.state);
        let mut take = |column: &mut usize, wanted: usize| {
            if left > wanted {
                *column = wanted;
                left -= wanted + 1;
            }
        };
        take(&mut columns.code, widest(&code));
        take(&mut columns.spark, SPARK.0);
        take(&mut columns.ms, 7);
        take(&mut columns.since, 11);
        if columns.spark > 0 {
            columns.spark = (columns.spark + left).min(SPARK.1);
        }
        columns
    }

    /// The row.
    pub(super) fn row(
        self,
        component: &Value,
        selected: bool,
        picture: &Picture,
        now: Instant,
    ) -> Line<'static> {
        let (mark, tone) = mark(component);
        let code_tone = match component["operator"].as_str() {
            Some("ready") | None if component["last"]["passed"] == false => Tone::Bad,
            Some("ready") | None => Tone::Faint,
            Some(_) => Tone::Ordered,
        };
        let mut line = Line::from(vec![
            Span::raw(if selected { "▶" } else { " " }),
            Span::styled(format!("{mark} "), style(tone)),
            Span::styled(fit(&text(&component["name"]), self.name), strong(selected)),
            Span::styled(
                format!(" {}", fit(&state(component), self.state)),
                style(tone),
            ),
        ]);
        let mut column = |columns: usize, cell: String, tone: Tone| {
            if columns > 0 {
                line.push_span(Span::styled(
                    format!(" {}", fit(&cell, columns)),
                    style(tone),
                ));
            }
        };
        let since = picture.age(&component["since"], now);
        column(self.since, since, Tone::Faint);
        column(self.code, code(component), code_tone);
        let ms = component["last"]["ms"].as_f64();
        let ms = ms.map_or_else(String::new, |ms| format!("{:>7}", latency(ms)));
        column(self.ms, ms, Tone::Plain);
        if self.spark > 0 {
            line.push_span(Span::raw(" "));
            line.spans
                .extend(sparkline(list(&component["outcomes"]), self.spark));
        }
        line
    }
}

/// A mark that needs no colour.
pub(super) fn mark(component: &Value) -> (char, Tone) {
    match component["status"].as_str() {
        Some("up") if component["gray"] == true => ('~', Tone::Doubtful),
        Some("up") => ('✓', Tone::Good),
        Some("down") if component["operator"] == "ready" || component["operator"].is_null() => {
            ('✗', Tone::Bad)
        }
        // Nobody has to do anything about it: an operator has taken it out.
        Some("down") => ('✗', Tone::Doubtful),
        _ => ('?', Tone::Doubtful),
    }
}

/// What was observed.
pub(super) fn state(component: &Value) -> String {
    match component["status"].as_str() {
        Some("up") if component["gray"] == true => "gray".to_owned(),
        Some("down") => "DOWN".to_owned(),
        _ => text(&component["status"]),
    }
}

/// The last check's code; an operator's word stands instead of it.
fn code(component: &Value) -> String {
    match component["operator"].as_str() {
        Some("ready") | None => {}
        Some("drain") => return "draining".to_owned(),
        Some(_) => return text(&component["operator"]),
    }
    let last = &component["last"];
    match (last["code"].as_str(), last["status"].as_u64()) {
        (None, _) => "unchecked".to_owned(),
        (Some(_), None) => text(&last["code"]),
        (Some(_), Some(status)) => format!("{}/{status}", text(&last["code"])),
    }
}

/// `0.7 ms`, `312 ms`, `1.25 s`
pub(super) fn latency(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.2} s", ms / 1000.0)
    }
}

/// The newest outcomes, newest last: latencies as bars, failed checks as crosses. Three times the median reaches the top, so that
/// what is usual is low, and what isn't stands out.
fn sparkline(outcomes: &[Value], columns: usize) -> Vec<Span<'static>> {
    let shown = &outcomes[outcomes.len().saturating_sub(columns)..];
    let mut passed: Vec<f64> = shown
        .iter()
        .filter(|one| one["passed"] == true)
        .filter_map(|one| one["ms"].as_f64())
        .collect();
    passed.sort_by(f64::total_cmp);
    let top = passed
        .get(passed.len() / 2)
        .map_or(1.0, |median| median * 3.0)
        .max(0.1);
    let missing = " ".repeat(columns - shown.len());
    let bars = shown.iter().map(|one| {
        if one["passed"] != true {
            return Span::styled("✗", style(Tone::Bad));
        }
        let share = one["ms"].as_f64().unwrap_or(0.0) / top;
        // Saturates: a float's cast never wraps.
        let level = (share * LEVELS.len() as f64) as usize;
        let bar = LEVELS[level.min(LEVELS.len() - 1)];
        Span::styled(bar.to_string(), style(Tone::Good))
    });
    std::iter::once(Span::raw(missing)).chain(bars).collect()
}

/// What is selected, also without colours.
pub(super) fn strong(selected: bool) -> Style {
    if selected {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    } else {
        Style::new()
    }
}
