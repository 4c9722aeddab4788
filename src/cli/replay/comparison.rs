//! Recorded and replayed flips, side by side in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::health::report::Cause;
use crate::moment::Moment;

/// Two flips that lie further apart are not the same one at another time.
const APART: Duration = Duration::from_secs(300);

/// A flip, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlipAt {
    pub(super) at: Moment,
    pub(super) epoch: u64,
    pub(super) from: Arc<str>,
    pub(super) to: Arc<str>,
    pub(super) cause: Cause,
}

/// A recorded flip and the replayed one that it has become, or one of them alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    Both(FlipAt, FlipAt),
    Recorded(FlipAt),
    Replayed(FlipAt),
}

impl Pair {
    /// How much later it is replayed.
    pub(super) fn moved(&self) -> Option<SignedDuration> {
        match self {
            Self::Both(recorded, replayed) => {
                let by = SignedDuration::try_from(recorded.distance(replayed)).ok()?;
                let is_later = replayed.at.instant >= recorded.at.instant;
                Some(if is_later { by } else { -by })
            }
            Self::Recorded(_) | Self::Replayed(_) => None,
        }
    }

    pub(super) fn recorded(&self) -> Option<&FlipAt> {
        match self {
            Self::Both(recorded, _) | Self::Recorded(recorded) => Some(recorded),
            Self::Replayed(_) => None,
        }
    }

    pub(super) fn replayed(&self) -> Option<&FlipAt> {
        match self {
            Self::Both(_, replayed) | Self::Replayed(replayed) => Some(replayed),
            Self::Recorded(_) => None,
        }
    }

    fn at(&self) -> Instant {
        match self {
            Self::Both(flip, _) | Self::Recorded(flip) | Self::Replayed(flip) => flip.at.instant,
        }
    }
}

impl FlipAt {
    fn is_like(&self, other: &Self) -> bool {
        (&self.from, &self.to, self.cause) == (&other.from, &other.to, other.cause)
    }

    /// By the clock that is never set.
    fn distance(&self, other: &Self) -> Duration {
        let later = self.at.instant.checked_duration_since(other.at.instant);
        later.unwrap_or_else(|| other.at.instant - self.at.instant)
    }
}

/// Pairs those that lead from and to the same zone for the same cause and lie nearest to each other, in the order of time.
pub(super) fn compare(recorded: &[FlipAt], replayed: &[FlipAt]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut next = 0;
    for (index, flip) in recorded.iter().enumerate() {
        let near = |other: &FlipAt| flip.is_like(other) && flip.distance(other) <= APART;
        let candidates = replayed.iter().enumerate().skip(next);
        let nearest = candidates
            .take_while(|(_, other)| {
                other.at.instant.saturating_duration_since(flip.at.instant) <= APART
            })
            .filter(|(_, other)| near(other))
            .min_by_key(|(_, other)| flip.distance(other));
        // A later one that is nearer to it has the better claim.
        let nearest = nearest.filter(|(_, other)| {
            let mut later = recorded[index + 1..].iter();
            !later.any(|later| later.is_like(other) && later.distance(other) < flip.distance(other))
        });
        let Some((place, other)) = nearest else {
            pairs.push(Pair::Recorded(flip.clone()));
            continue;
        };
        pairs.extend(replayed[next..place].iter().cloned().map(Pair::Replayed));
        pairs.push(Pair::Both(flip.clone(), other.clone()));
        next = place + 1;
    }
    pairs.extend(replayed[next..].iter().cloned().map(Pair::Replayed));
    pairs.sort_by_key(Pair::at);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flips at these seconds, there and back by turns, while the wall clock goes back.
    fn flips_at(begin: Moment, seconds: &[u64]) -> Vec<FlipAt> {
        let flips_at = seconds.iter().enumerate().map(|(index, second)| {
            let (from, to) = [("fz-1", "fz-2"), ("fz-2", "fz-1")][index % 2];
            let after = Duration::from_secs(*second);
            FlipAt {
                at: Moment {
                    instant: begin.instant + after,
                    wall: begin.wall - after * 60,
                },
                epoch: index as u64 + 2,
                from: from.into(),
                to: to.into(),
                cause: Cause::Failover,
            }
        });
        flips_at.collect()
    }

    fn said(recorded: &[u64], replayed: &[u64]) -> Vec<String> {
        let begin = Moment::some();
        let second = |flip: &FlipAt| (flip.at.instant - begin.instant).as_secs();
        let pairs = compare(&flips_at(begin, recorded), &flips_at(begin, replayed));
        let pairs = pairs.iter().map(|pair| match pair {
            Pair::Both(one, other) => format!("{}→{}", second(one), second(other)),
            Pair::Recorded(one) => format!("{}→", second(one)),
            Pair::Replayed(other) => format!("→{}", second(other)),
        });
        pairs.collect()
    }

    #[test]
    fn each_flip_meets_the_nearest_of_its_kind() {
        assert_eq!(said(&[], &[]), [""; 0]);
        assert_eq!(said(&[10, 20], &[10, 20]), ["10→10", "20→20"]);
        assert_eq!(said(&[10, 20], &[12, 25]), ["10→12", "20→25"]);
        assert_eq!(said(&[10, 20], &[]), ["10→", "20→"]);
        assert_eq!(said(&[], &[10]), ["→10"]);
        // The first two are gone, and the later ones are not taken for them.
        assert_eq!(
            said(&[10, 20, 40, 50], &[40, 50]),
            ["10→", "20→", "40→40", "50→50"]
        );
        assert_eq!(
            said(&[40, 50], &[10, 20, 41, 50]),
            ["→10", "→20", "40→41", "50→50"]
        );
        // Hours apart it is another one.
        assert_eq!(said(&[10], &[5000]), ["10→", "→5000"]);
        // There is not the way back.
        let begin = Moment::some();
        let mut back = flips_at(begin, &[10, 11]);
        back.remove(0);
        assert_eq!(compare(&flips_at(begin, &[10]), &back).len(), 2);
    }
}
