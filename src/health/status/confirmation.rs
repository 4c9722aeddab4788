//! How much confirmation a component needs before it is down, and how many probes look for it at once. Pure.
//!
//! `fall` fails in a row make a component down. But a timeout is no answer, and a network that loses one probe of twenty makes two
//! of them in a row every few minutes. So where every one of them is a timeout, and no live request has been refused, reset or
//! left without an answer either, there have to be [`LOST`] of them. That takes hardly longer: while a component is being confirmed,
//! each probe begins `confirm_interval` after the one before, whether that has come back or not.
//!
//! Outcomes can overtake each other then. One that comes after that of a probe which began later counts only if both say the same:
//! what it says otherwise is older than what is known. And what is still in flight when the status changes says nothing any more.

use super::Component;
use crate::outcome::{Outcome, Sign, Trouble};
use crate::zone::Status;

/// Timeouts in a row that are no chance: where one of twenty probes is lost and one is sent each second, that happens every 37 days.
pub(super) const LOST: u32 = 5;

impl Component {
    /// How many fails in a row make it down, as far as is known.
    pub(super) fn needed(&self) -> u32 {
        let fall = self.check.fall.get();
        if self.is_only_silent() {
            fall.max(LOST)
        } else {
            fall
        }
    }

    /// How many probes may be in flight: no more than still matter.
    pub(super) fn at_once(&self) -> u32 {
        let confirming = self.doubt.is_some() && self.status != Status::Down;
        if confirming {
            (self.needed().saturating_sub(self.streak)).max(1)
        } else {
            1
        }
    }

    /// Whether what live requests saw goes with probes that nothing comes back from.
    pub fn is_corroborated(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.corroborated)
    }

    /// Whether all there is against it is that nothing came back from its probes, if anything.
    fn is_only_silent(&self) -> bool {
        let recent = self.outcomes.iter().rev();
        let mut fails = recent.take(usize::try_from(self.streak).unwrap_or(usize::MAX));
        !self.is_corroborated() && fails.all(|fail| fail.1.is_silent())
    }
}

impl Outcome {
    /// Whether nothing came back.
    pub(super) fn is_silent(&self) -> bool {
        matches!(
            self.code,
            crate::outcome::CheckCode::L4Timeout
                | crate::outcome::CheckCode::L6Timeout
                | crate::outcome::CheckCode::L7Timeout
        )
    }
}

/// Whether what live requests saw goes with probes that nothing comes back from. One that answers errors isn't hung, and a long poll
/// is as silent as a hung process.
pub(super) fn corroborates(sign: Sign) -> bool {
    match sign {
        Sign::Silence(_) => false,
        Sign::Trouble(trouble) => match trouble {
            Trouble::Connect
            | Trouble::ConnectTimeout
            | Trouble::Reset
            | Trouble::ResponseTimeout => true,
            Trouble::Handshake | Trouble::Protocol | Trouble::ServerError => false,
        },
    }
}
