//! `[[notify]]`: who is told of what.

use std::time::Duration;

use super::{Endpoint, Secret};

/// `[[notify]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// For logs and `/v1/status`; unique.
    pub name: String,
    /// By which means.
    pub by: Means,
    /// Of what, each once.
    pub on: Vec<Occasion>,
    /// For one attempt.
    pub timeout: Duration,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A request.
    Webhook {
        /// Where to.
        endpoint: Endpoint,
        /// What it is signed with, if it is.
        secret: Option<Secret>,
        /// For how long it is tried, from the event on.
        retry_for: Duration,
    },
    /// A program with its arguments, without a shell; never empty.
    Command(Vec<String>),
}

/// What somebody may want to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Another zone is active.
    Flip,
    /// A planned flip came to nothing.
    FlipGivenUp,
    /// The active zone has failed, and no other is better.
    NowhereToGo,
    /// No other zone could take over any more.
    StandbyLost,
    /// One can again.
    StandbyReady,
    /// A flip was withheld because there were too many.
    BudgetUsedUp,
    /// The preferred zone serves again, and waits for an operator.
    FailbackPossible,
    /// A drill is over.
    DrillEnded,
    /// A certificate that clients are shown ends soon, or has ended.
    CertificateExpiring,
    /// The journal can't be written, or the active zone can't be stored.
    JournalFailing,
}

impl Occasion {
    /// All there are, by their names, those first that are told unless something else is said.
    pub const ALL: [(&'static str, Self); 10] = [
        ("flip", Self::Flip),
        ("nowhere-to-go", Self::NowhereToGo),
        ("standby-lost", Self::StandbyLost),
        ("budget-used-up", Self::BudgetUsedUp),
        ("certificate-expiring", Self::CertificateExpiring),
        ("journal-failing", Self::JournalFailing),
        ("flip-given-up", Self::FlipGivenUp),
        ("standby-ready", Self::StandbyReady),
        ("failback-possible", Self::FailbackPossible),
        ("drill-ended", Self::DrillEnded),
    ];

    /// The first so many of [`Self::ALL`] are told unless something else is said.
    pub const USUAL: usize = 6;

    /// As the configuration names it.
    pub fn as_str(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, occasion)| *occasion == self);
        named.map_or("", |(name, _)| name)
    }
}
