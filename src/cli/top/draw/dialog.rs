//! An order, or a "what if": what would happen, how far it has come, and which keys lead on.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::super::super::terminal::{Tone, plain};
use super::super::dialog::{About, Dialog, Stage};
use super::fold::fold;
use super::style;
use super::window::Window;

/// An order, or a "what if".
pub(super) fn dialog(area: Rect, dialog: &Dialog) -> Window<'static> {
    let columns = Window::columns(area);
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
    let mut foot = vec![Line::default()];
    if !dialog.preview.is_empty() {
        let request = fold(&dialog.request(), columns, 3).into_iter();
        foot.extend(request.map(|part| Line::styled(part, style(Tone::Faint))));
        foot.push(Line::default());
    }
    foot.extend(stage(dialog, columns));
    Window {
        title: dialog.title(),
        body: rows,
        foot,
    }
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
