//! What each client may take of firedoor, where that is limited.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// From one to the next, in the long run; 100 µs at least. `"100/s"`: 10 ms.
    pub interval: Duration,
    /// How many may come at once, after a pause. [`Self::LONGEST`] at most until all of them may come again.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Ten thousand a second.
    pub const SHORTEST: Duration = Duration::from_micros(100);
    /// How long a whole burst may take to come back.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// How long a whole burst takes to come back.
    pub fn refill(&self) -> Duration {
        self.interval.saturating_mul(self.burst.get())
    }
}

/// `[limits]`, as far as it is about each client by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerClient {
    /// Requests; `None`: as many as it likes, as everywhere here.
    pub requests: Option<Rate>,
    /// New connections.
    pub connections: Option<Rate>,
    /// Connections at once.
    pub max_connections: Option<NonZeroU32>,
    /// Who is one client.
    pub key: RateKey,
    /// Whom nothing of this is about.
    pub exempt: Vec<IpNet>,
}

/// Who is one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateKey {
    /// An IPv4 address, or an IPv6 /64: that is what one subscriber has at least, and can take 2^64 addresses of.
    #[default]
    Full,
    /// A /24 or /48, as logs show them.
    Masked,
}
