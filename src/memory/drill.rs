//! A drill, as a process must know of its predecessor's: it returns also after a restart.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A drill that was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// The zone that is returned to.
    pub zone: String,
    /// The zone that has the traffic meanwhile.
    pub away: String,
    /// When the other zone got it.
    pub since: Timestamp,
    /// When it returns.
    pub until: Timestamp,
    /// The operator's own words.
    pub reason: Option<String>,
    /// Why it is on its way back already, if it returns early.
    pub aborted: Option<String>,
    /// Milliseconds that the way out took.
    pub left_ms: u64,
    /// Requests and failures before it.
    pub before: [u64; 2],
    /// Requests and failures in the other zone, as of when this was stored.
    pub during: [u64; 2],
    /// Requests held, as of when this was stored.
    pub held: u64,
}

impl Drill {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "zone": self.zone,
            "away": self.away,
            "since": self.since.to_string(),
            "until": self.until.to_string(),
            "reason": self.reason,
            "aborted": self.aborted,
            "left_ms": self.left_ms,
            "before": self.before,
            "during": self.during,
            "held": self.held,
        })
    }

    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let time = |name: &str| json[name].as_str()?.parse().ok();
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let pair = |name: &str| [number(&json[name][0]), number(&json[name][1])];
        Some(Self {
            zone: text("zone")?,
            away: text("away")?,
            since: time("since")?,
            until: time("until")?,
            reason: text("reason"),
            aborted: text("aborted"),
            left_ms: number(&json["left_ms"]),
            before: pair("before"),
            during: pair("during"),
            held: number(&json["held"]),
        })
    }
}
