//! All that is known of one component, or of a zone.

use std::time::Instant;

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::super::super::status::{clock, outcome, text, texts};
use super::super::super::terminal::{Tone, plain};
use super::super::picture::{full_name, list};
use super::super::state::State;
use super::fold::{cut, fold};
use super::row::{mark, state as observed};
use super::style;
use super::window::Window;

/// All that is known of the selected component, or of a zone.
pub(super) fn detail(area: Rect, state: &State, now: Instant) -> Option<Window<'static>> {
    let zone = state.zone()?;
    Some(match state.component() {
        Some(component) => of_component(area, state, (zone, component), now),
        None => of_zone(area, state, zone, now),
    })
}

fn of_zone(area: Rect, state: &State, zone: &Value, now: Instant) -> Window<'static> {
    let columns = Window::columns(area);

    let verdict = text(&zone["verdict"]);
    let mut rows = vec![Line::from(vec![
        Span::styled(verdict.clone(), style(Tone::of(&verdict))),
        Span::raw(format!(" for {}", state.picture.age(&zone["since"], now))),
    ])];
    for reason in texts(&zone["reasons"]) {
        rows.extend(fold(&reason, columns, 3).into_iter().map(Line::raw));
    }
    Window {
        title: text(&zone["name"]),
        body: rows,
        foot: keys("a activate · p pin · x what if it fails · Esc close"),
    }
}

fn of_component(
    area: Rect,
    state: &State,
    (zone, component): (&Value, &Value),
    now: Instant,
) -> Window<'static> {
    let columns = Window::columns(area);
    let (sign, tone) = mark(component);
    let kind = match component["kind"].as_str() {
        Some("backend") => format!("backend of pool {}", text(&component["pool"])),
        _ if component["required"] == true => "required".to_owned(),
        _ => "not required".to_owned(),
    };
    let mut rows = vec![
        pair(
            "observed",
            tone,
            format!(
                "{sign} {} for {}",
                observed(component),
                state.picture.age(&component["since"], now)
            ),
        ),
        pair("operator", Tone::Ordered, text(&component["operator"])),
        pair(
            "configured",
            Tone::Plain,
            format!("{kind}, {}", text(&component["address"])),
        ),
    ];
    if let Some(requests) = component["in_flight"].as_u64() {
        rows.push(pair("in flight", Tone::Plain, requests.to_string()));
    }
    if component["hastened_by"].is_string() {
        let sign = text(&component["hastened_by"]);
        rows.push(pair(
            "noticed by",
            Tone::Plain,
            format!("a live request first: {sign}"),
        ));
    }
    rows.push(Line::default());
    rows.push(Line::styled("last transitions", style(Tone::Strong)));
    for turn in list(&component["transitions"]).iter().rev().take(5) {
        let because = turn["because"]
            .as_str()
            .map_or_else(String::new, |why| format!(": {}", plain(why)));
        let line = format!(
            " {}  {} → {}{because}",
            clock(&turn["at"]),
            text(&turn["from"]),
            text(&turn["to"])
        );
        rows.push(Line::raw(cut(&line, columns)));
    }
    rows.push(Line::default());
    rows.push(Line::styled("last checks", style(Tone::Strong)));
    for known in list(&component["outcomes"]).iter().rev().take(8) {
        let tone = if known["passed"] == true {
            Tone::Plain
        } else {
            Tone::Bad
        };
        let line = format!(
            " {}  {}",
            state.picture.clock(&known["time"]),
            outcome(known)
        );
        let look = style(tone).remove_modifier(Modifier::BOLD);
        rows.push(Line::styled(cut(&line, columns), look));
    }
    Window {
        title: full_name(zone, component),
        body: rows,
        foot: keys("d drain · m maintenance · r ready · x what if it fails · Esc close"),
    }
}

fn keys(keys: &'static str) -> Vec<Line<'static>> {
    vec![Line::default(), Line::styled(keys, style(Tone::Faint))]
}

fn pair(name: &'static str, tone: Tone, told: String) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<12}"), style(Tone::Faint)),
        Span::styled(told, style(tone)),
    ])
}
