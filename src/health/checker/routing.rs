//! What the data path gets to know. Pure.

use crate::health::checker::{Checker, Zone};
use crate::health::status::Role;
use crate::snapshot::{Admission, BackendState, Routing};
use crate::zone::Verdict;

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
            verdicts: self.zones.iter().map(Zone::verdict).collect(),
            backends: self.zones.iter().map(Zone::backend_states).collect(),
        }
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
    fn backend_states(&self) -> Vec<BackendState> {
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
            })
            .collect()
    }
}
