//! When a component is probed: one probe at a time, or a few that overlap while it is being confirmed; jittered so that a thousand
//! components don't ask in step. Pure.

use std::time::{Duration, Instant};

use crate::zone::ComponentId;

/// The probes of one component, in time.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Instant,
    round: u64,
    started: Option<Instant>,
    /// Oldest first.
    flights: Vec<Flight>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// Which.
    pub round: u64,
    /// When it was started.
    pub started: Instant,
    lost_at: Instant,
    /// What is made of its outcome.
    pub fate: Fate,
}

/// What is made of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Counts,
    /// Nothing: the check was reconfigured meanwhile, and a probe by the new one is wanted.
    Obsolete,
    /// Nothing: the status has changed meanwhile.
    Late,
}

impl Schedule {
    /// The first probe is due at `due`.
    pub fn due_at(due: Instant) -> Self {
        Self {
            due,
            round: 0,
            started: None,
            flights: Vec::new(),
        }
    }

    /// Starts a probe if one is due and fewer than `at_once` are in flight; its round. It counts as lost `patience` later.
    pub fn start(&mut self, at_once: u32, patience: Duration, now: Instant) -> Option<u64> {
        if self.next(at_once).is_none_or(|due| due > now) {
            return None;
        }
        self.round += 1;
        self.started = Some(now);
        self.flights.push(Flight {
            round: self.round,
            started: now,
            lost_at: now + patience,
            fate: Fate::Counts,
        });
        Some(self.round)
    }

    /// That probe is in flight no more.
    pub fn land(&mut self, round: u64) -> Option<Flight> {
        let index = self.flights.iter().position(|f| f.round == round)?;
        Some(self.flights.remove(index))
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

    /// What the probes in flight will say is no longer asked for (their check was reconfigured). They stay in flight, so that
    /// there are never more at once than there may be.
    pub fn make_obsolete(&mut self, now: Instant) {
        if self.flights.is_empty() {
            self.due = now;
        }
        for flight in &mut self.flights {
            flight.fate = Fate::Obsolete;
        }
    }

    /// What the probes in flight will say is about a status that is no more.
    pub fn make_late(&mut self) {
        for flight in &mut self.flights {
            if flight.fate == Fate::Counts {
                flight.fate = Fate::Late;
            }
        }
    }

    /// Which probe is the last one that was started.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The probes in flight, oldest first.
    pub fn flights(&self) -> &[Flight] {
        &self.flights
    }

    /// Whether that probe is in flight.
    pub fn awaits(&self, round: u64) -> bool {
        self.flights.iter().any(|flight| flight.round == round)
    }

    /// When the first of the probes in flight counts as lost.
    pub fn lost_at(&self) -> Option<Instant> {
        self.flights.iter().map(|flight| flight.lost_at).min()
    }

    /// A probe that counts as lost by now is in flight no more.
    pub fn land_lost(&mut self, now: Instant) -> Option<Flight> {
        let index = self.flights.iter().position(|f| f.lost_at <= now)?;
        Some(self.flights.remove(index))
    }

    /// When the next probe is to start; `None` while `at_once` are in flight.
    pub fn next(&self, at_once: u32) -> Option<Instant> {
        let room = u32::try_from(self.flights.len()).is_ok_and(|count| count < at_once);
        room.then_some(self.due)
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
