//! When a component is probed: one probe at a time, jittered so that a thousand components don't ask in step. Pure.

use std::time::{Duration, Instant};

use crate::zone::ComponentId;

/// The probes of one component, in time.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Instant,
    round: u64,
    started: Option<Instant>,
    flight: Option<Flight>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    started: Instant,
    lost_at: Instant,
    obsolete: bool,
}

impl Schedule {
    /// The first probe is due at `due`.
    pub fn due_at(due: Instant) -> Self {
        Self {
            due,
            round: 0,
            started: None,
            flight: None,
        }
    }

    /// Starts a probe if one is due and none is in flight; its round. It counts as lost `patience` later.
    pub fn start(&mut self, patience: Duration, now: Instant) -> Option<u64> {
        if self.flight.is_some() || self.due > now {
            return None;
        }
        self.round += 1;
        self.started = Some(now);
        self.flight = Some(Flight {
            started: now,
            lost_at: now + patience,
            obsolete: false,
        });
        Some(self.round)
    }

    /// The probe in flight is no more; when it had been started.
    pub fn land(&mut self) -> Option<Instant> {
        self.flight.take().map(|flight| flight.started)
    }

    /// The next probe starts `interval` after the start of the last one, or now if that has passed.
    pub fn after(&mut self, interval: Duration, now: Instant) {
        self.due = self
            .started
            .map_or(now, |started| (started + interval).max(now));
    }

    /// Brings the next probe forward, but never closer than `confirm_interval` to the last one's start.
    pub fn hasten(&mut self, confirm_interval: Duration, now: Instant) {
        let due = self.due;
        self.after(confirm_interval, now);
        self.due = self.due.min(due);
    }

    /// The next probe starts at `due`, whatever was planned.
    pub fn move_to(&mut self, due: Instant) {
        self.due = due;
    }

    /// When the last probe was started.
    pub fn last_started(&self) -> Option<Instant> {
        self.started
    }

    /// What the probe in flight will say is no longer asked for (its check was reconfigured). It stays in flight, so that
    /// there are never two at once.
    pub fn make_obsolete(&mut self, now: Instant) {
        match &mut self.flight {
            Some(flight) => flight.obsolete = true,
            None => self.due = now,
        }
    }

    /// Whether what the probe in flight will say is no longer asked for.
    pub fn is_obsolete(&self) -> bool {
        self.flight.is_some_and(|flight| flight.obsolete)
    }

    /// Which probe is the last one that was started.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// When the probe in flight was started.
    pub fn in_flight_since(&self) -> Option<Instant> {
        self.flight.map(|flight| flight.started)
    }

    /// When the probe in flight counts as lost.
    pub fn lost_at(&self) -> Option<Instant> {
        self.flight.map(|flight| flight.lost_at)
    }

    /// When the next probe is to start; `None` while one is in flight.
    pub fn due(&self) -> Option<Instant> {
        self.flight.is_none().then_some(self.due)
    }
}

/// `interval`, a tenth longer or shorter at most. The same seed, component and round give the same result, so that histories
/// can be replayed.
pub fn jitter(interval: Duration, seed: u64, component: ComponentId, round: u64) -> Duration {
    let random = splitmix(seed ^ splitmix(u64::from(component.0) ^ splitmix(round)));
    let permille = 900 + u32::try_from(random % 201).unwrap_or(100);
    interval * permille / 1000
}

/// Steele, Lea and Flood's SplitMix64: enough to spread probes, and nothing else is asked of it.
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth_and_uses_it() {
        let interval = Duration::from_secs(1);
        let all: Vec<Duration> = (0..1000)
            .map(|round| jitter(interval, 7, ComponentId(3), round))
            .collect();
        assert!(all.iter().all(|d| (900..=1100).contains(&d.as_millis())));
        assert!(all.iter().any(|d| d.as_millis() < 910));
        assert!(all.iter().any(|d| d.as_millis() > 1090));
    }

    #[test]
    fn jitter_is_replayable_and_differs_between_components() {
        let interval = Duration::from_secs(1);
        let of = |id| -> Vec<Duration> {
            (0..20)
                .map(|round| jitter(interval, 7, ComponentId(id), round))
                .collect()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
