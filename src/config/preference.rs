//! Which zone comes before which.

use super::Config;

impl Config {
    /// What to say of a preference that isn't what it was `before`; zones that merely come or go behind the first one change none.
    pub fn other_preference(&self, before: &Self) -> Option<String> {
        let had = |config: &Self, name: &str| config.zones.iter().any(|zone| *zone.name == *name);
        let kept = |config: &Self, other: &Self| -> Vec<_> {
            let zones = config.zones.iter().map(|zone| &zone.name);
            zones.filter(|name| had(other, name)).cloned().collect()
        };
        let first = |config: &Self| config.zones.first().map(|zone| zone.name.clone());
        if first(self) == first(before) && kept(self, before) == kept(before, self) {
            return None;
        }
        let names: Vec<&str> = self.zones.iter().map(|zone| &*zone.name).collect();
        let (preferred, then) = names.split_first()?;
        let then = match then {
            [] => String::new(),
            then => format!(", then {}", then.join(", ")),
        };
        Some(format!("{preferred} is the preferred zone now{then}"))
    }
}
