//! What is known of a component, taken out for a recording and put back for its replay. Pure.

use std::sync::Arc;
use std::time::Instant;

use super::Component;
use crate::health::recording::Known;
use crate::health::status::schedule::Schedule;
use crate::moment::Moment;
use crate::zone::Status;

impl Component {
    /// What a replay has to know to go on from here.
    pub fn known(&self) -> Known {
        Known {
            key: self.key.clone(),
            address: self.address.to_string(),
            interval: self.check.interval,
            timeout: self.check.timeout,
            status: self.status,
            since: self.since.wall,
            streak: self.streak,
            joined: self.joined,
            probing: !self.schedule.flights().is_empty(),
            last: self.outcomes.back().map(|outcome| outcome.1.clone()),
        }
    }

    /// Goes on from there, with a probe that is due at once.
    pub fn recall(&mut self, known: &Known, since: Moment, now: Moment) {
        self.status = known.status;
        self.since = since;
        self.streak = known.streak;
        self.newest = None;
        self.joined = known.joined;
        self.schedule = Schedule::due_at(now.instant);
        self.outcomes.clear();
        if let Some(last) = &known.last {
            if known.status == Status::Down {
                self.because = last.to_string();
            }
            self.outcomes.push_back(Arc::new((now.wall, last.clone())));
        }
    }

    /// When a sign asked for a probe last, if that is not settled yet.
    pub fn asked(&self) -> Option<Instant> {
        self.doubt.as_ref().and_then(|doubt| doubt.asked)
    }

    /// Whether nothing is waiting to be confirmed: the next probe comes by the interval, and if it agrees with the status,
    /// it changes nothing.
    pub fn is_settled(&self) -> bool {
        self.doubt.is_none() && self.streak == 0 && self.status != Status::Unknown
    }
}
