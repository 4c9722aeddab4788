//! What was known when a flip was decided: its journal entry carries it, so that one line is enough for an audit. Pure.

use crate::health::checker::{Checker, Zone};
use crate::health::failover::{self, Plan};
use crate::health::report::{Cause, ComponentKind, ComponentReport};
use crate::health::status::EVIDENCE;
use crate::zone::{Operator, Status};

/// Components told of one flip at most, so that a zone of hundreds doesn't make a line that nobody can read.
const MOST: usize = 16;

impl Checker {
    /// The components behind `plan`: those that ail the zone which is left, or, where a flip needs no failure, the zone which
    /// is entered, each with its last outcomes. Whoever ailed first comes first.
    pub(super) fn evidence(&self, plan: &Plan) -> Vec<ComponentReport> {
        let (zone, failed) = match plan.cause {
            Cause::Failover => (&self.zones[self.active], true),
            Cause::Failback | Cause::Operator | Cause::Drill | Cause::Reload => {
                (&self.zones[plan.to], false)
            }
        };
        let mut known = zone.report(&self.config).components;
        // Not one of them ails where live requests failed a zone as a whole: then all of them are the evidence.
        if failed && known.iter().any(ails) {
            known.retain(ails);
            known.sort_by_key(|component| component.since);
        }
        known.truncate(MOST);
        for component in &mut known {
            let told = if ails(component) { EVIDENCE } else { 1 };
            let past = component.outcomes.len().saturating_sub(told);
            component.outcomes.drain(..past);
        }
        known
    }

    /// Why neither staying nor any other zone was chosen, where that was no comparison: `why` holds for all other zones.
    pub(super) fn passed_over(&self, to: usize, why: &str) -> Vec<String> {
        let active = &self.zones[self.active];
        let stay = format!(
            "stay: {}",
            failover::describe(&active.name, &active.conclusion)
        );
        let others = self.zones.iter().enumerate();
        let others = others.filter(|(index, _)| *index != to && *index != self.active);
        let refused = others.map(|(_, zone): (usize, &Zone)| {
            let state = failover::describe(&zone.name, &zone.conclusion);
            format!("{state}; but {why}")
        });
        std::iter::once(stay).chain(refused).collect()
    }
}

/// Whether its zone has reason to miss it.
fn ails(component: &ComponentReport) -> bool {
    let well =
        component.status == Status::Up && component.operator == Operator::Ready && !component.gray;
    !well && component.kind != (ComponentKind::Dependency { required: false })
}
