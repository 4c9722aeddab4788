//! What a route sets otherwise than `[upstream]`, `[limits]` and `[failover]` do.

use std::time::Duration;

/// The keys of `[[route]]` that have a namesake elsewhere. `None`: as there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// For a TCP connection.
    pub connect_timeout: Option<Duration>,
    /// From the request's end to the response head.
    pub response_timeout: Option<Duration>,
    /// Between two reads of a request body.
    pub body_timeout: Option<Duration>,
    /// Of a request body; `Some(None)` (0 in the file) means unlimited.
    pub max_body_size: Option<Option<u64>>,
    /// Attempts after the first.
    pub retries: Option<u32>,
    /// Statuses worth a retry, for idempotent requests only.
    pub retry_on_status: Option<Vec<u16>>,
    /// How long a request may wait for a zone; zero = never.
    pub hold_time: Option<Duration>,
    /// A request with `Idempotency-Key` counts as idempotent whatever its method. Has no namesake; `false` where it isn't set.
    pub idempotency_key: bool,
}
