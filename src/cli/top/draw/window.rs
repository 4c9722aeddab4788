//! A window over the picture.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear};

use super::super::super::terminal::Tone;
use super::fold::cut;
use super::{lines, style};

/// Columns of text at most: longer lines are hard to read.
const WIDEST: u16 = 110;

/// What stands in it.
pub(super) struct Window<'a> {
    pub(super) title: String,
    /// Cut where there is no room.
    pub(super) body: Vec<Line<'a>>,
    /// Where the keys are: stays.
    pub(super) foot: Vec<Line<'a>>,
}

impl Window<'_> {
    /// Columns within a window in `area`.
    pub(super) fn columns(area: Rect) -> usize {
        usize::from(area.width.saturating_sub(4).min(WIDEST))
    }

    /// From side to side, so that nothing peeks out beside it; at the bottom, so that the zones stay in sight.
    pub(super) fn draw(mut self, frame: &mut Frame<'_>, area: Rect) {
        let room = usize::from(area.height.saturating_sub(2));
        let body_room = room.saturating_sub(self.foot.len());
        if self.body.len() > body_room {
            self.body.truncate(body_room.saturating_sub(1));
            self.body.push(Line::styled("…", style(Tone::Faint)));
            self.body.truncate(body_room);
        }
        self.body.append(&mut self.foot);
        let height = self.body.len().min(room) + 2;
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(area.height);
        let place = Rect {
            y: area.y + area.height - height,
            height,
            ..area
        };
        let title = cut(&format!(" {} ", self.title), usize::from(area.width));
        let block = Block::bordered()
            .border_set(border::DOUBLE)
            .title_top(Line::styled(title, style(Tone::Strong)));
        let inner = block.inner(place);
        frame.render_widget(Clear, place);
        frame.render_widget(block, place);
        let margin = Rect {
            x: inner.x + 1,
            width: inner.width.saturating_sub(2),
            ..inner
        };
        lines(frame, margin, self.body);
    }
}
