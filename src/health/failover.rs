//! Which zone is active: one function over all zones together, never over one alone. Pure.
//!
//! | active zone | best other zone | decision |
//! |---|---|---|
//! | Serving / Unknown | any | stay (failback aside) |
//! | Failed | Serving | flip to the first Serving zone in config order |
//! | Failed | none Serving, but one serves strictly more | flip, degraded |
//! | Failed | none better | stay, nowhere to go |
//! | a standby | preferred Serving for `failback_after` | by `failback` |
//! | pinned | any | stay, and say what would have been done |
//!
//! The comparison is what makes a shared failure harmless: when the database of both zones or our own uplink is gone, every
//! zone has failed alike, and a flip would only add an outage of its own.

mod situation;
pub mod window;

use std::time::Duration;

use crate::config::Failback;
use crate::health::report::Cause;
use crate::health::verdict::Conclusion;
use crate::zone::Verdict;

pub use crate::health::failover::situation::{Situation, Standing};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Stay {
        /// In words.
        because: String,
        /// When time alone may change the decision.
        again: Option<Duration>,
    },
    /// Make another zone active.
    Flip(Plan),
    /// The active zone failed, and no other is better.
    NowhereToGo {
        /// Why it failed, and why each other zone is no better.
        reasons: Vec<String>,
    },
    /// A flip would be right, but a rule forbids it.
    Withheld {
        /// Index of the zone that would have become active.
        to: usize,
        /// Which rule: `pinned`, `min_stay`, `max_flips_per_hour`, `failback_window`, `promote_command`.
        rule: &'static str,
        /// In words.
        explanation: String,
        /// When time alone may change the decision.
        again: Option<Duration>,
    },
    /// The preferred zone could have the traffic back, if an operator says so.
    FailbackPossible,
}

/// A flip, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Index of the zone to enter.
    pub to: usize,
    /// What kind of flip.
    pub cause: Cause,
    /// The rule that decided, in words.
    pub rule: String,
    /// What is behind it. Never empty.
    pub reasons: Vec<String>,
    /// What else was considered, and why it was not done.
    pub alternatives: Vec<String>,
    /// The zone to enter can serve something, but isn't `Serving`. One that an operator or a configuration makes active unjudged isn't called so.
    pub degraded: bool,
    /// Requests wait until the zone that is left has drained: nothing is broken, so nothing has to be hurried.
    pub planned: bool,
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Decision {
    match situation.active().verdict {
        Verdict::Failed => leave_failed(situation),
        Verdict::Serving | Verdict::Unknown => fail_back(situation),
    }
}

fn leave_failed(situation: &Situation<'_>) -> Decision {
    let active = situation.name(situation.active);
    let wait_for = |what: String| Decision::Stay {
        because: format!("{active} has failed, but {what}"),
        // Bounded: every probe ends, if only by its timeout.
        again: None,
    };
    let unjudged = situation
        .others()
        .any(|(_, other)| other.conclusion.verdict == Verdict::Unknown);
    let to = if let Some(to) = situation.first_serving() {
        to
    } else if let Some(other) = situation.first_in_doubt() {
        // What ails both zones at once (a shared database, our own uplink) shows in one of them some milliseconds earlier.
        return wait_for(format!("{} is in doubt", situation.name(other)));
    } else if situation.starting && unjudged {
        // Before the first request there is time to hear the other zones out; later there isn't.
        return wait_for("not every other zone is judged yet".to_owned());
    } else if let Some(to) = situation.serves_more() {
        to
    } else if unjudged {
        return wait_for("no other zone is judged yet".to_owned());
    } else {
        return nowhere_to_go(situation);
    };
    let plan = situation.plan_failover(to);
    if let Some(withheld) = situation.forbidden(to, &plan.rule) {
        return withheld;
    }
    Decision::Flip(plan)
}

fn nowhere_to_go(situation: &Situation<'_>) -> Decision {
    let mut reasons = situation.reasons_of(situation.active);
    reasons.extend(
        situation
            .others()
            .map(|(index, _)| situation.why_not(index)),
    );
    if situation.zones.len() == 1 {
        reasons.push("there is no other zone".to_owned());
    } else if situation.failed_together() {
        reasons.push(
            "all zones have failed at once: our own network? or something that they share?"
                .to_owned(),
        );
    }
    Decision::NowhereToGo { reasons }
}

/// The active zone is not failed: only the way back to the preferred one remains.
fn fail_back(situation: &Situation<'_>) -> Decision {
    let active = situation.name(situation.active);
    let verdict = in_words(situation.active().verdict);
    let stay = |why: String, again| Decision::Stay {
        because: format!("{active} {verdict}{why}"),
        again,
    };
    if situation.active == 0 {
        return stay(String::new(), None);
    }
    if situation.drilling {
        return stay(", and a drill is under way".to_owned(), None);
    }
    let preferred = &situation.zones[0];
    let name = preferred.name;
    if preferred.conclusion.verdict != Verdict::Serving {
        let verdict = in_words(preferred.conclusion.verdict);
        return stay(format!(", and the preferred zone {name} {verdict}"), None);
    }
    if !situation.is_fit(0) {
        return stay(format!(", and {name} can't serve as much"), None);
    }
    let wait = situation
        .policy
        .failback_after
        .saturating_sub(preferred.lasted);
    if !wait.is_zero() {
        let after = situation.policy.failback_after;
        return stay(
            format!(", and {name} has been serving for less than {after:?}"),
            Some(wait),
        );
    }
    let opens_in = match &situation.policy.failback {
        Failback::Manual if situation.pinned => return stay(" and pinned".to_owned(), None),
        Failback::Manual => return Decision::FailbackPossible,
        Failback::Auto => None,
        Failback::Window(window) => window::opens_in(window, situation.wall),
    };
    let rule = format!(
        "{name} is preferred and has been serving for {:?} (failback_after)",
        situation.policy.failback_after
    );
    if let Some(opens_in) = opens_in {
        return Decision::Withheld {
            to: 0,
            rule: "failback_window",
            explanation: format!("{rule}, but the failback window is closed"),
            again: Some(opens_in),
        };
    }
    if let Some(withheld) = situation.forbidden(0, &rule) {
        return withheld;
    }
    let pause = situation.promotion_pause;
    if !pause.is_zero() {
        return Decision::Withheld {
            to: 0,
            rule: "promote_command",
            explanation: format!("{rule}, but promote_command has failed: next attempt later"),
            again: Some(pause),
        };
    }
    Decision::Flip(Plan {
        to: 0,
        cause: Cause::Failback,
        rule,
        reasons: vec![situation.describe(0)],
        alternatives: situation.all_but_preferred(),
        degraded: false,
        planned: true,
    })
}

impl Situation<'_> {
    fn plan_failover(&self, to: usize) -> Plan {
        let degraded = self.zones[to].conclusion.verdict != Verdict::Serving;
        let (active, target) = (self.name(self.active), self.name(to));
        let mut alternatives = vec![format!("stay: {active} has failed")];
        for (index, other) in self.others().filter(|(index, _)| *index != to) {
            alternatives.push(if self.is_fit(index) && other.in_doubt {
                format!("{}: serving too, but in doubt", other.name)
            } else if self.is_fit(index) {
                format!(
                    "{}: serving too, but {target} comes first in the configuration",
                    other.name
                )
            } else {
                self.why_not(index)
            });
        }
        Plan {
            to,
            cause: Cause::Failover,
            rule: if degraded {
                format!(
                    "{active} has failed, no zone is serving, and {target} can serve more than {active}"
                )
            } else {
                format!(
                    "{active} has failed, and {target} is the first serving zone in the configuration"
                )
            },
            reasons: self.reasons_of(self.active),
            alternatives,
            degraded,
            planned: false,
        }
    }

    /// The rules that keep the door where it is although `why` says otherwise.
    fn forbidden(&self, to: usize, why: &str) -> Option<Decision> {
        let withheld = |rule, because: String, again| {
            Some(Decision::Withheld {
                to,
                rule,
                explanation: format!("{why}, but {because}"),
                again,
            })
        };
        let active = self.name(self.active);
        if self.pinned {
            return withheld("pinned", format!("{active} is pinned"), None);
        }
        let wait = self.stayed.map_or(Duration::ZERO, |stayed| {
            self.policy.min_stay.saturating_sub(stayed)
        });
        // Staying protects running work. A zone that leaves some pool without any backend has none to protect there.
        let cannot_serve = self.active().verdict == Verdict::Failed && !self.active().serves.all();
        if !wait.is_zero() && !cannot_serve {
            let because = format!(
                "the last flip was less than {:?} (min_stay) ago",
                self.policy.min_stay
            );
            return withheld("min_stay", because, Some(wait));
        }
        if self.flips_left == 0 {
            let max = self.policy.max_flips_per_hour;
            let because = format!(
                "there have been {max} automatic flips (max_flips_per_hour) within an hour: something swings"
            );
            return withheld("max_flips_per_hour", because, self.next_flip_in);
        }
        None
    }
}

/// `fz-1 has failed: postgres is down …`
pub fn describe(name: &str, conclusion: &Conclusion) -> String {
    let verdict = in_words(conclusion.verdict);
    if conclusion.reasons.is_empty() {
        format!("{name} {verdict}")
    } else {
        format!("{name} {verdict}: {}", conclusion.reasons.join("; "))
    }
}

fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "isn't judged yet",
        Verdict::Serving => "is serving",
        Verdict::Failed => "has failed",
    }
}

impl Decision {
    /// In words, as a report shows it.
    pub fn describe(&self, situation: &Situation<'_>) -> String {
        match self {
            Self::Stay { because, .. } => format!("stay: {because}"),
            Self::Flip(plan) => format!("flip to {}: {}", situation.name(plan.to), plan.rule),
            Self::NowhereToGo { reasons } => format!("stay: nowhere to go: {}", reasons.join("; ")),
            Self::Withheld {
                explanation, rule, ..
            } => format!("stay ({rule}): {explanation}"),
            Self::FailbackPossible => format!(
                "stay: {}; failback to {} is possible",
                situation.describe(situation.active),
                situation.name(0)
            ),
        }
    }

    /// When time alone may change it.
    pub fn again(&self) -> Option<Duration> {
        match self {
            Self::Stay { again, .. } | Self::Withheld { again, .. } => *again,
            Self::Flip(_) | Self::NowhereToGo { .. } | Self::FailbackPossible => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on ends")]
mod tests;
