//! What is told of a process itself: that it started, what it recalled, and how the one before it ended. Plain data.

use std::fmt;
use std::sync::Arc;

/// A start, and what was found by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// firedoor's own.
    pub version: &'static str,
    /// The zone that was active; the preferred one if none was recalled.
    pub zone: Arc<str>,
    /// The epoch of that.
    pub epoch: u64,
    /// Where both were recalled from, if they were.
    pub recalled: Option<Source>,
    /// How the process before this one ended; `None`: there was none.
    pub last_end: Option<LastEnd>,
}

/// Where the active zone was recalled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `state.json`.
    State,
    /// The journal, since `state.json` was lost, or knew less.
    Journal,
}

/// How a process ended, as far as the next one can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastEnd {
    /// It was told to, and its last entry says that it did.
    InOrder,
    /// There is no such entry: it was killed, it crashed, there was no power, or the disk took nothing.
    NotInOrder,
    /// The journal tells of no start before: another version wrote it, it is gone, or the start lies too far back.
    Unknown,
}

impl Source {
    /// As the journal has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state.json",
            Self::Journal => "journal",
        }
    }
}

impl LastEnd {
    /// As the journal has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in_order",
            Self::NotInOrder => "not_in_order",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Start {
    /// `firedoor 1.2.3 started, the last one had stopped in order; fz-2 was active, epoch 3 (state.json)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "firedoor {} started, ", self.version)?;
        f.write_str(match self.last_end {
            None => "the first one here",
            Some(LastEnd::InOrder) => "the last one had stopped in order",
            Some(LastEnd::NotInOrder) => {
                "the last one had NOT STOPPED IN ORDER (killed, crashed or without power)"
            }
            Some(LastEnd::Unknown) => "how the last one ended is not known",
        })?;
        let Self { zone, epoch, .. } = self;
        match self.recalled {
            None => write!(f, "; {zone} is active"),
            Some(Source::State) => write!(f, "; {zone} was active, epoch {epoch} (state.json)"),
            Some(Source::Journal) => write!(
                f,
                "; {zone} was active, epoch {epoch} (by the journal: state.json is lost or older)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_says_in_one_line_how_the_last_process_ended_and_where_the_traffic_was() {
        let start = |recalled, last_end| {
            Start {
                version: "1.2.3",
                zone: "fz-2".into(),
                epoch: 3,
                recalled,
                last_end,
            }
            .to_string()
        };
        assert_eq!(
            start(None, None),
            "firedoor 1.2.3 started, the first one here; fz-2 is active"
        );
        assert_eq!(
            start(Some(Source::State), Some(LastEnd::InOrder)),
            "firedoor 1.2.3 started, the last one had stopped in order; fz-2 was active, epoch 3 (state.json)"
        );
        assert_eq!(
            start(Some(Source::Journal), Some(LastEnd::NotInOrder)),
            "firedoor 1.2.3 started, the last one had NOT STOPPED IN ORDER (killed, crashed or without power); \
             fz-2 was active, epoch 3 (by the journal: state.json is lost or older)"
        );
    }
}
