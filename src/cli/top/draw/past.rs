//! What happened, newest first, each with its explanation.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

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
    let tone = tone(entry);
    let rows = message.into_iter().enumerate();
    rows.map(|(row, line)| {
        let at = if row == 0 {
            at.clone()
        } else {
            " ".repeat(at.len())
        };
        let tone = if row == 0 || tone == Tone::Plain {
            tone
        } else {
            Tone::Plain
        };
        Line::from(vec![
            Span::styled(at, style(Tone::Faint)),
            Span::styled(line, style(tone)),
        ])
    })
    .collect()
}

/// As `firedoor journal` has it, with what is well and what isn't.
fn tone(entry: &Value) -> Tone {
    let good = |good: bool| if good { Tone::Good } else { Tone::Bad };
    match entry["kind"].as_str().unwrap_or("") {
        "flip" => Tone::Strong,
        "nowhere_to_go" | "withheld" => Tone::Bad,
        "transition" if entry["to"] == "down" => Tone::Bad,
        "transition" if entry["to"] == "up" => Tone::Good,
        "verdict" => good(entry["to"] != "failed"),
        "standby" => good(entry["ready"] == true),
        "order" if entry["result"] == "refused" => Tone::Doubtful,
        "order" | "pin" | "operator_state" | "drill_begun" => Tone::Ordered,
        _ => Tone::Plain,
    }
}
