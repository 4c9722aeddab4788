//! The conclusion about one zone, from the statuses of its components. Pure.
//!
//! A zone has failed when a required dependency is `Down`, or when some pool has fewer backends `Up` than its `min_healthy`.
//! What doesn't count, counts neither way: it makes the pool that has to be healthy smaller, never the zone worse or better.
//! That are components in `Drain` or `Maintenance`, and those that were added to a running zone until their first pass. If that
//! leaves nothing of a pool that requests are routed to, the zone can't serve it and has failed.

use std::sync::Arc;

use crate::config::{Config, MinHealthy};
use crate::health::status::{Component, Role};
use crate::zone::{Operator, Status, Verdict};

/// What is concluded about a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// Why. `Failed`: what failed, never empty. `Unknown`: what is awaited. `Serving`: what is amiss but doesn't matter.
    pub reasons: Vec<String>,
    /// What it could serve if it were active.
    pub serves: Serves,
}

/// What a zone can serve, pool by pool (parallel to the configuration's pools): a pool that requests are routed to, with a
/// backend that may be picked, while no required dependency is `Down`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serves {
    pools: Vec<bool>,
    all: bool,
}

impl Serves {
    /// Every pool that requests are routed to.
    pub fn all(&self) -> bool {
        self.all
    }

    /// Not one of them.
    pub fn nothing(&self) -> bool {
        !self.pools.contains(&true)
    }

    /// All that `other` serves and more. Two zones that serve different pools are not comparable: a flip between them would
    /// take from one application what it gives to another.
    pub fn strictly_more_than(&self, other: &Self) -> bool {
        let pairs = || self.pools.iter().zip(&other.pools);
        pairs().all(|(mine, theirs)| *mine || !theirs)
            && pairs().any(|(mine, theirs)| *mine && !theirs)
    }

    /// These pools, all of which requests are routed to.
    #[cfg(test)]
    pub(crate) fn of(pools: &[bool]) -> Self {
        Self {
            pools: pools.to_vec(),
            all: !pools.contains(&false),
        }
    }

    /// How many pools.
    pub fn count(&self) -> usize {
        self.pools.iter().filter(|serves| **serves).count()
    }
}

impl Conclusion {
    /// Fails the zone for a reason that lies beyond its components' statuses.
    pub fn fail(&mut self, reason: String) {
        if self.verdict != Verdict::Failed {
            self.verdict = Verdict::Failed;
            self.reasons.clear();
        }
        self.reasons.push(reason);
    }

    /// Adds what is amiss with a serving zone though it doesn't matter for the verdict.
    pub fn remark(&mut self, remark: String) {
        if self.verdict == Verdict::Serving {
            self.reasons.push(remark);
        }
    }
}

/// What a zone needs of one pool.
#[derive(Clone, Debug)]
pub struct Need {
    /// The pool's name.
    pub pool: Arc<str>,
    /// How many of its backends must be up.
    pub min_healthy: MinHealthy,
    /// Whether requests are routed to it, and some zone has backends for them.
    pub routed: bool,
}

/// What every zone needs, parallel to the configuration's pools.
pub fn needs(config: &Config) -> Vec<Need> {
    let has_backends = |pool: usize| {
        let mut backends = config.zones.iter().flat_map(|zone| &zone.backends);
        backends.any(|backend| backend.pool == pool)
    };
    let routed = |pool: usize| {
        if config.routes.is_empty() {
            &*config.pools[pool].name == "default"
        } else {
            config.routes.iter().any(|route| route.pool == Some(pool))
        }
    };
    config
        .pools
        .iter()
        .enumerate()
        .map(|(index, pool)| Need {
            pool: Arc::clone(&pool.name),
            min_healthy: pool.min_healthy,
            routed: routed(index) && has_backends(index),
        })
        .collect()
}

/// Concludes about the zone that has these components.
pub fn conclude(components: &[Component], needs: &[Need]) -> Conclusion {
    let mut failed = Vec::new();
    let mut awaited = Vec::new();
    let dependencies_up = judge_dependencies(components, &mut failed, &mut awaited);
    let mut serves = Serves {
        pools: vec![false; needs.len()],
        all: dependencies_up,
    };
    for (index, need) in needs.iter().enumerate() {
        let backends = || components.iter().filter(move |c| is_of_pool(c, index));
        judge_pool(need, backends, &mut failed, &mut awaited);
        let pickable = backends().any(Component::pickable);
        serves.pools[index] = need.routed && dependencies_up && pickable;
        serves.all &= pickable || !need.routed;
    }
    let (verdict, reasons) = if !failed.is_empty() {
        (Verdict::Failed, failed)
    } else if !awaited.is_empty() {
        (Verdict::Unknown, awaited)
    } else {
        (
            Verdict::Serving,
            components.iter().filter_map(remark).collect(),
        )
    };
    Conclusion {
        verdict,
        reasons,
        serves,
    }
}

/// Whether no required dependency is down.
fn judge_dependencies(
    components: &[Component],
    failed: &mut Vec<String>,
    awaited: &mut Vec<String>,
) -> bool {
    for component in components
        .iter()
        .filter(|c| c.role == Role::REQUIRED && c.counts())
    {
        match component.status {
            Status::Up => {}
            Status::Unknown => awaited.push(component.describe()),
            Status::Down => failed.push(component.describe()),
        }
    }
    failed.is_empty()
}

fn judge_pool<'a, I: Iterator<Item = &'a Component>>(
    need: &Need,
    backends: impl Fn() -> I,
    failed: &mut Vec<String>,
    awaited: &mut Vec<String>,
) {
    let mut counting: Vec<&Component> = backends().filter(|c| c.counts()).collect();
    if counting.is_empty() {
        // All of the pool was replaced by a reload: the newcomers are all there is.
        counting = backends()
            .filter(|c| c.operator == Operator::Ready)
            .collect();
    }
    if counting.is_empty() {
        // `of(1)`: a `min_healthy` of 0 says that the zone may do without.
        if need.routed && need.min_healthy.of(1) > 0 {
            let pool = &need.pool;
            failed.push(match backends().count() {
                0 => format!("pool {pool} has no backend here"),
                n => {
                    format!("pool {pool} has no backend that is ready: {n} in drain or maintenance")
                }
            });
        }
        return;
    }
    let total = counting.len();
    let with = |status| counting.iter().filter(move |c| c.status == status);
    let (up, unknown) = (with(Status::Up).count(), with(Status::Unknown).count());
    let needed = need.min_healthy.of(total);
    if up >= needed {
        return;
    }
    if up + unknown >= needed {
        awaited.extend(with(Status::Unknown).map(|c| c.describe()));
        return;
    }
    let down = list(with(Status::Down).map(|c| c.describe()));
    failed.push(if total == 1 {
        down
    } else {
        format!(
            "pool {} has {up} of {total} backends up and needs {needed}: {down}",
            need.pool
        )
    });
}

/// What is amiss with a component of a serving zone, though the zone serves.
fn remark(component: &Component) -> Option<String> {
    let what = component.describe();
    Some(match (component.operator, component.status) {
        (Operator::Drain, _) => format!("{what} (in drain: doesn't count)"),
        (Operator::Maintenance, _) => format!("{what} (in maintenance: doesn't count)"),
        (Operator::Ready, Status::Up) if component.live.is_gray() => {
            let picked = if component.ejected {
                ": not picked"
            } else {
                ""
            };
            format!("{what}, but fails live requests{picked}")
        }
        (Operator::Ready, Status::Up) => return None,
        (Operator::Ready, _) if !component.joined => {
            format!("{what} (new: counts from its first pass on)")
        }
        (Operator::Ready, _) if component.role == (Role::Dependency { required: false }) => {
            format!("{what} (not required)")
        }
        (Operator::Ready, _) => format!("{what} (enough others are up)"),
    })
}

fn is_of_pool(component: &Component, index: usize) -> bool {
    component.role == Role::Backend { pool: index }
}

/// At most three, so that a reason stays readable when a whole zone is down.
fn list(reasons: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = reasons.collect();
    match all.len() {
        0..=3 => all.join("; "),
        n => format!("{}; and {} more", all[..2].join("; "), n - 2),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on ends")]
mod tests;
