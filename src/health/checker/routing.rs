//! What the data path gets to know. Pure.

use std::time::Instant;

use crate::config::Pool;
use crate::health::checker::{Checker, Zone};
use crate::health::status::Role;
use crate::moment::Moment;
use crate::snapshot::{Admission, BackendState, Routing};
use crate::zone::{Operator, Verdict};

impl Checker {
    /// The routing truth now. Equal to the last one: nothing to publish.
    pub fn routing(&self) -> Routing {
        let hold = self.starting || self.pending.is_some();
        Routing {
            epoch: self.epoch,
            active: self.active,
            admission: if hold {
                Admission::Hold
            } else {
                Admission::Open
            },
            next: self.next(),
            trial: self.trial().filter(|_| !hold),
            verdicts: self.zones.iter().map(Zone::verdict).collect(),
            backends: self.backend_states(),
        }
    }

    /// Requests wait until the active zone is known to serve, or until every zone is judged and the decision has chosen.
    /// Bounded, since every probe ends.
    pub(super) fn settle_start(&mut self) {
        let active = &self.zones[self.active];
        let judged = |zone: &Zone| zone.verdict() != Verdict::Unknown;
        let ready = match active.verdict() {
            Verdict::Serving => active.knows_homes(&self.config.pools),
            Verdict::Unknown | Verdict::Failed => self.zones.iter().all(judged),
        };
        if self.starting && ready {
            self.starting = false;
            self.stale = true;
        }
    }

    fn backend_states(&self) -> Vec<Vec<BackendState>> {
        let zones = self.zones.iter().enumerate();
        let states = zones.map(|(index, zone)| {
            let active = index == self.active;
            zone.backend_states(active.then_some(self.active_since.instant))
        });
        states.collect()
    }

    /// The zone that a flip in sight would make active: that of a planned flip, or the first serving one as soon as a probe of
    /// the active zone has failed. Live trouble alone doesn't count: an application that answers 500 now and then would keep
    /// the standby warm for ever.
    fn next(&self) -> Option<usize> {
        if let Some(pending) = &self.pending {
            return Some(pending.plan.to);
        }
        let active = &self.zones[self.active];
        let in_sight = active.verdict() == Verdict::Failed
            || active.components.iter().any(|c| c.counts() && c.in_doubt());
        let others = self.zones.iter().enumerate();
        others
            .filter(|(index, _)| in_sight && !self.pinned && *index != self.active)
            .find(|(_, zone)| zone.verdict() == Verdict::Serving)
            .map(|(index, _)| index)
    }
}

impl Zone {
    /// Whether each backend where a sticky session may be at home has been probed once. A pool can serve without some of them,
    /// but requests let in before would move sessions away from backends that are well.
    pub(super) fn knows_homes(&self, pools: &[Pool]) -> bool {
        self.components.iter().all(|c| match c.role {
            Role::Backend { pool } => {
                let probed = c.outcomes().next().is_some();
                probed || pools[pool].sticky.is_none() || c.operator == Operator::Maintenance
            }
            Role::Dependency { .. } => true,
        })
    }

    /// After any of its components has changed.
    pub(super) fn notice_absences(&mut self, now: Moment) {
        for component in &mut self.components {
            component.notice_absence(now);
        }
    }

    /// `active_since` is when it became the active zone, if it is. Who was in it before that is not fresh: in a standby
    /// everybody is equally idle, however long.
    fn backend_states(&self, active_since: Option<Instant>) -> Vec<BackendState> {
        let is_later = |at: &Instant| active_since.is_some_and(|since| *at > since);
        let backends = self
            .components
            .iter()
            .filter(|c| matches!(c.role, Role::Backend { .. }));
        backends
            .map(|backend| BackendState {
                id: backend.id,
                status: backend.status,
                operator: backend.operator,
                gray: backend.ejected,
                fresh_since: backend.fresh_since.filter(is_later),
            })
            .collect()
    }
}
