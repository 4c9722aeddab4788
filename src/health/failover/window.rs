//! The daily failback window. Pure: the wall time comes in.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::FailbackWindow;

const LONGEST: Duration = Duration::from_secs(60);

/// How long until the window opens; `None` while it is open. Never more than a minute, so that a wall clock that is set (or a
/// change to summer time) is noticed.
pub fn opens_in(window: &FailbackWindow, wall: Timestamp) -> Option<Duration> {
    let local = wall.to_zoned(window.zone.clone());
    let time = local.time();
    let open = if window.from <= window.to {
        window.from <= time && time < window.to
    } else {
        time >= window.from || time < window.to
    };
    if open {
        return None;
    }
    let mut date = local.date();
    if time >= window.from {
        date = date.tomorrow().unwrap_or(date);
    }
    let opens = date.to_datetime(window.from).to_zoned(window.zone.clone());
    let wait = opens
        .ok()
        .map(|opens| opens.timestamp().duration_since(wall))
        .and_then(|wait| Duration::try_from(wait).ok())
        .unwrap_or(LONGEST);
    // Not zero while closed: the caller would ask again at once, for ever.
    Some(wait.clamp(Duration::from_millis(100), LONGEST))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on ends")]
mod tests {
    use super::*;

    fn opens(window: (&str, &str), wall: &str) -> Option<Duration> {
        let window = FailbackWindow {
            from: window.0.parse().unwrap(),
            to: window.1.parse().unwrap(),
            zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        };
        opens_in(&window, wall.parse().unwrap())
    }

    #[test]
    fn the_start_is_inside_and_the_end_is_not() {
        let window = ("03:00", "04:00");
        assert_eq!(opens(window, "2026-01-15T02:00:00Z"), None);
        assert_eq!(opens(window, "2026-01-15T02:59:59Z"), None);
        assert!(opens(window, "2026-01-15T03:00:00Z").is_some());
        assert_eq!(
            opens(window, "2026-01-15T01:59:30Z"),
            Some(Duration::from_secs(30))
        );
        // Two hours from UTC in summer.
        assert_eq!(opens(window, "2026-07-15T01:00:00Z"), None);
        assert!(opens(window, "2026-07-15T02:00:00Z").is_some());
    }

    #[test]
    fn a_window_may_cross_midnight() {
        let window = ("23:30", "00:30");
        assert_eq!(opens(window, "2026-01-15T22:30:00Z"), None);
        assert_eq!(opens(window, "2026-01-15T23:15:00Z"), None);
        assert!(opens(window, "2026-01-15T23:30:00Z").is_some());
        assert!(opens(window, "2026-01-15T12:00:00Z").is_some());
    }

    #[test]
    fn a_window_that_summer_time_swallows_never_asks_to_be_awaited_for_no_time() {
        // On 2026-03-29 the hour from 02:00 to 03:00 does not exist in Berlin.
        for minute in 0..180 {
            let wall: Timestamp = "2026-03-29T00:00:00Z".parse().unwrap();
            let wall = wall + jiff::SignedDuration::from_mins(minute);
            let wait = opens(("02:15", "02:45"), &wall.to_string());
            assert!(wait.is_none_or(|wait| !wait.is_zero()));
        }
    }
}
