//! The top of the screen: who is watched and how fresh that is, the sentence, and what stands behind it.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::super::status::{duration, text};
use super::super::super::terminal::{Tone, plain};
use super::super::picture::Picture;
use super::super::state::State;
use super::super::story::{Story, decision, faults, taken_out, why};
use super::fold::{cut, fit, fold, width};
use super::{lines, style};

/// Before what stands behind the sentence.
const INDENT: usize = 9;
/// Faults that are told one by one.
const FAULTS: usize = 4;

/// The first row.
pub(super) fn bar(frame: &mut Frame<'_>, area: Rect, state: &State, now: Instant) {
    let columns = usize::from(area.width);
    let name = format!(" firedoor {} ", text(&state.picture.status["version"]));
    let bar = Style::new().add_modifier(Modifier::REVERSED);
    let (fresh, tone) = freshness(&state.picture, now);
    let fresh = cut(&fresh, columns.saturating_sub(width(&name) + 3));
    let place = columns.saturating_sub(width(&name) + width(&fresh) + 2);
    let line = Line::from(vec![
        Span::styled(name, bar.add_modifier(Modifier::BOLD)),
        Span::styled(fit(&state.address, place), bar),
        Span::styled(format!(" {fresh} "), bar.patch(style(tone))),
    ]);
    lines(frame, area, vec![line]);
}

fn freshness(picture: &Picture, now: Instant) -> (String, Tone) {
    let Some(silent) = picture.silence(now) else {
        return ("● live".to_owned(), Tone::Good);
    };
    let seconds = i64::try_from(silent.as_secs()).unwrap_or(i64::MAX);
    let seen = format!("✗ NOT CONNECTED, last seen {} ago", duration(seconds));
    (seen, Tone::Bad)
}

/// The sentence and what stands behind it, in about as many rows as there are.
pub(super) fn story(state: &State, columns: u16, now: Instant, rows: u16) -> Vec<Line<'static>> {
    let picture = &state.picture;
    let columns = usize::from(columns);
    let told = Story::of(picture, now);
    let badge = style(told.tone).add_modifier(Modifier::REVERSED | Modifier::BOLD);
    let label = format!(" {} ", told.label);
    let since = format!(
        "for {}, since {}, epoch {}",
        picture.age(&picture.status["active_since"], now),
        picture.clock(&picture.status["active_since"]),
        picture.status["epoch"]
    );
    let mut out = Vec::new();
    if let Some(why) = &picture.lost {
        let why = plain(why.lines().next().unwrap_or(""));
        let line = cut(&format!(" This is how it was. {why}"), columns);
        out.push(Line::styled(line, style(Tone::Bad)));
    }
    let used = width(&label) + width(&told.headline) + 3;
    let mut first = vec![
        Span::raw(" "),
        Span::styled(label, badge),
        Span::raw(" "),
        Span::styled(told.headline, style(Tone::Strong)),
    ];
    let beside = used + width(&since) + 2 <= columns;
    if beside {
        first.push(Span::styled(format!("  {since}"), style(Tone::Faint)));
    }
    out.push(Line::from(first));
    let mut section = |name: &str, tone: Tone, told: &str, most: usize| {
        for (at, line) in fold(told, columns.saturating_sub(INDENT + 1), most)
            .into_iter()
            .enumerate()
        {
            let name = if at == 0 { name } else { "" };
            out.push(Line::from(vec![
                Span::styled(format!(" {}", fit(name, INDENT - 1)), style(Tone::Faint)),
                Span::styled(line, style(tone)),
            ]));
        }
    };
    let short = rows < 8;
    section("", Tone::Plain, &told.hint, 2);
    if !beside {
        section("active", Tone::Plain, &since, 1);
    }
    section(
        "why",
        Tone::Plain,
        &why(picture, short),
        if short { 1 } else { 3 },
    );
    let found = faults(picture, now);
    if found.is_empty() {
        section("broken", Tone::Plain, "nothing", 1);
    }
    let most = if short { 2 } else { FAULTS };
    let whole = found.len() <= most;
    let shown = if whole { most } else { most - 1 };
    for (at, fault) in found.iter().take(shown).enumerate() {
        let name = if at == 0 { "broken" } else { "" };
        section(name, Tone::Bad, &format!("{} {}", fault.who, fault.what), 1);
    }
    if !whole {
        let more = format!("… and {} more", found.len() - shown);
        section("", Tone::Bad, &more, 1);
    }
    if let Some(decision) = decision(picture).filter(|_| !short) {
        section("decided", Tone::Plain, &decision, 2);
    }
    let out_of_service = taken_out(picture);
    if !out_of_service.is_empty() {
        let told: Vec<String> = out_of_service
            .iter()
            .map(|out| format!("{} {}", out.who, out.what))
            .collect();
        section("out", Tone::Ordered, &told.join(", "), 1);
    }
    out
}
