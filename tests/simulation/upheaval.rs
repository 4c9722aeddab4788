//! Reloads and crashes.

use std::sync::Arc;
use std::time::Duration;

use firedoor::health::checker::{Checker, Input};
use firedoor::health::report::Report;

use super::World;
use crate::random;

impl World {
    pub(super) fn reload(&mut self) {
        if self.tape.is_some() {
            // A replay knows one configuration only; read once more, it changes nothing.
            self.put(Input::Config(Arc::clone(&self.watch.config)));
            return;
        }
        match self.rng.u32(0..8) {
            0 => self.failover = random::failover(&mut self.rng),
            1 => self.check = random::check(&mut self.rng),
            2 => {
                self.pools = random::pools(&mut self.rng);
                let pools = self.pools.len();
                for backend in self.zones.iter_mut().flat_map(|zone| &mut zone.backends) {
                    backend.0 %= pools;
                }
            }
            3 => self.zones = random::zones(&mut self.rng, self.pools.len()),
            4 => {
                let (a, b) = (
                    self.rng.usize(..self.zones.len()),
                    self.rng.usize(..self.zones.len()),
                );
                self.zones.swap(a, b);
            }
            _ => {
                // One zone gets a component, or loses one, or one moves.
                let zone = self.rng.usize(..self.zones.len());
                let other = random::zone(&mut self.rng, &self.zones[zone].name, self.pools.len());
                let zone = &mut self.zones[zone];
                match self.rng.u32(0..4) {
                    0 if zone.backends.len() > 1 => {
                        zone.backends.pop();
                    }
                    1 => zone.dependencies = other.dependencies,
                    2 => zone.backends[0].2 = self.rng.u16(1..4),
                    _ => {
                        let name = format!("app-{}", zone.backends.len() + 10);
                        let pool = self.rng.usize(..self.pools.len());
                        if zone.backends.len() < 6 {
                            zone.backends.push((pool, name, 1));
                        }
                    }
                }
            }
        }
        let config = Arc::new(random::build(
            &self.zones,
            &self.pools,
            &self.check,
            &self.failover,
            &mut self.rng,
        ));
        self.watch.reconfigured(&config);
        self.put(Input::Config(config));
    }

    /// A crash, and a new process that knows only what was remembered.
    pub(super) fn restart(&mut self) {
        let memory = self.checker.memory();
        let seed = self.rng.u64(..);
        let config = Arc::clone(&self.watch.config);
        let before = self.watch.report.clone();
        self.now = self.now.after(Duration::from_millis(self.rng.u64(0..5000)));
        self.checker = Checker::new(Arc::clone(&config), memory.clone(), seed, self.now);
        if let Some(twin) = &mut self.twin {
            *twin = Checker::new(config, memory.clone(), seed, self.now);
        }
        if let Some(tape) = &mut self.tape {
            tape.restart(&self.checker, memory, seed, self.now);
        }
        self.probes.clear();
        self.forgotten.clear();
        self.stale.clear();
        self.watch.restarted(&self.checker, self.now);
        self.look();
        let after = &self.watch.report;
        assert_eq!(before.epoch, after.epoch);
        assert_eq!(before.active_since, after.active_since);
        assert_eq!(before.active_because, after.active_because);
        assert_eq!(before.pinned, after.pinned);
        if let Some(drill) = &after.drill {
            assert_eq!(before.drill.as_ref(), Some(drill), "a drill out of nothing");
        }
        assert_eq!(
            before.zones[before.active].name,
            after.zones[after.active].name
        );
        let operators = |report: &Report| -> Vec<_> {
            let all = report.zones.iter().flat_map(|zone| &zone.components);
            all.map(|component| (component.key.clone(), component.operator))
                .collect()
        };
        assert_eq!(operators(&before), operators(after));
    }
}
