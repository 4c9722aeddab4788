//! A comparison of the active zone with a standby, by live requests.
//!
//! While the decision wants to know whether a standby does better ([`crate::snapshot::Trial`]), every other safe request of the pool
//! (RFC 9110 9.2.1: it asks for nothing to be changed) is answered by that standby. Dealt out in turn, the two sides get the same
//! kind of requests at the same time, so that what makes them fail alike is the requests' or the application's own fault. Requests
//! of sessions that are at home somewhere don't take part, nor do second attempts.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderValue;

use super::prepare::Prepared;
use super::view::View;
use crate::proxy::backend::upstream::{InFlight, Upstream};
use crate::snapshot::{Snapshot, Trial};
use crate::worker::Worker;
use crate::zone::ComponentId;

/// Which side of a trial an attempt is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It takes no part in one.
    None,
    /// That of the zone whose turn it is anyway.
    Active,
    /// That of the standby.
    Standby,
}

/// One worker's part in a trial.
pub(crate) struct Dealer {
    trial: Trial,
    /// The standby's `Firedoor-Zone`.
    zone: HeaderValue,
    standby: Vec<Rc<Upstream>>,
    active: Vec<Rc<Upstream>>,
    turn: Cell<usize>,
}

impl Dealer {
    /// `upstream` has the standby's backends. `None`: there is no trial.
    pub(crate) fn new(
        snapshot: &Snapshot,
        upstream: impl Fn(ComponentId) -> Option<Rc<Upstream>>,
    ) -> Option<Self> {
        let trial = snapshot.trial?;
        let backends = |zone: usize| {
            let zone = snapshot.zones.get(zone)?;
            let of_pool = zone.backends.iter().filter(|b| b.pool == trial.pool);
            let pickable = of_pool.filter(|backend| backend.pickable());
            Some(
                pickable
                    .filter_map(|backend| upstream(backend.id))
                    .collect(),
            )
        };
        Some(Self {
            trial,
            zone: HeaderValue::from_str(&snapshot.zones.get(trial.to)?.name).ok()?,
            standby: backends(trial.to)?,
            active: backends(snapshot.active)?,
            turn: Cell::new(0),
        })
    }

    /// Whose turn it is: one zone's after the other's, and in each one backend's after the other's. By load, one that fails quickly
    /// would be asked all the time, and the others never.
    fn deal(&self, worker: usize) -> Option<InFlight> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let (backends, side) = match turn % 2 {
            0 => (&self.standby, Side::Standby),
            _ => (&self.active, Side::Active),
        };
        let mut flight = backends
            .get(turn / 2 % backends.len().max(1))?
            .enter(worker)?;
        flight.trial = side;
        Some(flight)
    }
}

impl View {
    /// As [`View::pick`]; but while there is a trial, its first attempt may be the standby's.
    pub(crate) fn pick_or_try(
        &self,
        pool: usize,
        prepared: &Prepared,
        tried: &[ComponentId],
        worker: &Worker,
    ) -> Option<InFlight> {
        let session = prepared.session.as_ref();
        let pick = || self.pick(pool, session, tried, worker.index(), worker.now());
        let at_home = || {
            let affinity = self.affinity(pool).zip(session);
            affinity.is_some_and(|(affinity, session)| affinity.home(session).is_some())
        };
        let dealer = self.dealer.as_ref().filter(|dealer| {
            prepared.safe && tried.is_empty() && dealer.trial.pool == pool && !at_home()
        });
        let Some(dealer) = dealer else {
            return pick();
        };
        dealer.deal(worker.index()).or_else(pick)
    }

    /// The zone that `flight` goes to.
    pub(crate) fn zone_of(&self, flight: &InFlight) -> &HeaderValue {
        match (&self.dealer, flight.trial) {
            (Some(dealer), Side::Standby) => &dealer.zone,
            _ => &self.zone,
        }
    }
}
