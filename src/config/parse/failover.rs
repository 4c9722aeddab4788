//! `[failover]`: when the traffic goes to another zone, and how it returns.

use std::time::Duration;

use crate::config::raw::Section;
use crate::config::{Failback, Failover, Gray};

use super::values::{DURATION, WINDOW};

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
    }
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
