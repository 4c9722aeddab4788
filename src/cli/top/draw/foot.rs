//! The last row: the keys, or a word about the last one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::super::terminal::{Tone, plain};
use super::super::state::State;
use super::fold::{cut, width};
use super::{lines, style};

/// In the order in which they are wanted.
const KEYS: [(&str, &str); 10] = [
    ("a", "activate"),
    ("f", "failback"),
    ("p", "pin"),
    ("d", "drain"),
    ("m", "maintenance"),
    ("r", "ready"),
    ("R", "reload"),
    ("x", "what if"),
    ("?", "help"),
    ("q", "quit"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let columns = usize::from(area.width);
    if let Some(notice) = &state.notice {
        let notice = plain(&notice.replace('\n', " "));
        let notice = cut(&format!(" {notice}"), columns);
        lines(frame, area, vec![Line::styled(notice, style(Tone::Strong))]);
        return;
    }
    let short = |words: &'static str| words.split(' ').next().unwrap_or("");
    let all: usize = KEYS
        .iter()
        .map(|(key, word)| width(key) + width(word) + 3)
        .sum();
    let mut line = Line::default();
    for (key, word) in KEYS {
        let word = match word {
            "maintenance" if all > columns => "maint",
            "activate" if all > columns => "activ",
            "failback" if all > columns => "back",
            "what if" if all > columns => "if",
            word => word,
        };
        let gap = if columns < 76 { " " } else { "  " };
        let word = if columns < 60 { short("") } else { word };
        line.push_span(Span::raw(if line.spans.is_empty() { " " } else { gap }));
        line.push_span(Span::styled(key, style(Tone::Strong)));
        line.push_span(Span::styled(format!(" {word}"), style(Tone::Faint)));
    }
    lines(frame, area, vec![line]);
}
