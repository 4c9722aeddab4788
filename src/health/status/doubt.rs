//! What speaks against a component that is up, and isn't proven: a failed probe, or what live requests saw of it. Pure.

use std::time::Instant;

use super::Component;
use super::composure;
use super::confirmation::corroborates;
use crate::moment::Moment;
use crate::outcome::Sign;
use crate::zone::Status;

/// Evidence against `Up` that is neither confirmed nor refuted yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// The first contrary outcome or sign of live requests.
    pub(super) since: Instant,
    /// The last sign; only a probe that started after it can refute it.
    pub(super) asked: Option<Instant>,
    /// The first sign.
    pub(super) sign: Option<Sign>,
    /// One of the signs goes with probes that nothing comes back from.
    pub(super) corroborated: bool,
}

impl Doubt {
    pub(super) fn since(now: Moment) -> Self {
        Self {
            since: now.instant,
            asked: None,
            sign: None,
            corroborated: false,
        }
    }
}

impl Component {
    /// Live requests saw a sign of trouble: asks for a confirming probe at once. It judges nothing, and `confirm_interval` lies
    /// between any two probes that it causes, so that traffic can't cause a probe storm. Silence causes fewer, see
    /// [`composure::Composure`].
    ///
    /// Whether it was news.
    pub fn doubt(&mut self, sign: Sign, now: Moment) -> bool {
        if self.status != Status::Up {
            // Unknown: confirmed already. Down: nothing new.
            return false;
        }
        let silent = matches!(sign, Sign::Silence(_));
        if silent && !self.composure.is_alarmed(&self.check, now.instant) {
            return false;
        }
        // In doubt already, silence is no news: each worker tells of the same one, and the probe that answers the first has answered
        // them all.
        let news = !silent || self.doubt.is_none();
        if news {
            let doubt = self.doubt.get_or_insert(Doubt::since(now));
            doubt.corroborated |= corroborates(sign);
            doubt.asked = Some(now.instant);
            doubt.sign.get_or_insert(sign);
        }
        self.schedule
            .hasten(self.check.confirm_interval, now.instant);
        news
    }

    /// Live requests saw a sign of trouble at a backend that needs this dependency, which may well be its cause: an app server
    /// whose database is gone answers 500. But an app has errors of its own, so this asks once per `interval`, or per
    /// [`composure::LONGEST`] if that is shorter.
    pub fn suspect(&mut self, sign: Sign, now: Moment) {
        let pause = composure::longest(&self.check);
        let rests = self.suspected.is_some_and(|at| now.instant < at + pause);
        if self.status != Status::Up || self.doubt.is_some() || rests {
            return;
        }
        self.suspected = Some(now.instant);
        self.doubt = Some(Doubt {
            asked: Some(now.instant),
            sign: Some(sign),
            ..Doubt::since(now)
        });
        self.schedule
            .hasten(self.check.confirm_interval, now.instant);
    }
}
