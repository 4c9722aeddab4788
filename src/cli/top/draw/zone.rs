//! The zones side by side, as fire compartments with the door between them; one under another where they have no room.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::Block;
use serde_json::Value;

use super::super::super::status::text;
use super::super::super::terminal::Tone;
use super::super::order::in_flight;
use super::super::picture::list;
use super::super::state::{Cursor, State};
use super::door::Door;
use super::row::{Columns, strong};
use super::{lines, style, traffic};

/// A zone needs so many columns to stand beside another.
const NARROWEST: u16 = 30;

/// How the zones are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Each so wide, with doors between them.
    Beside {
        width: u16,
        door: u16,
    },
    Below,
}

impl Plan {
    pub(super) fn of(state: &State, width: u16) -> Self {
        let zones = u16::try_from(state.picture.zones().len())
            .unwrap_or(u16::MAX)
            .max(1);
        // Odd, so that the wall has a middle.
        let door = if width >= 110 { 13 } else { 9 };
        let doors = (zones - 1).saturating_mul(door);
        let width = width.saturating_sub(doors) / zones;
        if width >= NARROWEST {
            Self::Beside { width, door }
        } else {
            Self::Below
        }
    }

    /// Rows that all of it would take.
    pub(super) fn height(self, state: &State) -> u16 {
        let sizes = state
            .picture
            .zones()
            .iter()
            .map(|zone| list(&zone["components"]).len());
        let rows = match self {
            Self::Beside { width, .. } => {
                let borders = 2;
                sizes.max().unwrap_or(0) + usize::from(borders + traffic::height(width - borders))
            }
            Self::Below => sizes.map(|size| size + 1).sum(),
        };
        u16::try_from(rows).unwrap_or(u16::MAX)
    }
}

/// Draws them.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, plan: Plan, now: Instant) {
    match plan {
        Plan::Beside { width, door } => beside(frame, area, state, (width, door), now),
        Plan::Below => below(frame, area, state, now),
    }
}

fn beside(frame: &mut Frame<'_>, area: Rect, state: &State, widths: (u16, u16), now: Instant) {
    let (width, door) = widths;
    let zones = state.picture.zones();
    let active = zones
        .iter()
        .position(|zone| zone["active"] == true)
        .unwrap_or(0);
    let mut x = area.x;
    for (index, zone) in zones.iter().enumerate() {
        // The last one takes what division has left over.
        let width = if index + 1 == zones.len() {
            area.right().saturating_sub(x)
        } else {
            width
        };
        let place = Rect { x, width, ..area };
        compartment(frame, place, state, index, zone, now);
        x += width;
        if let Some(next) = zones.get(index + 1) {
            // Each zone has its door on the side of the active one.
            let right = index >= active;
            let standby = if right { next } else { zone };
            let place = Rect {
                x,
                width: door,
                ..area
            };
            Door::to(standby, &state.picture).draw(frame, place, right);
            x += door;
        }
    }
}

fn compartment(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    index: usize,
    zone: &Value,
    now: Instant,
) {
    let active = zone["active"] == true;
    let verdict = text(&zone["verdict"]);
    let tone = match verdict.as_str() {
        "failed" => Tone::Bad,
        "serving" if active => Tone::Good,
        "serving" => Tone::Plain,
        _ => Tone::Doubtful,
    };
    let block = Block::bordered()
        .border_set(if active {
            border::DOUBLE
        } else {
            border::PLAIN
        })
        .border_style(style(tone))
        .title_top(name(state, index, zone))
        .title_top(Line::from(said(state, zone, area.width, now)).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let flow = state.picture.flow(zone);
    let mut rows = traffic::of_zone(flow, in_flight(zone), inner.width);
    let room = usize::from(inner.height).saturating_sub(rows.len());
    let columns = usize::from(inner.width);
    rows.extend(components(state, index, zone, columns, room, now));
    lines(frame, inner, rows);
}

fn below(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let columns = usize::from(area.width);
    let mut rows = Vec::new();
    let mut selected = 0;
    for (index, zone) in state.picture.zones().iter().enumerate() {
        if state.cursor.zone == index {
            selected = rows.len() + state.cursor.component.map_or(0, |at| at + 1);
        }
        let mut title = name(state, index, zone);
        title.push_span(Span::raw(" "));
        title.spans.extend(said(state, zone, area.width, now));
        if zone["active"] != true {
            let door = Door::to(zone, &state.picture);
            title.push_span(Span::styled(
                format!(" door {}", door.word),
                style(door.tone),
            ));
        }
        let room = columns.saturating_sub(title.width() + 1);
        let flow = traffic::in_one_row(state.picture.flow(zone), in_flight(zone), room);
        title.push_span(Span::raw(" "));
        title.spans.extend(flow.spans);
        rows.push(title);
        rows.extend(components(state, index, zone, columns, usize::MAX, now));
    }
    let height = usize::from(area.height);
    let first = (selected + 1)
        .saturating_sub(height)
        .min(rows.len().saturating_sub(height));
    lines(frame, area, rows.split_off(first));
}

/// `● fz-1 ACTIVE`
fn name(state: &State, index: usize, zone: &Value) -> Line<'static> {
    let selected = state.cursor
        == Cursor {
            zone: index,
            component: None,
        };
    let (mark, word) = if zone["active"] == true {
        ("●", " ACTIVE ")
    } else {
        ("○", " standby ")
    };
    let pinned = state.picture.status["pinned"] == zone["name"];
    let mut line = Line::from(vec![
        Span::raw(if selected { "▶" } else { " " }),
        Span::raw(format!("{mark} ")),
        Span::styled(
            text(&zone["name"]),
            strong(selected).add_modifier(Modifier::BOLD),
        ),
        Span::styled(word, style(Tone::Strong)),
    ]);
    if pinned {
        line.push_span(Span::styled("PINNED ", style(Tone::Ordered)));
    }
    line
}

/// `serving for 3 h`
fn said(state: &State, zone: &Value, columns: u16, now: Instant) -> Vec<Span<'static>> {
    let verdict = text(&zone["verdict"]);
    let word = if verdict == "failed" {
        "FAILED".to_owned()
    } else {
        verdict.clone()
    };
    let age = state.picture.age(&zone["since"], now);
    let age = if columns >= 46 {
        format!(" for {age} ")
    } else {
        " ".to_owned()
    };
    vec![
        Span::raw(" "),
        Span::styled(word, style(Tone::of(&verdict))),
        Span::styled(age, style(Tone::Faint)),
    ]
}

/// The components of a zone, in at most `room` rows, the selected one among them.
fn components(
    state: &State,
    index: usize,
    zone: &Value,
    width: usize,
    room: usize,
    now: Instant,
) -> Vec<Line<'static>> {
    let all = list(&zone["components"]);
    let columns = Columns::of(all, width, &state.picture, now);
    let selected = state
        .cursor
        .component
        .filter(|_| state.cursor.zone == index);
    let rows = all.iter().enumerate();
    let rows: Vec<Line<'_>> = rows
        .map(|(at, one)| columns.row(one, selected == Some(at), &state.picture, now))
        .collect();
    if rows.len() <= room {
        return rows;
    }
    // The last row tells how many there are besides.
    let shown = room.saturating_sub(1);
    let first = (selected.unwrap_or(0) + 1).saturating_sub(shown);
    let hidden = rows.len() - shown;
    let mut rows: Vec<Line<'_>> = rows.into_iter().skip(first).take(shown).collect();
    if room > 0 {
        rows.push(Line::styled(
            format!("   … {hidden} more"),
            style(Tone::Faint),
        ));
    }
    rows
}
