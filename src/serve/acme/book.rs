//! What has become of each certificate by ACME, for operators.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

/// The state of every certificate that is wanted. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct OrderBook(Arc<Mutex<Vec<Entry>>>);

/// One certificate.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whom it is for.
    pub name: String,
    /// Who is asked for it.
    pub directory: String,
    /// How it stands.
    pub stage: Stage,
    /// The last second of the one in force, since 1970.
    pub until: Option<i64>,
    /// When the next order is due.
    pub next: Option<Timestamp>,
    /// Orders that have failed since the last that didn't.
    pub failures: u32,
    /// When the last of them did, and why.
    pub trouble: Option<(Timestamp, String)>,
    /// Whether a restart would find it.
    pub stored: bool,
}

/// How it stands with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// An order is under way, or about to be.
    Ordering,
    /// The last order has failed.
    Failing,
    /// It has been obtained.
    Valid,
}

impl Stage {
    /// As it stands in `/v1/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordering => "ordering",
            Self::Failing => "failing",
            Self::Valid => "valid",
        }
    }
}

impl OrderBook {
    /// As of the last look, by authority and name.
    pub fn entries(&self) -> Vec<Entry> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn write(&self, entries: Vec<Entry>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    }
}
