//! The picture on the screen: the sentence, the zones with the door between them, what flows, what happened, which keys there are.
//!
//! Everything is drawn with colours and line characters; what the terminal can't show is taken out again at the end, in one place.

mod door;
mod fold;
mod foot;
mod head;
mod look;
mod past;
mod row;
mod traffic;
mod window;
mod zone;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::state::{Panel, State};
pub(super) use look::Look;
use look::style;

/// Rows that the journal has at least, with its title.
const PAST: u16 = 4;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, look: Look, now: Instant) {
    let area = frame.area();
    if state.picture.status.is_null() {
        lines(
            frame,
            area,
            vec![Line::from("Waiting for the first status.")],
        );
    } else {
        whole(frame, area, state, now);
    }
    match &state.panel {
        Panel::Nothing => {}
        Panel::Help => window::help(frame, area),
        Panel::Detail => window::detail(frame, area, state, now),
        Panel::Dialog(dialog) => window::dialog(frame, area, dialog),
    }
    look.apply(frame.buffer_mut());
}

/// From top to bottom. Where rows are short, the journal gives way first, then the zones scroll.
fn whole(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let mut rest = area;
    let roomy = area.height >= 30;
    head::bar(frame, take(&mut rest, 1), state, now);
    let footer = take_bottom(&mut rest, 1);
    let head = head::story(state, area.width, now, rest.height.saturating_sub(8) / 2);
    if roomy {
        take(&mut rest, 1);
    }
    let head_area = take(&mut rest, head.len() as u16);
    lines(frame, head_area, head);
    if roomy {
        take(&mut rest, 1);
    }
    let plan = zone::Plan::of(state, area.width);
    let wanted = plan.height(state);
    let room = rest.height.saturating_sub(1 + PAST).max(rest.height.min(5));
    zone::draw(frame, take(&mut rest, wanted.min(room)), state, plan, now);
    traffic::totals(frame, take(&mut rest, 1), state);
    if roomy {
        take(&mut rest, 1);
    }
    past::draw(frame, rest, state);
    foot::draw(frame, footer, state);
}

/// The first rows of what is left.
fn take(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let taken = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    taken
}

/// The last rows of what is left.
fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect {
        y: rest.y + rest.height,
        height,
        ..*rest
    }
}

fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}
