//! What the decision looks at: every zone, side by side. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Failover;
use crate::health::failover::describe;
use crate::health::verdict::Conclusion;
use crate::zone::Verdict;

/// All that the decision looks at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// `[failover]`
    pub policy: &'a Failover,
    /// In config order: the first is preferred.
    pub zones: Vec<Standing<'a>>,
    /// Index of the active zone.
    pub active: usize,
    /// Whether an operator pinned it.
    pub pinned: bool,
    /// No zone has taken requests yet.
    pub starting: bool,
    /// How long ago the last flip was; `None`: never, so that nothing has to be stayed for.
    pub stayed: Option<Duration>,
    /// How many automatic flips are left.
    pub flips_left: u32,
    /// When there will be one more.
    pub next_flip_in: Option<Duration>,
    /// A drill is under way, which returns by itself.
    pub drilling: bool,
    /// How long an automatic failback waits since its promotion failed.
    pub promotion_pause: Duration,
    /// For the failback window only.
    pub wall: Timestamp,
}

/// One zone in a [`Situation`].
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// What is concluded about it.
    pub conclusion: &'a Conclusion,
    /// How long the verdict has been the same.
    pub lasted: Duration,
    /// A probe of a component that counts has failed, and is being confirmed.
    pub in_doubt: bool,
}

/// Longer than two checks of different timing need to see the same thing, shorter than a second failure by chance.
const TOGETHER: Duration = Duration::from_secs(10);

impl<'a> Situation<'a> {
    pub(super) fn active(&self) -> &'a Conclusion {
        self.zones[self.active].conclusion
    }

    pub(in crate::health) fn name(&self, zone: usize) -> &'a Arc<str> {
        self.zones[zone].name
    }

    pub(in crate::health) fn others(&self) -> impl Iterator<Item = (usize, &Standing<'a>)> {
        let others = self.zones.iter().enumerate();
        others.filter(|(index, _)| *index != self.active)
    }

    /// The first zone in config order that is serving and not in doubt.
    pub(in crate::health) fn first_serving(&self) -> Option<usize> {
        let mut fit = self.fit_others();
        fit.find(|index| !self.zones[*index].in_doubt)
    }

    /// A zone that may turn out to be serving, or not, as soon as its doubt is settled.
    pub(super) fn first_in_doubt(&self) -> Option<usize> {
        self.fit_others().next()
    }

    fn fit_others(&self) -> impl Iterator<Item = usize> {
        let others = self.others().map(|(index, _)| index);
        others.filter(|index| self.is_fit(*index))
    }

    pub(in crate::health) fn some_zone_is_fit(&self) -> bool {
        (0..self.zones.len()).any(|zone| self.is_fit(zone))
    }

    /// Whether a zone is serving, and not merely because a `min_healthy` of 0 asks nothing of it.
    pub(super) fn is_fit(&self, zone: usize) -> bool {
        let Conclusion {
            verdict, serves, ..
        } = self.zones[zone].conclusion;
        let worse = self.active().serves.strictly_more_than(serves);
        *verdict == Verdict::Serving && !serves.nothing() && !worse
    }

    /// The zone that can serve the most of those that serve strictly more than the active one; the first of equals.
    pub(super) fn serves_more(&self) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (index, other) in self.others() {
            let serves = &other.conclusion.serves;
            let better = serves.strictly_more_than(&self.active().serves);
            if better && best.is_none_or(|(_, count)| serves.count() > count) {
                best = Some((index, serves.count()));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Whether all zones have failed, and within [`TOGETHER`]: then what ails them is hardly in any of them.
    pub(super) fn failed_together(&self) -> bool {
        let failed = |zone: &Standing<'_>| zone.conclusion.verdict == Verdict::Failed;
        let lasted = || self.zones.iter().map(|zone| zone.lasted);
        let apart = lasted().max().zip(lasted().min());
        self.zones.iter().all(failed) && apart.is_some_and(|(max, min)| max - min <= TOGETHER)
    }

    /// Why a zone is no better than a failed active one.
    pub(super) fn why_not(&self, zone: usize) -> String {
        let serves_more =
            |conclusion: &Conclusion| conclusion.serves.strictly_more_than(&self.active().serves);
        let Standing {
            name, conclusion, ..
        } = &self.zones[zone];
        match conclusion.verdict {
            Verdict::Unknown => format!("{name}: not judged yet"),
            Verdict::Serving => {
                format!("{name}: serving as its min_healthy has it, but it can't serve more")
            }
            Verdict::Failed if serves_more(conclusion) => {
                format!(
                    "{name}: has failed as well ({}), and another can serve more",
                    conclusion.reasons.join("; ")
                )
            }
            Verdict::Failed => {
                format!(
                    "{name}: has failed as well and can't serve more ({})",
                    conclusion.reasons.join("; ")
                )
            }
        }
    }

    /// Why a failback neither stays nor goes to any zone but the preferred one.
    pub(super) fn all_but_preferred(&self) -> Vec<String> {
        let preferred = self.name(0);
        let stay = self.describe(self.active);
        let others = self.others().filter(|(index, _)| *index != 0);
        let refused = others
            .map(|(index, _)| format!("{}; but {preferred} is preferred", self.describe(index)));
        let stay = format!("stay: {stay}, but {preferred} is preferred");
        std::iter::once(stay).chain(refused).collect()
    }

    pub(super) fn reasons_of(&self, zone: usize) -> Vec<String> {
        let Standing {
            name, conclusion, ..
        } = &self.zones[zone];
        conclusion
            .reasons
            .iter()
            .map(|reason| format!("{name}: {reason}"))
            .collect()
    }

    /// `fz-1 is serving`, with the reasons where there are some.
    pub(super) fn describe(&self, zone: usize) -> String {
        describe(self.name(zone), self.zones[zone].conclusion)
    }
}
