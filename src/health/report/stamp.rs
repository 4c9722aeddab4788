//! Which state of affairs an order was given in: of all that orders change, so that one which was meant for another is refused. Pure.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use super::Report;
use crate::zone::Operator;

/// All that orders change, as one value. Health isn't in it: an order that it has overtaken is refused by itself, or still right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    epoch: u64,
    configuration: u64,
    /// Of pins, operator states, planned flips and drills.
    rest: u64,
}

/// In which states of affairs an order may be carried out: in none, where nothing of what was named was a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(pub Vec<Stamp>);

impl Condition {
    /// What speaks against an order `now`, in words.
    pub fn check(&self, now: &Stamp) -> Result<(), Vec<String>> {
        match self.0.first() {
            _ if self.0.contains(now) => Ok(()),
            Some(stamp) => Err(stamp.differences(now)),
            None => Err(vec!["that was no state of this firedoor".to_owned()]),
        }
    }
}

impl Stamp {
    /// That of a report, under the configuration of this number.
    pub fn of(report: &Report, configuration: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (&report.pinned, &report.flip_pending).hash(&mut hasher);
        let drill = report.drill.as_ref();
        drill
            .map(|drill| (&drill.zone, drill.until))
            .hash(&mut hasher);
        for component in report.zones.iter().flat_map(|zone| &zone.components) {
            if component.operator != Operator::Ready {
                (&component.key, component.operator as u8).hash(&mut hasher);
            }
        }
        Self {
            epoch: report.epoch,
            configuration,
            rest: hasher.finish(),
        }
    }

    /// What differs now from `self`, in words.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.epoch != now.epoch {
            differences.push(format!("the epoch is {}, not {}", now.epoch, self.epoch));
        }
        if self.configuration != now.configuration {
            differences.push(format!(
                "the configuration is number {}, not {}",
                now.configuration, self.configuration
            ));
        }
        if self.rest != now.rest {
            let what = "a pin, an operator state, a planned flip or a drill has changed";
            differences.push(what.to_owned());
        }
        differences
    }
}

impl fmt::Display for Stamp {
    /// `3-1-5d2f81c09a64be17`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch,
            configuration,
            rest,
        } = self;
        write!(f, "{epoch}-{configuration}-{rest:016x}")
    }
}

impl FromStr for Stamp {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut number = |radix| {
            let part = parts.next()?;
            u64::from_str_radix(part, radix).ok()
        };
        let stamp = Self {
            epoch: number(10).ok_or(())?,
            configuration: number(10).ok_or(())?,
            rest: number(16).ok_or(())?,
        };
        // There is one way to write each.
        (stamp.to_string() == text).then_some(stamp).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_is_written_and_tells_what_differs() {
        let before = Stamp {
            epoch: 7,
            configuration: 2,
            rest: 0x1f,
        };
        assert_eq!(before.to_string().parse(), Ok(before));
        let after = Stamp {
            epoch: 8,
            configuration: 3,
            ..before
        };
        assert_eq!(
            before.differences(&after),
            [
                "the epoch is 8, not 7",
                "the configuration is number 3, not 2"
            ]
        );
        assert_eq!(before.differences(&before), [""; 0]);
        assert_eq!(Condition(vec![after, before]).check(&before), Ok(()));
        assert!(Condition(vec![after]).check(&before).is_err());
        assert!(Condition(vec![]).check(&before).is_err());
        for text in ["", "7", "7-2", "7-2-1f", "+7-2-000000000000001f", "7-2-x"] {
            assert_eq!(text.parse::<Stamp>(), Err(()), "{text}");
        }
    }
}
