//! The last row: the keys, or a word about the last one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::super::terminal::{Tone, plain};
use super::super::state::State;
use super::fold::cut;
use super::{lines, style};

/// Key and word.
const KEYS: [(&str, &str); 11] = [
    ("a", "activate"),
    ("f", "failback"),
    ("p", "pin"),
    ("d", "drain"),
    ("m", "maintenance"),
    ("r", "ready"),
    ("R", "reload"),
    ("x", "what if"),
    ("⏎", "details"),
    ("?", "help"),
    ("q", "quit"),
];
/// Where rows are short, help alone tells of these.
const RARE: [&str; 2] = ["R", "⏎"];

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let columns = usize::from(area.width);
    if let Some(notice) = &state.notice {
        let notice = plain(&notice.replace('\n', " "));
        let notice = cut(&format!(" {notice}"), columns);
        lines(frame, area, vec![Line::styled(notice, style(Tone::Strong))]);
        return;
    }
    let short = |word| if word == "maintenance" { "maint" } else { word };
    let usual = KEYS.iter().filter(|(key, _)| !RARE.contains(key));
    let fitting = [
        keys(KEYS.iter(), |word| word, "  "),
        keys(KEYS.iter(), short, " "),
        keys(usual, short, " "),
    ];
    let fitting = fitting.into_iter().find(|keys| keys.width() <= columns);
    let bare = keys(KEYS.iter(), |_| "", " ");
    lines(frame, area, vec![fitting.unwrap_or(bare)]);
}

fn keys(
    keys: impl Iterator<Item = &'static (&'static str, &'static str)>,
    word: impl Fn(&'static str) -> &'static str,
    gap: &'static str,
) -> Line<'static> {
    let mut line = Line::default();
    for (key, whole) in keys {
        line.push_span(Span::raw(if line.spans.is_empty() { " " } else { gap }));
        line.push_span(Span::styled(*key, style(Tone::Strong)));
        let word = match word(whole) {
            "" => String::new(),
            word => format!(" {word}"),
        };
        line.push_span(Span::styled(word, style(Tone::Faint)));
    }
    line
}
