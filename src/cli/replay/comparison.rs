//! Recorded and replayed flips, side by side in time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::health::report::Cause;

/// Two flips that lie further apart are not the same one at another time.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// A flip, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlipAt {
    pub(super) at: Timestamp,
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
            Self::Both(recorded, replayed) => Some(replayed.at.duration_since(recorded.at)),
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

    fn at(&self) -> Timestamp {
        match self {
            Self::Both(flip, _) | Self::Recorded(flip) | Self::Replayed(flip) => flip.at,
        }
    }
}

impl FlipAt {
    fn is_like(&self, other: &Self) -> bool {
        (&self.from, &self.to, self.cause) == (&other.from, &other.to, other.cause)
    }

    fn distance(&self, other: &Self) -> SignedDuration {
        self.at.duration_since(other.at).abs()
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
            .take_while(|(_, other)| other.at.duration_since(flip.at) <= APART)
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

    /// Flips at these seconds, there and back by turns.
    fn flips_at(seconds: &[i64]) -> Vec<FlipAt> {
        let flips_at = seconds.iter().enumerate().map(|(index, second)| {
            let (from, to) = [("fz-1", "fz-2"), ("fz-2", "fz-1")][index % 2];
            FlipAt {
                at: Timestamp::from_second(*second).unwrap(),
                epoch: index as u64 + 2,
                from: from.into(),
                to: to.into(),
                cause: Cause::Failover,
            }
        });
        flips_at.collect()
    }

    fn said(recorded: &[i64], replayed: &[i64]) -> Vec<String> {
        let pairs = compare(&flips_at(recorded), &flips_at(replayed));
        let pairs = pairs.iter().map(|pair| match pair {
            Pair::Both(one, other) => {
                format!("{}→{}", one.at.as_second(), other.at.as_second())
            }
            Pair::Recorded(one) => format!("{}→", one.at.as_second()),
            Pair::Replayed(other) => format!("→{}", other.at.as_second()),
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
        let mut back = flips_at(&[10, 11]);
        back.remove(0);
        assert_eq!(compare(&flips_at(&[10]), &back).len(), 2);
    }
}
