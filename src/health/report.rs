//! What the checker tells people: the state of everything ([`Report`]) and what changed ([`Event`]). Plain data; the admin API
//! renders it, the journal keeps it, the log says it.

mod drill;
mod order;
mod stamp;
mod start;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::outcome::{Outcome, Sign};
use crate::zone::{ComponentKey, Operator, Status, Verdict};

pub use drill::{DrillOutcome, DrillReport, DrillState, Share};
pub use order::{Giver, Order, OrderEnd, Way};
pub use stamp::{Condition, Stamp};
pub use start::{LastEnd, Source, Start};

/// The state of everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// Counts flips.
    pub epoch: u64,
    /// Index of the active zone in `zones`.
    pub active: usize,
    /// Since when it is active.
    pub active_since: Timestamp,
    /// Why it is active: the last flip's explanation, or that nothing has flipped yet.
    pub active_because: String,
    /// The pinned zone, if any.
    pub pinned: Option<Arc<str>>,
    /// A planned flip waits for the active zone to drain; its target's name.
    pub flip_pending: Option<Arc<str>>,
    /// The drill under way, if any.
    pub drill: Option<DrillState>,
    /// How many more automatic flips the budget allows now.
    pub flips_left: u32,
    /// What the decision would be now and why: "stay: fz-1 is serving", "stay: nowhere to go …".
    pub decision: String,
    /// In config order.
    pub zones: Vec<ZoneReport>,
}

/// The state of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneReport {
    /// Its name.
    pub name: Arc<str>,
    /// The conclusion about it.
    pub verdict: Verdict,
    /// Since when.
    pub since: Timestamp,
    /// Why: never empty for `Failed`.
    pub reasons: Vec<String>,
    /// Backends first, then dependencies, each in config order.
    pub components: Vec<ComponentReport>,
}

/// The state of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentReport {
    /// Zone and name.
    pub key: ComponentKey,
    /// `backend` or `dependency`.
    pub kind: ComponentKind,
    /// The configured address.
    pub address: String,
    /// What the probes say.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// What the operator says.
    pub operator: Operator,
    /// Passes its checks but fails live requests.
    pub gray: bool,
    /// What live requests saw first, where that hastened the probes which found it down.
    pub hastened_by: Option<Sign>,
    /// Newest last, at most [`KEPT`](crate::health::status::KEPT); as evidence of a flip, at most 8.
    pub outcomes: Vec<Arc<(Timestamp, Outcome)>>,
}

/// Which kind of component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentKind {
    /// An app server of this pool.
    Backend {
        /// Its pool's name.
        pool: Arc<str>,
    },
    /// Something the backends need.
    Dependency {
        /// Whether the zone fails with it.
        required: bool,
    },
}

/// Something that changed, with all that an auditor needs. `at` is wall time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// The kinds of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A component's status changed.
    Transition {
        /// Which component.
        component: ComponentKey,
        /// From.
        from: Status,
        /// To.
        to: Status,
        /// The outcomes that made it so, newest last.
        evidence: Vec<(Timestamp, Outcome)>,
        /// What live requests saw first, and hastened the probes by.
        hastened_by: Option<Sign>,
    },
    /// An operator state changed.
    OperatorState {
        /// Which component.
        component: ComponentKey,
        /// From.
        from: Operator,
        /// To.
        to: Operator,
        /// The operator's own words.
        reason: Option<String>,
    },
    /// A zone's verdict changed.
    Verdict {
        /// Which zone.
        zone: Arc<str>,
        /// From.
        from: Verdict,
        /// To.
        to: Verdict,
        /// Why.
        reasons: Vec<String>,
    },
    /// A planned flip began: new requests wait, running ones finish.
    FlipBegun {
        /// The zone that is left.
        from: Arc<str>,
        /// The zone that is entered.
        to: Arc<str>,
        /// Who wants it and why.
        reason: String,
    },
    /// `promote_command` has ended.
    Promotion {
        /// The zone that is left.
        from: Arc<str>,
        /// The zone that is entered.
        to: Arc<str>,
        /// With exit code 0, in time.
        succeeded: bool,
        /// `exit code 3`.
        how: String,
        /// The end of what it wrote.
        output: String,
        /// From its start to its end.
        took: Duration,
    },
    /// A planned flip was given up before it was committed: the active zone stays, and requests go on.
    FlipAborted {
        /// The zone that stays active.
        from: Arc<str>,
        /// The zone that would have been entered.
        to: Arc<str>,
        /// Why.
        explanation: String,
    },
    /// The active zone changed.
    Flip(Flip),
    /// The active zone failed and there is nowhere better to go; said once, until some zone could serve again.
    NowhereToGo {
        /// The active zone.
        zone: Arc<str>,
        /// Why it failed, and why each other zone is no better.
        reasons: Vec<String>,
    },
    /// A flip would have happened, but a rule forbids it; said once.
    Withheld {
        /// The zone that would have become active.
        to: Arc<str>,
        /// Which rule: `pinned`, `min_stay`, `max_flips_per_hour`, `failback_window`, `promote_command`; where the active zone is
        /// gray as a whole: `comparison` (whether that zone does better isn't known) or `same_everywhere` (it does not).
        rule: &'static str,
        /// In words.
        explanation: String,
    },
    /// The preferred zone has been serving long enough; an operator may fail back. Said once.
    FailbackPossible {
        /// The preferred zone.
        zone: Arc<str>,
    },
    /// A backend passes its checks but fails live requests (`true`), or is given another chance.
    Gray {
        /// Which backend.
        component: ComponentKey,
        /// Whether it is gray.
        gray: bool,
        /// By which numbers, and what follows from it.
        explanation: String,
    },
    /// A drill began: a standby gets the traffic for a while.
    DrillBegun {
        /// The zone that is left.
        zone: Arc<str>,
        /// The zone that takes over.
        away: Arc<str>,
        /// For how long.
        length: Duration,
        /// The operator's own words.
        reason: Option<String>,
    },
    /// A drill ended.
    DrillEnded(DrillReport),
    /// A zone was pinned (`true`) or unpinned.
    Pin {
        /// Which zone.
        zone: Arc<str>,
        /// Pinned or not.
        pinned: bool,
        /// The operator's own words.
        reason: Option<String>,
    },
    /// No other zone could take over any more (`false`), or one can again.
    Standby {
        /// Whether there is one.
        ready: bool,
        /// Which, or why none.
        explanation: String,
    },
    /// firedoor started. It stands before all else that this process tells.
    Started(Start),
    /// firedoor stopped in order. The last that its process tells.
    Stopped {
        /// Its version.
        version: &'static str,
        /// The active zone.
        zone: Arc<str>,
    },
    /// An operator gave an order. It stands before what came of it.
    Order(Order),
    /// A new configuration is in force.
    Reloaded {
        /// Its number.
        generation: u64,
        /// What changed, in words: `added fz-1:app-3`, `removed fz-2:cache`.
        changes: Vec<String>,
    },
}

/// One change of the active zone, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The epoch that begins with it.
    pub epoch: u64,
    /// The zone that was left.
    pub from: Arc<str>,
    /// The zone that was entered.
    pub to: Arc<str>,
    /// What kind of flip.
    pub cause: Cause,
    /// The rule that decided, in words.
    pub rule: String,
    /// The components and evidence behind it.
    pub reasons: Vec<String>,
    /// What was known of the components that decided, at that moment: a failover's are those that ail the zone that was left.
    pub evidence: Vec<ComponentReport>,
    /// To stay and every other zone, each with why it was refused.
    pub alternatives: Vec<String>,
    /// The new zone can serve something, but isn't `Serving`.
    pub degraded: bool,
    /// In which pools it can't take the load, and what follows from that.
    pub shedding: Vec<String>,
    /// From the first contrary outcome of the component that decided to the decision; zero for operator flips.
    pub detected_in: Duration,
}

/// Why a flip happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The active zone failed.
    Failover,
    /// The preferred zone serves again.
    Failback,
    /// An operator wanted it.
    Operator,
    /// A drill leaves a zone, or returns to it.
    Drill,
    /// The configuration no longer has the active zone.
    Reload,
}
