//! The last transitions of each component, those of earlier processes too: as the journal has them, without asking it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::journal::Entry;

/// Transitions kept of one component.
const KEPT: usize = 10;
/// Components whose transitions are kept. Those that are gone give way first, since nothing new is told of them.
const COMPONENTS: usize = 1000;

/// By component, oldest first.
pub type Turns = BTreeMap<Arc<str>, VecDeque<Arc<Entry>>>;

/// Keeps them, and shows them to others.
#[derive(Debug, Default)]
pub(super) struct TurnKeeper {
    turns: Turns,
    shown: Arc<ArcSwap<Turns>>,
}

impl TurnKeeper {
    /// What others see of them.
    pub(super) fn shown(&self) -> Arc<ArcSwap<Turns>> {
        Arc::clone(&self.shown)
    }

    /// Takes from entries what is a transition. All of one go at once: each showing copies the map.
    pub(super) fn take<'e>(&mut self, entries: impl IntoIterator<Item = &'e Arc<Entry>>) {
        let mut news = false;
        for entry in entries {
            let Some(component) = transition(entry) else {
                continue;
            };
            news = true;
            let turns = self.turns.entry(component.into()).or_default();
            if turns.len() == KEPT {
                turns.pop_front();
            }
            turns.push_back(Arc::clone(entry));
        }
        if !news {
            return;
        }
        while self.turns.len() > COMPONENTS {
            let age = |turns: &VecDeque<Arc<Entry>>| turns.back().map(|entry| entry.number);
            let oldest = self.turns.iter().min_by_key(|(_, turns)| age(turns));
            let Some(oldest) = oldest.map(|(component, _)| Arc::clone(component)) else {
                break;
            };
            self.turns.remove(&oldest);
        }
        self.shown.store(Arc::new(self.turns.clone()));
    }
}

/// Whose transition an entry tells, if it is one.
fn transition(entry: &Entry) -> Option<&str> {
    (entry.json["kind"] == "transition")
        .then(|| entry.json["component"].as_str())
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(number: u64, component: &str) -> Arc<Entry> {
        Arc::new(Entry {
            number,
            event: None,
            json: json!({"kind": "transition", "component": component}),
        })
    }

    #[test]
    fn the_last_ten_of_each_component_are_kept_and_of_a_thousand_components() {
        let mut keeper = TurnKeeper::default();
        let shown = keeper.shown();
        let many: Vec<_> = (1..=15).map(|number| entry(number, "fz-1:app-1")).collect();
        keeper.take(&many);
        let numbers: Vec<u64> = shown.load()["fz-1:app-1"]
            .iter()
            .map(|entry| entry.number)
            .collect();
        assert_eq!(numbers, (6..=15).collect::<Vec<_>>());

        let others: Vec<_> = (0..COMPONENTS as u64)
            .map(|number| entry(100 + number, &format!("fz-1:gone-{number}")))
            .collect();
        keeper.take(&others);
        assert_eq!(shown.load().len(), COMPONENTS);
        assert!(!shown.load().contains_key("fz-1:app-1"), "the oldest goes");
    }
}
