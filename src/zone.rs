//! The nouns of a zone: identities, statuses, verdicts. Plain values without behaviour that needs a clock or a socket.

use std::fmt;
use std::sync::Arc;

/// Names a component for people: `"fz-1:postgres"`. Backends and dependencies share one name space within a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentKey {
    /// The zone's name.
    pub zone: Arc<str>,
    /// The component's name, unique in its zone.
    pub name: Arc<str>,
}

impl fmt::Display for ComponentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.zone, self.name)
    }
}

/// Identifies a component within this process, across reloads, as long as its identity (zone, name, address) stays.
/// Never reused, so that an answer for a removed component can't be taken for a new one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId(pub u32);

/// What the probes say about a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not probed yet. Neither healthy nor failed.
    #[default]
    Unknown,
    /// Healthy.
    Up,
    /// Failed `fall` times in a row.
    Down,
}

/// What the operator says about a component. `Drain` and `Maintenance` components count neither way for their zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operator {
    /// Takes part.
    #[default]
    Ready,
    /// Gets nothing new, finishes what it has.
    Drain,
    /// Gets nothing, isn't judged.
    Maintenance,
}

/// The conclusion about a zone. The reasons stand in [`crate::health::verdict`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Not every component that counts has been probed yet, and none has failed.
    #[default]
    Unknown,
    /// All that is required is up.
    Serving,
    /// A required dependency is down, or some pool has fewer backends up than its `min_healthy`.
    Failed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

impl Operator {
    /// The state of this name, as it is displayed.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Ready, Self::Drain, Self::Maintenance];
        all.into_iter().find(|state| state.to_string() == name)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Serving => "serving",
            Self::Failed => "failed",
        })
    }
}
