//! Everything that can go into the checker, as one value: so that it can be recorded, and go into another one. Pure.

use std::sync::Arc;

use crate::config::Config;
use crate::health::checker::{Accepted, Checker, Command, Promoted, Refusal};
use crate::health::status::Role;
use crate::moment::Moment;
use crate::outcome::{Observation, Outcome, Tally};
use crate::zone::{ComponentId, ComponentKey, Status};

/// One input. Each stands for the `handle_…` of its name.
#[derive(Clone, Debug)]
pub enum Input {
    /// A probe has finished: whose, in which round, and how.
    Outcome(ComponentId, u64, Outcome),
    /// Live requests saw a sign of trouble.
    Observation(Observation),
    /// How live requests went at a backend.
    Tally(ComponentId, Tally),
    /// An operator wants something.
    Command(Command),
    /// A new configuration.
    Config(Arc<Config>),
    /// The zone that a planned flip leaves has nothing in flight any more.
    Drained,
    /// A run of `promote_command` has ended.
    Promoted(u64, Promoted),
    /// Time has come.
    Timeout,
}

impl Checker {
    /// Takes any input. Only a command can be refused.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<Accepted, Refusal> {
        match input {
            Input::Outcome(component, round, outcome) => {
                self.handle_outcome(component, round, outcome, now);
            }
            Input::Observation(observation) => self.handle_observation(observation, now),
            Input::Tally(component, tally) => self.handle_tally(component, tally, now),
            Input::Command(command) => return self.handle_command(command, now),
            Input::Config(config) => self.handle_config(config, now),
            Input::Drained => self.handle_drained(now),
            Input::Promoted(run, end) => self.handle_promoted(run, end, now),
            Input::Timeout => self.handle_timeout(now),
        }
        Ok(Accepted::Now)
    }

    /// A component's name.
    pub fn key(&self, component: ComponentId) -> Option<&ComponentKey> {
        let (zone, slot) = self.find(component)?;
        Some(&self.zones[zone].components[slot].key)
    }

    /// Whether the outcome of that probe is still waited for.
    pub fn awaits(&self, component: ComponentId, round: u64) -> bool {
        self.find(component).is_some_and(|(zone, slot)| {
            let schedule = &self.zones[zone].components[slot].schedule;
            schedule.awaits(round)
        })
    }

    /// Which of that component's probes began last.
    pub fn last_round(&self, component: ComponentId) -> u64 {
        let found = self.find(component);
        found.map_or(0, |(zone, slot)| {
            self.zones[zone].components[slot].schedule.round()
        })
    }

    /// Whether the last outcome of that component agreed with its status.
    pub fn is_steady(&self, component: ComponentId) -> bool {
        self.find(component).is_some_and(|(zone, slot)| {
            let component = &self.zones[zone].components[slot];
            component.is_steady() && component.status != Status::Unknown
        })
    }

    /// Whose probes a sign of trouble at that component has asked for, at just this moment: its own, or those of what it needs. And
    /// whether live requests go with probes of it that nothing comes back from.
    pub fn asked_by(&self, component: ComponentId, now: Moment) -> Vec<(ComponentId, bool)> {
        let Some((zone, slot)) = self.find(component) else {
            return Vec::new();
        };
        let components = self.zones[zone].components.iter().enumerate();
        let heard = components.filter(|(at, c)| *at == slot || c.role == Role::REQUIRED);
        let asked = heard.filter(|(_, c)| c.asked() == Some(now.instant));
        asked.map(|(_, c)| (c.id, c.is_corroborated())).collect()
    }
}
