//! When the authority would like a certificate to be renewed (ARI, RFC 9773). It is asked some four times a day, and at once after a
//! start: nothing of this is stored. Whatever it answers, a certificate is renewed no later than without it.

use std::time::{Duration, Instant};

use instant_acme::{CertificateIdentifier, Error, RenewalInfo};
use jiff::Timestamp;
use rustls::pki_types::Der;
use tracing::{debug, info, warn};

use super::trouble::{Trouble, printable};
use crate::config::{Certificate, Validity};
use crate::moment::Moment;

/// Between two questions, unless the authority asks for a longer pause.
const PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// Longer pauses aren't believed: a certificate that is to be revoked has a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What the authority has suggested for one certificate.
#[derive(Debug, Default)]
pub(super) struct Suggestion {
    chosen: Option<Chosen>,
    /// Not to be asked before.
    earliest: Option<Instant>,
    /// That there is no answer, or a useless one, has been told.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    window: Window,
    at: i64,
}

/// In seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: i64,
    end: i64,
}

/// How the authority names a certificate. `None`: it doesn't say who has signed it, so nobody can ask about it.
pub(super) fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let identity = certificate.identity()?;
    let (authority, serial) = (Der::from(identity.authority), Der::from(identity.serial));
    Some(CertificateIdentifier::new(authority, serial))
}

impl Suggestion {
    /// When it suggests to renew, in seconds since 1970.
    pub(super) fn at(&self) -> Option<i64> {
        self.chosen.map(|chosen| chosen.at)
    }

    /// Whether it is time to ask.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.earliest.is_none_or(|earliest| earliest <= now)
    }

    /// Takes over what the library has brought: a window, and the pause that the authority wants. Says what has changed. `dice` are
    /// between 0 and 1.
    pub(super) fn hear(
        &mut self,
        answer: Result<(RenewalInfo, Duration), Error>,
        whose: &str,
        validity: Validity,
        now: Moment,
        dice: [f64; 2],
    ) {
        let (info, pause) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.put_off(PAUSE, now, dice[0]);
                return match error {
                    // The authority offers no such thing.
                    Error::Unsupported(_) => {}
                    // Our own agent's words: it isn't there, or refuses.
                    Error::Other(_) => self.miss(&error.into(), whose),
                    _ => self.refuse(&printable(&error.to_string()), whose),
                };
            }
        };
        self.put_off(pause, now, dice[0]);
        let window = Window {
            start: info.suggested_window.start.unix_timestamp(),
            end: info.suggested_window.end.unix_timestamp(),
        };
        if let Err(flaw) = window.check(validity) {
            return self.refuse(&flaw, whose);
        }
        self.told = false;
        // By dice once for each window: else every question would draw it nearer.
        if self.chosen.is_none_or(|chosen| chosen.window != window) {
            let at = window.choose(validity, dice[1]);
            self.chosen = Some(Chosen { window, at });
            let why = info.explanation_url.map(|url| format!("; see {url}"));
            let why = printable(&why.unwrap_or_default());
            info!(
                "{whose}: the authority suggests to renew it between {} and {}{why}",
                words(window.start),
                words(window.end)
            );
        }
    }

    /// There is no answer: what was suggested before stays, and so does the rule.
    pub(super) fn miss(&mut self, trouble: &Trouble, whose: &str) {
        if !self.told {
            debug!("{whose}: no suggestion when to renew: {trouble}");
        }
        self.told = true;
    }

    fn refuse(&mut self, flaw: &str, whose: &str) {
        if !self.told {
            warn!("{whose}: what the authority suggests for its renewal is not followed: {flaw}");
        }
        self.told = true;
    }

    /// Lets so much time pass before the next question, within reason. Who was asked must be put off, whatever came of it.
    pub(super) fn put_off(&mut self, pause: Duration, now: Moment, dice: f64) {
        let pause = pause.clamp(PAUSE, LONGEST).mul_f64(1.0 + 0.1 * dice);
        self.earliest = Some(now.instant + pause);
    }
}

impl Window {
    /// RFC 9773 4.2, and what no authority can mean.
    fn check(self, validity: Validity) -> Result<(), String> {
        let Self { start, end } = self;
        if end <= start {
            return Err(format!(
                "it begins at {} and ends at {}",
                words(start),
                words(end)
            ));
        }
        if validity.from.is_some_and(|from| end <= from) {
            return Err(format!(
                "it ends at {}, before the certificate's own time",
                words(end)
            ));
        }
        Ok(())
    }

    /// A moment within it. Not in the first ninetieth of the certificate's time (a day of 90): an authority that always says "now" would
    /// else have one order after the other.
    fn choose(self, validity: Validity, dice: f64) -> i64 {
        let length = self.end.saturating_sub(self.start);
        let at = self.start.saturating_add((length as f64 * dice) as i64);
        match (validity.from, validity.until) {
            (Some(from), Some(until)) => at.max(from.saturating_add((until - from) / 90)),
            _ => at,
        }
    }
}

fn words(second: i64) -> String {
    let time = Timestamp::from_second(second).map(|time| time.to_string());
    time.unwrap_or_else(|_| format!("second {second}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;
    const NINETY_DAYS: Validity = Validity {
        from: Some(1000 * DAY),
        until: Some(1090 * DAY),
    };

    fn info(start: &str, end: &str) -> RenewalInfo {
        let window = serde_json::json!({"suggestedWindow": {"start": start, "end": end}});
        serde_json::from_value(window).unwrap()
    }

    #[test]
    fn a_moment_is_anywhere_in_the_window_but_not_at_the_very_beginning_of_a_certificate() {
        let window = |start, end| Window {
            start: start * DAY,
            end: end * DAY,
        };
        let at = |window: Window, dice| window.choose(NINETY_DAYS, dice);
        assert_eq!(at(window(1050, 1052), 0.0), 1050 * DAY);
        assert_eq!(at(window(1050, 1052), 0.5), 1051 * DAY);
        // What is to be revoked.
        assert_eq!(at(window(999, 1001), 0.0), 1001 * DAY);
        assert_eq!(window(999, 1001).check(NINETY_DAYS), Ok(()));
        for nonsense in [
            window(1050, 1050),
            window(1052, 1050),
            window(998, 1000),
            Window {
                start: i64::MAX,
                end: i64::MIN,
            },
        ] {
            assert!(nonsense.check(NINETY_DAYS).is_err(), "{nonsense:?}");
        }
        let forever = Window {
            start: i64::MIN,
            end: i64::MAX,
        };
        assert_eq!(at(forever, 0.0), 1001 * DAY);
    }

    #[test]
    fn dice_are_thrown_once_for_each_window_and_no_useless_answer_changes_it() {
        let (mut suggestion, now) = (Suggestion::default(), Moment::some());
        let mut hear = |answer, dice| {
            suggestion.hear(answer, "it", Validity::default(), now, [0.0, dice]);
            suggestion.at()
        };
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        let first = || info("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z");
        let chosen = hear(Ok((first(), hours(6))), 0.5);
        assert_eq!(chosen, Some(1_772_323_200 + DAY));
        assert_eq!(hear(Ok((first(), hours(6))), 0.0), chosen);
        let inverted = info("2026-03-03T00:00:00Z", "2026-03-01T00:00:00Z");
        assert_eq!(hear(Ok((inverted, hours(6))), 0.0), chosen);
        assert_eq!(hear(Err(Error::Str("nonsense")), 0.0), chosen);
        assert_eq!(hear(Err(Error::Unsupported("ARI")), 0.0), chosen);
        let other = info("2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z");
        assert_eq!(hear(Ok((other, hours(6))), 0.0), Some(1_769_904_000));
    }

    #[test]
    fn some_four_times_a_day_and_never_sooner_than_the_authority_likes() {
        let now = Moment::some();
        for (wanted, first, last) in [(0, 6, 7), (6, 6, 7), (12, 12, 14), (1000, 24, 27)] {
            let pause = Duration::from_secs(wanted * 60 * 60);
            for dice in [0.0, 0.5, 1.0] {
                let mut suggestion = Suggestion::default();
                assert!(suggestion.is_due(now.instant));
                suggestion.put_off(pause, now, dice);
                let due = |hours: u64| {
                    suggestion.is_due(now.after(Duration::from_secs(hours * 60 * 60)).instant)
                };
                assert!(!due(first - 1) && due(last), "{wanted} {dice}");
            }
        }
    }
}
