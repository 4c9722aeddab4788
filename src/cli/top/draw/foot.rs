//! The last row: the keys, or a word about the last one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::super::terminal::{Tone, plain};
use super::super::state::State;
use super::fold::cut;
use super::{lines, style};

/// Key, word, and the word where rows are short.
const KEYS: [(&str, &str, &str); 11] = [
    ("a", "activate", "activ"),
    ("f", "failback", "back"),
    ("p", "pin", "pin"),
    ("d", "drain", "drain"),
    ("m", "maintenance", "maint"),
    ("r", "ready", "ready"),
    ("R", "reload", "load"),
    ("x", "what if", "if"),
    ("⏎", "details", "info"),
    ("?", "help", "help"),
    ("q", "quit", "quit"),
];

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let columns = usize::from(area.width);
    if let Some(notice) = &state.notice {
        let notice = plain(&notice.replace('\n', " "));
        let notice = cut(&format!(" {notice}"), columns);
        lines(frame, area, vec![Line::styled(notice, style(Tone::Strong))]);
        return;
    }
    let whole = keys(|(_, word, _)| word, "  ");
    let short = keys(|(_, _, word)| word, " ");
    let bare = keys(|_| "", " ");
    let fitting = [whole, short]
        .into_iter()
        .find(|keys| keys.width() <= columns);
    lines(frame, area, vec![fitting.unwrap_or(bare)]);
}

fn keys(
    word: impl Fn((&'static str, &'static str, &'static str)) -> &'static str,
    gap: &'static str,
) -> Line<'static> {
    let mut line = Line::default();
    for key in KEYS {
        line.push_span(Span::raw(if line.spans.is_empty() { " " } else { gap }));
        line.push_span(Span::styled(key.0, style(Tone::Strong)));
        let word = match word(key) {
            "" => String::new(),
            word => format!(" {word}"),
        };
        line.push_span(Span::styled(word, style(Tone::Faint)));
    }
    line
}
