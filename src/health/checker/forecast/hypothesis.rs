//! What is supposed: which components are down and which are up, by the names that people use. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::closest;
use crate::health::checker::Checker;
use crate::zone::ComponentKey;

/// Components that are supposed to be down or up. No component is both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hypothesis {
    /// Those that fail their probes.
    pub down: BTreeSet<ComponentKey>,
    /// Those that pass them.
    pub up: BTreeSet<ComponentKey>,
}

/// A name that says nothing. `Display` names the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misnomer {
    /// Nothing is called so; what may have been meant.
    Unknown(String, Vec<String>),
    /// It is supposed to be both down and up.
    Both(String),
}

impl Checker {
    /// Understands names: a component's (`fz-1:postgres`) or a zone's, which means all of its components but those that are
    /// named themselves.
    pub fn suppose(&self, down: &[String], up: &[String]) -> Result<Hypothesis, Misnomer> {
        let (mut failing, mut failing_zones) = self.named(down)?;
        let (mut passing, mut passing_zones) = self.named(up)?;
        if let Some(key) = failing.intersection(&passing).next() {
            return Err(Misnomer::Both(key.to_string()));
        }
        failing_zones.retain(|key| !passing.contains(key));
        passing_zones.retain(|key| !failing.contains(key));
        if let Some(key) = failing_zones.intersection(&passing_zones).next() {
            return Err(Misnomer::Both(key.zone.to_string()));
        }
        failing.append(&mut failing_zones);
        passing.append(&mut passing_zones);
        Ok(Hypothesis {
            down: failing,
            up: passing,
        })
    }

    /// Those that are named themselves, and those of the zones that are named.
    fn named(
        &self,
        names: &[String],
    ) -> Result<(BTreeSet<ComponentKey>, BTreeSet<ComponentKey>), Misnomer> {
        let keys = || self.components().map(|component| &component.key);
        let mut themselves = BTreeSet::new();
        let mut by_zone = BTreeSet::new();
        for name in names {
            if let Some(key) = keys().find(|key| key.to_string() == *name) {
                themselves.insert(key.clone());
            } else if self.zones.iter().any(|zone| *zone.name == **name) {
                by_zone.extend(keys().filter(|key| *key.zone == **name).cloned());
            } else {
                return Err(Misnomer::Unknown(name.clone(), self.meant(name)));
            }
        }
        Ok((themselves, by_zone))
    }

    /// What may have been meant by a name that nothing has.
    fn meant(&self, name: &str) -> Vec<String> {
        let keys = || self.components().map(|component| &component.key);
        // The zone was left out.
        let in_some_zone = keys().filter(|key| *key.name == *name);
        let in_some_zone: Vec<String> = in_some_zone.map(ToString::to_string).collect();
        if !in_some_zone.is_empty() {
            return in_some_zone;
        }
        let zones = self.zones.iter().map(|zone| zone.name.to_string());
        let all: Vec<String> = zones.chain(keys().map(ToString::to_string)).collect();
        let near = closest(name, all.iter().map(String::as_str));
        near.map(str::to_owned).into_iter().collect()
    }
}

impl fmt::Display for Misnomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name, meant) => {
                write!(f, "there is no component {name:?}: ")?;
                if meant.is_empty() {
                    f.write_str("`firedoor status` lists them, zone:name; a zone's name means all of its components")
                } else {
                    write!(f, "did you mean {}?", meant.join(" or "))
                }
            }
            Self::Both(name) => write!(f, "{name} can't be both down and up: name it only once"),
        }
    }
}

impl std::error::Error for Misnomer {}
