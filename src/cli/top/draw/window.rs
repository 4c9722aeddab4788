//! What lies over the picture: a dialog, the details of what is selected, the keys.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::super::super::status::{clock, outcome, text, texts};
use super::super::super::terminal::{Tone, plain};
use super::super::dialog::{About, Dialog, Stage};
use super::super::picture::list;
use super::super::state::State;
use super::fold::{cut, fold};
use super::row::{mark, state as observed};
use super::{lines, style};

/// Columns of a window at most: longer lines are hard to read.
const WIDEST: u16 = 96;

/// An order, or a "what if".
pub(super) fn dialog(frame: &mut Frame<'_>, area: Rect, dialog: &Dialog) {
    let columns = columns(area);
    let mut rows = Vec::new();
    if dialog.stage == Stage::Looking {
        rows.push(Line::raw("Looking …"));
    }
    for (tone, line) in &dialog.preview {
        let indent = line.len() - line.trim_start().len();
        let margin = " ".repeat(indent.min(columns / 2));
        if line.is_empty() {
            rows.push(Line::default());
        }
        for part in fold(line, columns.saturating_sub(indent), 4) {
            rows.push(Line::styled(format!("{margin}{part}"), style(*tone)));
        }
    }
    if let Some(request) = dialog.request().filter(|_| !dialog.preview.is_empty()) {
        rows.push(Line::default());
        for part in fold(&request, columns, 3) {
            rows.push(Line::styled(part, style(Tone::Faint)));
        }
    }
    rows.push(Line::default());
    rows.extend(stage(dialog, columns));
    window(frame, area, &dialog.title(), rows);
}

/// How far it has come, and which keys lead on.
fn stage(dialog: &Dialog, columns: usize) -> Vec<Line<'static>> {
    let keys = |keys: &'static str| Line::styled(keys, style(Tone::Faint));
    let told = |tone: Tone, word: &str, said: &str| {
        let mut rows = Vec::new();
        for (at, line) in said.lines().enumerate() {
            let line = if at == 0 {
                format!("{word}{}", plain(line))
            } else {
                plain(line)
            };
            rows.extend(
                fold(&line, columns, 6)
                    .into_iter()
                    .map(|part| Line::styled(part, style(tone))),
            );
        }
        rows
    };
    let reason = || {
        let kept = usize::min(dialog.reason.chars().count(), columns.saturating_sub(28));
        let skipped = dialog.reason.chars().count() - kept;
        let end: String = dialog.reason.chars().skip(skipped).collect();
        let mut line = Line::from(vec![
            Span::styled("Reason, for the journal: ", style(Tone::Strong)),
            Span::raw(end),
        ]);
        if dialog.stage == Stage::Reason {
            line.push_span(Span::styled(
                " ",
                style(Tone::Plain).add_modifier(Modifier::REVERSED),
            ));
        }
        line
    };
    match &dialog.stage {
        Stage::Looking => vec![keys("Esc leave")],
        Stage::Blind(why) => {
            let mut rows = told(Tone::Bad, "This can't be told: ", why);
            rows.push(keys("r look again · Esc leave"));
            rows
        }
        Stage::Reason => vec![
            reason(),
            Line::default(),
            keys("Enter go on · Esc leave it"),
        ],
        Stage::Confirm => {
            let ask = match &dialog.about {
                About::Order(order) => format!("{}, now? ", plain(&order.title())),
                About::WhatIf(..) => String::new(),
            };
            let ask = Line::from(vec![
                Span::styled(ask, style(Tone::Strong)),
                Span::styled(" y ", style(Tone::Strong).add_modifier(Modifier::REVERSED)),
                Span::raw(" yes   "),
                Span::styled(" n ", style(Tone::Strong).add_modifier(Modifier::REVERSED)),
                Span::raw(" no"),
            ]);
            vec![reason(), Line::default(), ask]
        }
        Stage::UnderWay => vec![
            Line::styled("Under way …", style(Tone::Doubtful)),
            keys("Esc leave this window; the order goes on"),
        ],
        Stage::Done(said) => {
            let mut rows = told(Tone::Good, "Done: ", said);
            rows.push(keys("Enter close"));
            rows
        }
        Stage::Refused(why) => {
            let mut rows = told(Tone::Bad, "Not done: ", why);
            rows.push(keys("r look again · Enter close"));
            rows
        }
        Stage::Told => vec![keys("Enter close")],
    }
}

/// All that is known of the selected component, or of a zone.
pub(super) fn detail(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let columns = columns(area);
    let Some(zone) = state.zone() else { return };
    let Some(component) = state.component() else {
        let verdict = text(&zone["verdict"]);
        let mut rows = vec![Line::from(vec![
            Span::styled(verdict.clone(), style(Tone::of(&verdict))),
            Span::raw(format!(" for {}", state.picture.age(&zone["since"], now))),
        ])];
        for reason in texts(&zone["reasons"]) {
            rows.extend(fold(&reason, columns, 3).into_iter().map(Line::raw));
        }
        rows.push(Line::styled(
            "a activate · p pin · x what if it fails · Esc close",
            style(Tone::Faint),
        ));
        return window(frame, area, &text(&zone["name"]), rows);
    };
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
        rows.push(Line::styled(cut(&line, columns), style(tone)));
    }
    rows.push(Line::styled(
        "d drain · m maintenance · r ready · x what if it fails · Esc close",
        style(Tone::Faint),
    ));
    let name = format!("{}:{}", text(&zone["name"]), text(&component["name"]));
    window(frame, area, &name, rows);
}

fn pair(name: &'static str, tone: Tone, told: String) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<12}"), style(Tone::Faint)),
        Span::styled(told, style(tone)),
    ])
}

/// The keys, and what the signs mean.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect) {
    const KEYS: [(&str, &str); 12] = [
        ("arrows, h j k l", "select a zone or a component"),
        ("Enter", "all that is known of it"),
        ("a", "activate the selected zone: a planned flip"),
        ("f", "fail back to the preferred zone"),
        ("p", "pin the selected zone, or unpin the pinned one"),
        (
            "d  m  r",
            "drain, maintenance, ready: the selected component",
        ),
        ("R", "reload the configuration"),
        ("x", "what if the selected one fails? Changes nothing"),
        ("q", "quit"),
        ("", ""),
        (
            "✓ ✗ ? ~",
            "up, down, not known, gray (passes checks, fails requests)",
        ),
        (
            "▂▃▇✗",
            "the last checks: how long each took, or that it failed",
        ),
    ];
    let mut rows: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(key, told)| {
            Line::from(vec![
                Span::styled(format!("{key:<17}"), style(Tone::Strong)),
                Span::raw(*told),
            ])
        })
        .collect();
    rows.push(Line::default());
    rows.push(Line::raw(
        "Every change is shown first, asks for a reason, and for a y.",
    ));
    rows.push(Line::styled("Esc close", style(Tone::Faint)));
    window(frame, area, "Keys", rows);
}

/// Columns within a window.
fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(4).min(WIDEST).saturating_sub(4))
}

fn window(frame: &mut Frame<'_>, area: Rect, title: &str, rows: Vec<Line<'_>>) {
    let width = area.width.saturating_sub(4).min(WIDEST);
    let height = u16::try_from(rows.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        // At the bottom, so that the zones stay in sight; the keys there belong to the picture.
        y: area.y + area.height - height,
        width,
        height,
    };
    let title = format!(" {title} ");
    let block = Block::bordered()
        .border_set(border::DOUBLE)
        .title_top(Line::styled(
            cut(&title, usize::from(width)),
            style(Tone::Strong),
        ));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    // Where there is no room, the end counts: that is where the keys are.
    let hidden = rows.len().saturating_sub(usize::from(inner.height));
    let margin = Rect {
        x: inner.x + 1,
        width: inner.width.saturating_sub(2),
        ..inner
    };
    lines(frame, margin, rows.into_iter().skip(hidden).collect());
}
