//! Commands in words, for the journal. Pure.

use std::fmt;

use super::Command;
use crate::zone::Operator;

impl Command {
    /// The operator's own words.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Activate { reason, .. }
            | Self::Failback { reason, .. }
            | Self::Pin { reason, .. }
            | Self::Drill { reason, .. }
            | Self::AbortDrill { reason }
            | Self::Unpin { reason, .. }
            | Self::Operator { reason, .. } => reason.as_deref(),
        }
    }
}

impl fmt::Display for Command {
    /// `activate fz-2 at once`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_once = |hold: &bool| if *hold { "" } else { " at once" };
        match self {
            Self::Activate { zone, hold, .. } => write!(f, "activate {zone}{}", at_once(hold)),
            Self::Failback { hold, .. } => write!(f, "fail back{}", at_once(hold)),
            Self::Pin { zone, .. } => write!(f, "pin {zone}"),
            Self::Unpin { zone, .. } => write!(f, "unpin {zone}"),
            Self::Drill { zone, length, .. } => {
                write!(f, "a drill that leaves {zone} for {length:?}")
            }
            Self::AbortDrill { .. } => f.write_str("return from the drill"),
            Self::Operator {
                component, state, ..
            } => match state {
                Operator::Ready => write!(f, "{component} takes part again"),
                Operator::Drain => write!(f, "drain {component}"),
                Operator::Maintenance => write!(f, "maintenance of {component}"),
            },
        }
    }
}
