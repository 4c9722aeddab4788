//! `[failover]`: when the traffic goes to another zone, and how it returns.

use std::time::Duration;

use crate::config::raw::Section;
use crate::config::{Failback, Failover, Gray};

use super::values::{DURATION, PERIOD, WINDOW};

#[derive(Clone, Copy)]
enum Kind {
    Manual,
    Auto,
    Window,
}

/// `[failover]`
pub(super) fn failover(section: &Section<'_>) -> Failover {
    section.choice("mode", &[("active-passive", ())], &["active-active"]);
    section.later_unless("spill", "off");
    Failover {
        failback: failback(section),
        failback_after: section
            .read("failback_after", &DURATION)
            .unwrap_or(Duration::from_secs(5 * 60)),
        min_stay: section
            .read("min_stay", &DURATION)
            .unwrap_or(Duration::from_secs(10)),
        max_flips_per_hour: section.number("max_flips_per_hour", 1..=3600).unwrap_or(12),
        hold_time: section
            .read("hold_time", &DURATION)
            .unwrap_or(Duration::from_secs(5)),
        hold_requests: section
            .number("hold_requests", 0..=10_000_000)
            .unwrap_or(10_000),
        gray: section
            .choice(
                "gray",
                &[
                    ("report", Gray::Report),
                    ("eject", Gray::Eject),
                    ("fail-zone", Gray::FailZone),
                ],
                &[],
            )
            .unwrap_or_default(),
        promote_command: program(
            section,
            "promote_command",
            "write program and arguments, like [\"/usr/local/bin/promote\", \"--now\"]",
        ),
        promote_timeout: section
            .read("promote_timeout", &PERIOD)
            .unwrap_or(Duration::from_secs(10)),
    }
}

/// Without a shell: what a name or a reason contains can't become a command. A path of the program is relative to the
/// configuration's folder, as all paths are; a bare name is looked for in `PATH`.
pub(super) fn program(section: &Section<'_>, key: &'static str, hint: &str) -> Vec<String> {
    let Some(items) = section
        .item(key)
        .and_then(|item| item.list("a list of strings", hint))
    else {
        return Vec::new();
    };
    let mut argv: Vec<String> = items
        .iter()
        .filter_map(|item| Some(item.text()?.value))
        .collect();
    if let (Some(program), Some(item)) = (argv.first_mut(), items.first()) {
        if program.is_empty() {
            item.refuse("not a program", hint);
        } else if program.contains('/') {
            *program = section.folder().join(&*program).display().to_string();
        }
    }
    argv
}

/// A window may stand in the file without being used, so that an operator can switch between the kinds.
fn failback(section: &Section<'_>) -> Failback {
    let kind = section.choice(
        "failback",
        &[
            ("manual", Kind::Manual),
            ("auto", Kind::Auto),
            ("window", Kind::Window),
        ],
        &[],
    );
    let item = section.item("failback_window");
    let window = item.as_ref().and_then(|item| item.read(&WINDOW));
    match (kind.unwrap_or(Kind::Manual), window) {
        (Kind::Auto, _) => Failback::Auto,
        (Kind::Window, Some(window)) => Failback::Window(window),
        (Kind::Window, None) if item.is_none() => {
            section.miss(
                "failback_window",
                "failback = \"window\" needs a window",
                "add failback_window = \"03:00-04:00 Europe/Berlin\"",
            );
            Failback::Manual
        }
        (Kind::Window, None) | (Kind::Manual, _) => Failback::Manual,
    }
}
