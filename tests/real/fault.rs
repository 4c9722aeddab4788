//! What goes wrong in `fz-1`, and how it is put right again.

use std::fmt;

use crate::namespace::Namespace;
use crate::zones::Zone;

/// A fault of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An app server's master and workers get SIGKILL: connections are refused.
    Killed,
    /// An app server's master and workers get SIGSTOP: connections are accepted, answers never come.
    Frozen,
    /// The database aborts every connection and is gone.
    DatabaseStopped,
    /// Every packet to and from an app server vanishes.
    BlackHole,
    /// An app server answers 500 to everything.
    Answers500,
}

impl Fault {
    /// All of them that can happen on this machine; says so where one can't.
    pub fn possible() -> Vec<Self> {
        let mut faults = vec![
            Self::Killed,
            Self::Frozen,
            Self::DatabaseStopped,
            Self::BlackHole,
            Self::Answers500,
        ];
        if !Namespace::allowed() {
            eprintln!(
                "\n*** SKIPPED: the black hole needs root, to make a network namespace. Nothing below says anything about it. ***\n"
            );
            faults.retain(|fault| *fault != Self::BlackHole);
        }
        faults
    }

    /// Whether the broken app server swallows requests instead of refusing them.
    pub fn hangs(self) -> bool {
        matches!(self, Self::Frozen | Self::BlackHole)
    }

    /// The app server that is broken, if it is one.
    pub fn server(self) -> Option<&'static str> {
        match self {
            Self::Killed | Self::Frozen | Self::Answers500 => Some("app-1"),
            Self::BlackHole => Some("app-2"),
            Self::DatabaseStopped => None,
        }
    }

    /// Makes it happen.
    pub fn strike(self, zone: &mut Zone) {
        match self {
            Self::Killed => zone.servers[0].kill(),
            Self::Frozen => zone.servers[0].freeze(),
            Self::DatabaseStopped => zone.database.stop_immediately(),
            Self::BlackHole => zone.servers[1]
                .namespace()
                .expect("made for this")
                .swallow_packets(),
            Self::Answers500 => zone.servers[0].break_answers(),
        }
    }

    /// Puts it right, and waits until the zone is healthy.
    pub fn heal(self, zone: &mut Zone) {
        match self {
            Self::Killed => zone.servers[0].launch(),
            Self::Frozen => zone.servers[0].thaw(),
            Self::DatabaseStopped => zone.database.resume(),
            Self::BlackHole => zone.servers[1]
                .namespace()
                .expect("made for this")
                .pass_packets(),
            Self::Answers500 => zone.servers[0].mend_answers(),
        }
        for server in &zone.servers {
            server.wait_until_healthy();
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Killed => "kill -9",
            Self::Frozen => "SIGSTOP",
            Self::DatabaseStopped => "database stopped",
            Self::BlackHole => "black hole",
            Self::Answers500 => "answers 500",
        })
    }
}
