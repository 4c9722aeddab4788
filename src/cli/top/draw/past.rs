//! What happened, newest first, each with its explanation.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::super::super::journal::tone;
use super::super::super::status::text;
use super::super::super::terminal::Tone;
use super::super::state::State;
use super::fold::{fold, width};
use super::{lines, style};

/// Rows of one entry: a flip's whole explanation, the beginning of everything else.
const FLIP: usize = 4;
const OTHER: usize = 2;

/// As many entries as have room.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height == 0 {
        return;
    }
    let columns = usize::from(area.width);
    let title = "── what happened, newest first ";
    let rule = title.to_owned() + &"─".repeat(columns.saturating_sub(width(title)));
    let mut rows = vec![Line::styled(rule, style(Tone::Faint))];
    let room = usize::from(area.height);
    if state.picture.journal.is_empty() {
        rows.push(Line::styled(" nothing yet", style(Tone::Faint)));
    }
    for entry in state.picture.journal.iter().rev() {
        if rows.len() >= room {
            break;
        }
        rows.extend(told(state, entry, columns));
    }
    lines(frame, area, rows);
}

fn told(state: &State, entry: &Value, columns: usize) -> Vec<Line<'static>> {
    let at = format!(" {} ", state.picture.clock(&entry["at"]));
    let most = if entry["kind"] == "flip" { FLIP } else { OTHER };
    let message = fold(
        &text(&entry["message"]),
        columns.saturating_sub(at.len() + 1),
        most,
    );
    // Only what changes or endangers everything is heavy, so that it is found among the rest.
    let heavy = ["flip", "nowhere_to_go", "withheld", "standby"].map(|kind| entry["kind"] == kind);
    let mut first = style(tone(entry));
    if heavy == [false; 4] {
        first = first.remove_modifier(Modifier::BOLD);
    }
    let rows = message.into_iter().enumerate();
    rows.map(|(row, line)| {
        let (at, look) = match row {
            0 => (at.clone(), first),
            _ => (" ".repeat(at.len()), Style::new()),
        };
        Line::from(vec![
            Span::styled(at, style(Tone::Faint)),
            Span::styled(line, look),
        ])
    })
    .collect()
}
