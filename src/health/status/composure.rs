//! How little a component's silence, or trouble of those who need it, alarms after it was nothing. Pure.
//!
//! A backend with slow answers is silent again and again, and well. Each time that a probe finds it so, the pause doubles for which
//! a passed probe keeps silence from being a reason for another one, up to the `interval` between ordinary probes: from there on
//! silence adds none to those.

use std::time::{Duration, Instant};

use crate::config::Check;

/// Where `interval` is longer, silence is worth a probe as often as this all the same. After as long without silence, it is
/// something new.
const LONGEST: Duration = Duration::from_secs(10);

/// See the module's promise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Composure {
    /// After a passed probe.
    pause: Duration,
    /// When a faint sign was told last.
    told: Option<Instant>,
    /// When a probe passed last.
    passed: Option<Instant>,
}

impl Composure {
    /// A faint sign is told. Whether it is a reason for a probe.
    pub(super) fn is_alarmed(&mut self, check: &Check, now: Instant) -> bool {
        let told = self.told.replace(now);
        if told.is_none_or(|told| told + longest(check) <= now) {
            self.pause = Duration::ZERO;
        }
        self.passed.is_none_or(|passed| passed + self.pause <= now)
    }

    /// A probe has passed; `faint`: it was sent because of a faint sign.
    pub(super) fn pass(&mut self, faint: bool, check: &Check, now: Instant) {
        if faint {
            self.pause =
                (self.pause * 2).clamp(check.confirm_interval.min(longest(check)), longest(check));
        }
        self.passed = Some(now);
    }
}

fn longest(check: &Check) -> Duration {
    check.interval.min(LONGEST)
}
