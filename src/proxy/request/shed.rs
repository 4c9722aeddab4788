//! Who is let in when a zone is too small for the load: requests of lower priority are turned away at once, so that those of
//! higher priority find room.
//!
//! One rule: **a request is let in while its own priority's requests, and the most that there lately were of all higher
//! priorities at once, leave it a place of the capacity.** The highest priority always is let in, and waits where there is no
//! place. So lower ones take whatever the higher ones don't need, and no more; and since it is the most of the last seconds that
//! counts, and not what there is at this instant, the answer doesn't swing from one request to the next.
//!
//! The tempting other rule, fixed shares of the capacity, would turn requests away while places are free. And letting lower ones
//! wait instead would put them in front of later, higher ones.
//!
//! Only a pool with backends that have a `max_in_flight`, and with routes of different priorities, has a [`Gate`]; requests for
//! all others pass without a look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_utils::CachePadded;

use crate::config::{Config, Route};
use crate::snapshot::{Snapshot, ZoneRouting};

/// Milliseconds over which the most is remembered: at least one such window, at most two.
const WINDOW: u64 = 2000;

/// The requests of every pool with a gate, zone by zone, over all workers. Cheap to clone; counts outlive snapshots and reloads.
#[derive(Clone, Debug, Default)]
pub struct Demands(Arc<Mutex<ByName>>);

/// By the names of zone and pool.
type ByName = HashMap<(Arc<str>, Arc<str>), Arc<Demand>>;

/// The requests of one pool in one zone, in flight or waiting, by priority.
#[derive(Debug, Default)]
struct Demand([CachePadded<Level>; Route::PRIORITIES]);

#[derive(Debug, Default)]
struct Level {
    here: AtomicU32,
    /// The most of a window, in its lower half; the window's number, in its upper half. Windows take turns.
    most: [AtomicU64; 2],
}

/// The way into one pool of the active zone.
pub(crate) struct Gate {
    /// `None`: some backend takes any number.
    capacity: Option<u32>,
    /// The highest priority of the pool's routes.
    highest: u8,
    demand: Arc<Demand>,
    /// The same pool in the other zones: where the load was until a flip.
    elsewhere: Vec<Arc<Demand>>,
}

/// A request that was let in; counted out when dropped.
pub(crate) struct Admitted {
    demand: Arc<Demand>,
    priority: u8,
}

impl Gate {
    /// The gate of pool `pool`, where it needs one.
    pub(crate) fn new(snapshot: &Snapshot, pool: usize, demands: &Demands) -> Option<Self> {
        let config = &snapshot.config;
        let (lowest, highest) = priorities(config, pool)?;
        let mut backends = config.zones.iter().flat_map(|zone| &zone.backends);
        let bounded = backends.any(|b| b.pool == pool && b.max_in_flight.is_some());
        if lowest == highest || !bounded {
            return None;
        }
        let name = &config.pools[pool].name;
        let demand = |zone: &ZoneRouting| demands.of(&zone.name, name);
        let others = snapshot.zones.iter().enumerate();
        Some(Self {
            capacity: capacity(&snapshot.zones[snapshot.active], pool),
            highest,
            demand: demand(&snapshot.zones[snapshot.active]),
            elsewhere: others
                .filter(|(index, _)| *index != snapshot.active)
                .map(|(_, zone)| demand(zone))
                .collect(),
        })
    }

    /// Lets a request in, or not. `now` in milliseconds of any clock that the workers nearly share.
    pub(crate) fn enter(&self, priority: u8, now: u64) -> Option<Admitted> {
        let window = now / WINDOW;
        let own = self.demand.enter(priority, window);
        // Counted out again by its drop if it isn't let in.
        let admitted = Admitted {
            demand: Arc::clone(&self.demand),
            priority,
        };
        let Some(capacity) = self.capacity.filter(|_| priority < self.highest) else {
            return Some(admitted);
        };
        let everywhere = self.elsewhere.iter().chain([&self.demand]);
        let higher = everywhere
            .map(|demand| demand.most_above(priority, window))
            .max()
            .unwrap_or(0);
        fits(capacity, own, higher).then_some(admitted)
    }
}

/// The rule: `own` requests of a priority (the one in question among them) and the most that there lately were of all higher ones
/// have room together. Pure.
fn fits(capacity: u32, own: u32, higher: u32) -> bool {
    own.saturating_add(higher) <= capacity
}

/// The lowest and highest priority of the routes to `pool`.
fn priorities(config: &Config, pool: usize) -> Option<(u8, u8)> {
    let routes = config
        .routes
        .iter()
        .filter(|route| route.pool == Some(pool));
    let priorities = routes.map(|route| route.priority);
    Some((priorities.clone().min()?, priorities.max()?))
}

/// What `pool` can take at once in `zone`; `None` if that is without limit, or if none of its backends can be picked.
fn capacity(zone: &ZoneRouting, pool: usize) -> Option<u32> {
    let backends = zone.backends.iter().filter(|b| b.pool == pool);
    let sum = backends
        .filter(|backend| backend.pickable())
        .map(|backend| backend.max_in_flight)
        .try_fold(0_u32, |sum, max| Some(sum.saturating_add(max?)))?;
    (sum > 0).then_some(sum)
}

impl Demands {
    /// For one pool in one zone. Locked for a moment, and only when there is a new snapshot.
    fn of(&self, zone: &Arc<str>, pool: &Arc<str>) -> Arc<Demand> {
        let mut demands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(zone), Arc::clone(pool));
        Arc::clone(demands.entry(key).or_default())
    }
}

impl Demand {
    /// Counts one in; how many of its priority there are now.
    fn enter(&self, priority: u8, window: u64) -> u32 {
        let level = &self.0[usize::from(priority)];
        let here = level.here.fetch_add(1, Ordering::Relaxed) + 1;
        let (new, slot) = (
            window << 32 | u64::from(here),
            &level.most[(window % 2) as usize],
        );
        // A later window counts more than any number in an earlier one.
        slot.fetch_max(new, Ordering::Relaxed);
        here
    }

    fn leave(&self, priority: u8) {
        let level = &self.0[usize::from(priority)];
        level.here.fetch_sub(1, Ordering::Relaxed);
    }

    /// The most that there were at once above `priority`, in this window and the one before. Added up level by level, which is
    /// too much if they had theirs at different times: rather room for more of them than for less.
    fn most_above(&self, priority: u8, window: u64) -> u32 {
        let above = &self.0[usize::from(priority) + 1..];
        above.iter().map(|level| level.most(window)).sum()
    }
}

impl Level {
    fn most(&self, window: u64) -> u32 {
        let here = self.here.load(Ordering::Relaxed);
        let recent = self.most.iter().filter_map(|most| {
            let most = most.load(Ordering::Relaxed);
            // The lower half is the number.
            (most >> 32 >= window.saturating_sub(1)).then_some(most as u32)
        });
        recent.max().map_or(here, |most| most.max(here))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.demand.leave(self.priority);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: u8 = 2;
    const HIGH: u8 = 7;

    fn gate(capacity: Option<u32>) -> Gate {
        Gate {
            capacity,
            highest: HIGH,
            demand: Arc::default(),
            elsewhere: vec![Arc::default()],
        }
    }

    fn enter(gate: &Gate, priority: u8, count: usize, now: u64) -> Vec<Admitted> {
        (0..count)
            .filter_map(|_| gate.enter(priority, now))
            .collect()
    }

    #[test]
    fn lower_ones_take_all_that_higher_ones_do_not_need() {
        let gate = gate(Some(10));
        let low = enter(&gate, LOW, 20, 0);
        assert_eq!(low.len(), 10);
        drop(low);
        let high = enter(&gate, HIGH, 6, 0);
        assert_eq!((high.len(), enter(&gate, LOW, 20, 0).len()), (6, 4));
    }

    #[test]
    fn the_highest_are_always_let_in() {
        let gate = gate(Some(10));
        assert_eq!(enter(&gate, HIGH, 50, 0).len(), 50);
        assert!(gate.enter(LOW, 0).is_none());
    }

    #[test]
    fn without_a_limit_all_are_let_in() {
        let gate = gate(None);
        let all = [enter(&gate, LOW, 50, 0), enter(&gate, HIGH, 50, 0)];
        assert_eq!(all.map(|admitted| admitted.len()), [50, 50]);
    }

    #[test]
    fn room_stays_reserved_for_some_seconds_and_is_given_back_then() {
        let gate = gate(Some(10));
        drop(enter(&gate, HIGH, 6, 0));
        for now in [0, WINDOW, 2 * WINDOW - 1] {
            assert_eq!(enter(&gate, LOW, 20, now).len(), 4, "at {now} ms");
        }
        assert_eq!(enter(&gate, LOW, 20, 2 * WINDOW).len(), 10);
    }

    #[test]
    fn what_the_higher_ones_needed_in_the_zone_that_was_left_is_reserved_in_the_new_one() {
        let gate = gate(Some(10));
        for _ in 0..6 {
            gate.elsewhere[0].enter(HIGH, 0);
        }
        assert_eq!(enter(&gate, LOW, 20, 0).len(), 4);
        // The same ones, arriving: no second reserve for them.
        let _high = enter(&gate, HIGH, 6, 0);
        assert_eq!(enter(&gate, LOW, 20, 0).len(), 4);
    }

    #[test]
    fn of_three_priorities_the_middle_one_gives_way_to_the_highest_only() {
        let gate = gate(Some(10));
        let _low = enter(&gate, LOW, 10, 0);
        let _high = enter(&gate, HIGH, 4, 0);
        // The lowest have all places as yet, and get no more of them: those of the middle wait for theirs.
        assert_eq!(enter(&gate, 5, 20, 0).len(), 6);
        assert!(gate.enter(LOW, 0).is_none());
    }

    #[test]
    fn whoever_is_turned_away_is_not_counted() {
        let gate = gate(Some(1));
        let first = gate.enter(LOW, 0);
        assert!(first.is_some() && gate.enter(LOW, 0).is_none());
        drop(first);
        assert!(gate.enter(LOW, 0).is_some());
    }
}
