//! What operators may ask of the checker, and what becomes of it. Pure.

mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::health::checker::Checker;
use crate::health::failover::{self, Plan};
use crate::health::report::{Cause, What};
use crate::health::status::Component;
use crate::moment::Moment;
use crate::zone::{ComponentKey, Operator, Verdict};

/// What an operator may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make `zone` active.
    Activate {
        /// Its name.
        zone: String,
        /// Park new requests and let running ones finish before the flip.
        hold: bool,
        /// For the journal.
        reason: Option<String>,
    },
    /// Make the preferred zone active.
    Failback {
        /// As for `Activate`.
        hold: bool,
        /// For the journal.
        reason: Option<String>,
    },
    /// Keep `zone` active, whatever happens (flips to it first if it isn't).
    Pin {
        /// Its name.
        zone: String,
        /// For the journal.
        reason: Option<String>,
    },
    /// Make a standby active for a while, as if the active zone had failed.
    Drill {
        /// The active zone's name.
        zone: String,
        /// How long.
        length: Duration,
        /// For the journal.
        reason: Option<String>,
    },
    /// Return from the drill now.
    AbortDrill {
        /// For the journal.
        reason: Option<String>,
    },
    /// Decide freely again.
    Unpin {
        /// Its name.
        zone: String,
        /// For the journal.
        reason: Option<String>,
    },
    /// Set a component's operator state.
    Operator {
        /// The component.
        component: ComponentKey,
        /// The new state.
        state: Operator,
        /// For the journal.
        reason: Option<String>,
    },
}

/// Why a command was not carried out. `Display` names the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No zone of that name; the known ones.
    UnknownZone(String, Vec<String>),
    /// No component of that name.
    UnknownComponent(ComponentKey),
    /// The zone is active already.
    AlreadyActive(String),
    /// The zone isn't pinned.
    NotPinned(String),
    /// Another zone is pinned.
    PinnedElsewhere(String),
    /// Another planned flip is on its way.
    FlipPending(String),
    /// The zone can serve nothing; the reasons of its verdict, and what of it is about to come back.
    CannotServe(String, Vec<String>, Vec<String>),
    /// The planned flip to this zone is past the point where it could be overtaken: its `promote_command` runs.
    Promoting(String),
    /// The planned flip to this zone was given up, and why.
    GivenUp(String, String),
    /// A drill isn't possible now, or there is none; why, and the remedy.
    NoDrill(String),
    /// It was given in another state of affairs; what has changed since.
    Overtaken(Vec<String>),
    /// The process is ending.
    Stopping,
}

/// What a command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is done.
    Now,
    /// A planned flip to this zone (index) began; it commits when the old zone is drained, or at its deadline.
    FlipBegun(usize),
}

impl Checker {
    /// An operator wants something.
    pub fn handle_command(&mut self, command: Command, now: Moment) -> Result<Accepted, Refusal> {
        // Time first: the command is judged by what is true now.
        self.settle(now);
        let result = match command {
            Command::Activate { zone, hold, reason } => {
                let rule = in_words(&format!("an operator activated {zone}"), reason.as_deref());
                self.zone_named(&zone)
                    .and_then(|to| self.activate(to, hold, rule, now))
            }
            Command::Failback { hold, reason } => {
                let name = &self.zones[0].name;
                let rule = in_words(
                    &format!("an operator failed back to {name}"),
                    reason.as_deref(),
                );
                self.activate(0, hold, rule, now)
            }
            Command::Pin { zone, reason } => self
                .zone_named(&zone)
                .and_then(|to| self.pin(to, reason, now)),
            Command::Drill {
                zone,
                length,
                reason,
            } => self.begin_drill(&zone, length, reason, now),
            Command::AbortDrill { reason } => self.abort_drill(reason.as_deref(), now),
            Command::Unpin { zone, reason } => self
                .zone_named(&zone)
                .and_then(|zone| self.unpin(zone, reason, now)),
            Command::Operator {
                component,
                state,
                reason,
            } => self.set_operator(&component, state, reason, now),
        };
        self.settle(now);
        match result {
            Ok(Accepted::FlipBegun(to)) if self.active == to => Ok(Accepted::Now),
            result => result,
        }
    }

    fn activate(
        &mut self,
        to: usize,
        hold: bool,
        rule: String,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        if to == self.active {
            return Err(Refusal::AlreadyActive(self.zones[to].name.to_string()));
        }
        self.may_flip(to, !hold)?;
        self.flip(self.plan_operator(to, hold, rule), now);
        Ok(match &self.pending {
            Some(pending) => Accepted::FlipBegun(pending.plan.to),
            None => Accepted::Now,
        })
    }

    fn pin(&mut self, to: usize, reason: Option<String>, now: Moment) -> Result<Accepted, Refusal> {
        let zone = Arc::clone(&self.zones[to].name);
        if to == self.active {
            if let Some(pending) = &self.pending {
                return Err(Refusal::FlipPending(
                    self.zones[pending.plan.to].name.to_string(),
                ));
            }
            if self.pinned {
                return Ok(Accepted::Now);
            }
        } else {
            self.may_flip(to, true)?;
            let rule = in_words(&format!("an operator pinned {zone}"), reason.as_deref());
            self.flip(self.plan_operator(to, false, rule), now);
        }
        self.pinned = true;
        self.stale = true;
        let what = What::Pin {
            zone,
            pinned: true,
            reason,
        };
        self.tell(what, now);
        Ok(Accepted::Now)
    }

    fn unpin(
        &mut self,
        zone: usize,
        reason: Option<String>,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        let name = Arc::clone(&self.zones[zone].name);
        if !self.pinned || zone != self.active {
            return Err(Refusal::NotPinned(name.to_string()));
        }
        self.pinned = false;
        self.stale = true;
        let what = What::Pin {
            zone: name,
            pinned: false,
            reason,
        };
        self.tell(what, now);
        Ok(Accepted::Now)
    }

    fn set_operator(
        &mut self,
        key: &ComponentKey,
        state: Operator,
        reason: Option<String>,
        now: Moment,
    ) -> Result<Accepted, Refusal> {
        let mut all = self.zones.iter_mut().flat_map(|zone| {
            let stale = &mut zone.stale;
            let detected_in = &mut zone.detected_in;
            zone.components
                .iter_mut()
                .find(|c| c.key == *key)
                .map(|c| (c, stale, detected_in))
        });
        let Some((component, stale, detected_in)) = all.next() else {
            return Err(Refusal::UnknownComponent(key.clone()));
        };
        let from = std::mem::replace(&mut component.operator, state);
        if from == state {
            return Ok(Accepted::Now);
        }
        *stale = true;
        *detected_in = Duration::ZERO;
        let what = What::OperatorState {
            component: key.clone(),
            from,
            to: state,
            reason,
        };
        self.tell(what, now);
        Ok(Accepted::Now)
    }

    /// Whether an operator may make `to` active. `at_once` may overtake a planned flip to the same zone.
    fn may_flip(&mut self, to: usize, at_once: bool) -> Result<(), Refusal> {
        let target = &self.zones[to];
        if let Some(refusal) = self.refuse_to_overtake_promotion() {
            return Err(refusal);
        }
        if self.pinned {
            return Err(Refusal::PinnedElsewhere(
                self.zones[self.active].name.to_string(),
            ));
        }
        if let Some(pending) = &self.pending
            && !(at_once && pending.plan.to == to)
        {
            return Err(Refusal::FlipPending(
                self.zones[pending.plan.to].name.to_string(),
            ));
        }
        if target.conclusion.serves.nothing() {
            let mut reasons = target.conclusion.reasons.clone();
            if reasons.is_empty() {
                reasons.push("none of its backends may be picked".to_owned());
            }
            let returning = target.components.iter().filter_map(Component::return_told);
            return Err(Refusal::CannotServe(
                target.name.to_string(),
                reasons,
                returning.collect(),
            ));
        }
        self.pending = None;
        Ok(())
    }

    /// Once the promotion has begun the old zone may no longer be written to: only the command's end tells where to go.
    pub(super) fn refuse_to_overtake_promotion(&self) -> Option<Refusal> {
        let pending = self.pending.as_ref()?;
        let zone = self.zones[pending.plan.to].name.to_string();
        self.draining()
            .is_none()
            .then_some(Refusal::Promoting(zone))
    }

    pub(super) fn plan_operator(&self, to: usize, hold: bool, rule: String) -> Plan {
        let target = &self.zones[to];
        Plan {
            to,
            cause: Cause::Operator,
            reasons: vec![failover::describe(&target.name, &target.conclusion)],
            rule,
            alternatives: self.passed_over(to, "the operator's choice was another"),
            // Not one that merely isn't judged yet: nobody knows that it can serve only a part.
            degraded: target.verdict() == Verdict::Failed,
            planned: hold,
        }
    }

    pub(super) fn zone_named(&self, name: &str) -> Result<usize, Refusal> {
        let found = self.zones.iter().position(|zone| &*zone.name == name);
        found.ok_or_else(|| {
            let known = self.zones.iter().map(|zone| zone.name.to_string());
            Refusal::UnknownZone(name.to_owned(), known.collect())
        })
    }
}

pub(super) fn in_words(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) if !reason.trim().is_empty() => format!("{what} ({})", reason.trim()),
        _ => what.to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownZone(name, known) => {
                write!(
                    f,
                    "there is no zone {name:?}: the zones are {}",
                    known.join(", ")
                )
            }
            Self::UnknownComponent(key) => {
                write!(
                    f,
                    "there is no component {key}: `firedoor status` lists them as zone:name"
                )
            }
            Self::AlreadyActive(zone) => {
                write!(
                    f,
                    "{zone} is active already; to keep it so, `firedoor zone pin {zone}`"
                )
            }
            Self::NotPinned(zone) => write!(f, "{zone} isn't pinned: there is nothing to undo"),
            Self::PinnedElsewhere(zone) => {
                write!(f, "{zone} is pinned: first `firedoor zone unpin {zone}`")
            }
            Self::FlipPending(zone) => write!(
                f,
                "a planned flip to {zone} is waiting for requests to finish: wait for it, or `firedoor zone activate {zone} --no-hold`"
            ),
            Self::CannotServe(zone, reasons, returning) => {
                write!(
                    f,
                    "{zone} can't serve anything now: {}; ",
                    reasons.join("; ")
                )?;
                match &returning[..] {
                    [] => f.write_str("bring it up first"),
                    returning => write!(f, "but {}: try again then", returning.join(", ")),
                }
            }
            Self::Promoting(zone) => write!(
                f,
                "promote_command is running for the planned flip to {zone}: wait for its end"
            ),
            Self::GivenUp(zone, why) => {
                write!(f, "the planned flip to {zone} was given up: {why}")
            }
            Self::NoDrill(why) => f.write_str(why),
            Self::Overtaken(changes) => write!(
                f,
                "things have changed since the status that this was ordered by: {}; look again, and order it again if it is still right",
                changes.join("; ")
            ),
            Self::Stopping => f.write_str("firedoor is stopping: ask the next one"),
        }
    }
}

impl std::error::Error for Refusal {}
