//! What is told of drills. Plain data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// A drill that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillState {
    /// The zone that was left, and is returned to.
    pub zone: Arc<str>,
    /// The zone that has the traffic meanwhile.
    pub away: Arc<str>,
    /// When it returns by itself.
    pub until: Timestamp,
    /// The operator's own words.
    pub reason: Option<String>,
}

/// What has become of a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillReport {
    /// The zone that was left.
    pub zone: Arc<str>,
    /// The zone that took over.
    pub away: Arc<str>,
    /// How it ended.
    pub outcome: DrillOutcome,
    /// Why it ended, in words.
    pub explanation: String,
    /// The operator's own words.
    pub reason: Option<String>,
    /// How long the other zone had the traffic.
    pub lasted: Duration,
    /// How long requests were held for the way out, and for the way back.
    pub held_for: (Duration, Duration),
    /// How many requests were held since it began.
    pub held: u64,
    /// How requests went in the zone that was left, within the last minute there.
    pub before: Share,
    /// How they went in the other zone.
    pub during: Share,
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillOutcome {
    /// It returned when its time was over.
    Returned,
    /// It returned early.
    Aborted,
    /// It ended without its return: the traffic is where something else has led it.
    CutShort,
    /// The way out was given up.
    NotBegun,
}

/// How many of some requests failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// All that ended.
    pub requests: u64,
    /// Those of them that got a 5xx, were cut off or never answered.
    pub failures: u64,
}

impl DrillOutcome {
    /// As the journal has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Aborted => "aborted",
            Self::CutShort => "cut_short",
            Self::NotBegun => "not_begun",
        }
    }
}

impl fmt::Display for Share {
    /// `3 of 1000 requests failed`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} requests failed", self.failures, self.requests)
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, away, .. } = self;
        match self.outcome {
            DrillOutcome::Returned => write!(f, "DRILL over, {zone} is active again")?,
            DrillOutcome::Aborted => write!(f, "DRILL ABORTED, {zone} is active again")?,
            DrillOutcome::CutShort => write!(f, "DRILL of {zone} CUT SHORT")?,
            DrillOutcome::NotBegun => return write!(f, "no drill of {zone}: {}", self.explanation),
        }
        let (out, back) = self.held_for;
        write!(
            f,
            ": {}; {away} had the traffic for {:.1?}: {} ({} in the minute before it); {} were held, \
             {out:.1?} for the way out and {back:.1?} for the way back",
            self.explanation, self.lasted, self.during, self.before, self.held
        )
    }
}
