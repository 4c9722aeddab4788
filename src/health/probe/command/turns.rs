//! One command at a time for each component, even while a reload replaces its check.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::zone::ComponentKey;

/// Whose turn it is, by component.
#[derive(Clone, Debug, Default)]
pub(in crate::health::probe) struct Turns(Arc<Mutex<HashMap<ComponentKey, Weak<Turn>>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    /// To be held while a command of `component` runs.
    pub(super) fn of(&self, component: &ComponentKey) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(component).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::default());
        turns.insert(component.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Waits until nobody's turn it is any more.
    pub(in crate::health::probe) async fn over(&self) {
        for turn in self.held() {
            drop(turn.lock().await);
        }
    }

    fn held(&self) -> Vec<Arc<Turn>> {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.values().filter_map(Weak::upgrade).collect()
    }
}
