//! The keys, and what the signs mean.

use ratatui::text::{Line, Span};

use super::super::super::terminal::Tone;
use super::style;
use super::window::Window;

/// The keys, and what the signs mean.
pub(super) fn help() -> Window<'static> {
    const KEYS: [(&str, &str); 13] = [
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
        ("D", "end the drill under way"),
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
    Window {
        title: "Keys".to_owned(),
        body: rows,
        foot: vec![Line::styled("Esc close", style(Tone::Faint))],
    }
}
