//! A drill across a restart: it returns all the same. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Drill, Phase};
use crate::health::checker::Checker;
use crate::health::report::{DrillOutcome, Share};
use crate::memory;
use crate::moment::Moment;

impl Checker {
    /// A drill that an earlier process has begun.
    pub(in crate::health::checker) fn recall_drill(
        &mut self,
        memory: Option<memory::Drill>,
        now: Moment,
    ) {
        let Some(memory) = memory else { return };
        let drill = Drill::recall(memory, now);
        let away = drill.away == self.zones[self.active].name;
        self.drills.current = Some(drill);
        if !away {
            let explanation = "firedoor was restarted before the other zone had the traffic";
            self.end_drill(DrillOutcome::NotBegun, explanation.to_owned(), now);
        }
    }

    /// What a later process must know of the drill.
    pub(in crate::health::checker) fn remember_drill(&self) -> Option<memory::Drill> {
        let drill = self.drills.current.as_ref()?;
        Some(drill.remember(self.drills.held))
    }
}

impl Drill {
    fn recall(memory: memory::Drill, now: Moment) -> Self {
        let between = |from: Timestamp, to: Timestamp| {
            Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
        };
        let length = between(memory.since, memory.until);
        let ago = between(memory.since, now.wall);
        let instant = now.instant.checked_sub(ago).unwrap_or(now.instant);
        let since = Moment {
            instant,
            wall: memory.since,
        };
        // A clock that was set back must not make it longer.
        let left = between(now.wall, memory.until).min(length);
        let share = |[requests, failures]: [u64; 2]| Share { requests, failures };
        Self {
            home: Arc::from(memory.zone),
            away: Arc::from(memory.away),
            length,
            reason: memory.reason,
            phase: Phase::Away,
            flip_begun: now.instant,
            left_in: Duration::from_millis(memory.left_ms),
            since,
            until: Moment {
                instant: now.instant + left,
                wall: memory.until,
            },
            aborted: memory.aborted,
            before: share(memory.before),
            during: share(memory.during),
            held_earlier: memory.held,
            held_before: 0,
        }
    }

    fn remember(&self, held: u64) -> memory::Drill {
        let pair = |share: Share| [share.requests, share.failures];
        memory::Drill {
            zone: self.home.to_string(),
            away: self.away.to_string(),
            since: self.since.wall,
            until: self.until.wall,
            reason: self.reason.clone(),
            aborted: self.aborted.clone(),
            left_ms: u64::try_from(self.left_in.as_millis()).unwrap_or(0),
            before: pair(self.before),
            during: pair(self.during),
            held: self.held(held),
        }
    }
}
