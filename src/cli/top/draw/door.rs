//! The fire door between the active zone and a standby: could the traffic get there?

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use serde_json::Value;

use super::super::super::status::text;
use super::super::super::terminal::Tone;
use super::super::picture::Picture;
use super::super::story::active;
use super::style;

/// How a door stands.
#[derive(Debug, PartialEq)]
pub(super) struct Door {
    pub(super) word: &'static str,
    pub(super) tone: Tone,
    sign: Sign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// The traffic could go there, or goes.
    Way,
    Flow,
    Queue,
    Shut,
    Locked,
    Unknown,
}

impl Door {
    /// The door to `zone`, which isn't active.
    pub(super) fn to(zone: &Value, picture: &Picture) -> Self {
        let status = &picture.status;
        let door = |word, tone, sign| Self { word, tone, sign };
        if status["flip_pending"] == zone["name"] {
            return door("FLIPPING", Tone::Doubtful, Sign::Flow);
        }
        if status["admission"] == "hold" {
            return door("HOLDING", Tone::Bad, Sign::Queue);
        }
        if status["pinned"].is_string() {
            return door("PINNED", Tone::Ordered, Sign::Locked);
        }
        match zone["verdict"].as_str() {
            Some("failed") => return door("SHUT", Tone::Bad, Sign::Shut),
            Some("serving") => {}
            _ => return door("UNKNOWN", Tone::Doubtful, Sign::Unknown),
        }
        if status["drill"].is_object() {
            return door("DRILL", Tone::Ordered, Sign::Way);
        }
        let withheld = text(&status["decision"]).starts_with("stay (");
        if withheld && active(picture)["verdict"] == "failed" {
            return door("WITHHELD", Tone::Bad, Sign::Shut);
        }
        door("OPEN", Tone::Good, Sign::Way)
    }

    /// A wall as high as the zones, with the door in it. `right`: the standby is on that side.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect, right: bool) {
        let leaf = match (self.sign, right) {
            (Sign::Way, true) => "───▶",
            (Sign::Way, false) => "◀───",
            (Sign::Flow, true) => "▶▶▶▶",
            (Sign::Flow, false) => "◀◀◀◀",
            (Sign::Queue, true) => "║║║▶",
            (Sign::Queue, false) => "◀║║║",
            (Sign::Shut, _) => "━━╳━━",
            (Sign::Locked, _) => "■",
            (Sign::Unknown, _) => "?",
        };
        let height = usize::from(area.height);
        let gap = 4.min(height);
        let above = (height - gap) / 2;
        let mut wall = vec![Line::raw("║"); above];
        let door = [
            Line::raw("╨"),
            Line::styled(leaf, style(self.tone)),
            Line::styled(self.word, style(self.tone).bold()),
            Line::raw("╥"),
        ];
        wall.extend(door.into_iter().take(gap));
        wall.resize(height, Line::raw("║"));
        frame.render_widget(Paragraph::new(wall).alignment(Alignment::Center), area);
    }
}
