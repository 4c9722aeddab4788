//! One application.

use std::sync::Arc;
use std::time::Duration;

use super::{Check, ErrorPage};
use crate::introduction::Version;

/// `[[pool]]`: one application.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Unique.
    pub name: Arc<str>,
    /// How many of a zone's backends of this pool must be up for the zone to serve.
    pub min_healthy: MinHealthy,
    /// How its backends are checked.
    pub check: Arc<Check>,
    /// Session affinity; `None`: each request is balanced by itself.
    pub sticky: Option<Sticky>,
    /// How long a backend that has come up takes to get its whole share of the requests; zero: no time at all.
    pub slow_start: Duration,
    /// Each connection to its backends begins with a PROXY header of this version.
    pub send_proxy: Option<Version>,
    /// What people see of firedoor's own errors; the first that is for a status counts.
    pub error_pages: Vec<ErrorPage>,
}

/// `sticky = { … }`: a client's requests go where its first one went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name, a token (RFC 6265 4.1.1).
    pub cookie: Arc<str>,
    /// How long the client keeps it, from when it is set, in whole seconds; `None`: until the browser is closed.
    pub ttl: Option<Duration>,
}

/// How many backends of a pool must be up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MinHealthy {
    /// `"70%"` → 70.0, rounded up to whole backends; `"100%"`: any failed backend fails the zone.
    Percent(f64),
    /// A number of backends (no more than the zone has).
    Count(usize),
}

impl MinHealthy {
    /// How many of `total` backends must be up. Never more than `total`, never 0 for a non-empty pool unless configured so.
    pub fn of(self, total: usize) -> usize {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "0 to 100 % of a small count"
            )]
            Self::Percent(percent) => ((total as f64) * percent / 100.0).ceil() as usize,
            Self::Count(count) => count.min(total),
        }
    }
}
