//! What the data path gets to know. Pure.

use crate::health::checker::{Checker, Zone};
use crate::health::status::Role;
use crate::snapshot::{Admission, BackendState, Routing};

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
            verdicts: self.zones.iter().map(Zone::verdict).collect(),
            backends: self.zones.iter().map(Zone::backend_states).collect(),
        }
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
