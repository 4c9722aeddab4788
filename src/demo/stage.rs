//! What is played on: the demo's components, to break, hang and heal, by its own port and by the admin listener.

use std::sync::Arc;

use super::component::{Component, Condition};

/// All components of the demo.
#[derive(Clone, Debug)]
pub(crate) struct Stage(Arc<[Arc<Component>]>);

impl Stage {
    /// With these.
    pub(super) fn new(components: impl IntoIterator<Item = Arc<Component>>) -> Self {
        Self(components.into_iter().collect())
    }

    /// Each component's name, condition in words, and address.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (&str, &'static str, String)> {
        self.0.iter().map(|component| {
            (
                &*component.name,
                component.condition().as_str(),
                component.address.to_string(),
            )
        })
    }

    /// Breaks, hangs or heals one component, or all of a zone, and says who is how now. An error says which names there are.
    pub(crate) fn put(&self, name: &str, condition: Condition) -> Result<Vec<String>, String> {
        let whole_zone = format!("{name}:");
        let meant: Vec<_> = self
            .0
            .iter()
            .filter(|component| component.name == name || component.name.starts_with(&whole_zone))
            .collect();
        if meant.is_empty() {
            let known: Vec<&str> = self.0.iter().map(|c| &*c.name).collect();
            return Err(format!(
                "there is no {name:?}; there are {}",
                known.join(", ")
            ));
        }
        let said = meant.into_iter().map(|component| {
            component.put(condition);
            format!("{} is {}", component.name, condition.as_str())
        });
        Ok(said.collect())
    }
}
