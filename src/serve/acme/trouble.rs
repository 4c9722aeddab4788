//! Why there is no certificate, in words, and how soon it is worth another try.

use std::fmt;
use std::time::Duration;

use instant_acme::Error;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The authority wasn't reached, or it was itself in trouble. It counts no such thing.
    Passing,
    /// It has refused. It counts that, and refuses everything after a few within an hour.
    Refused,
    /// It doesn't know our account any more; the next order makes a new one.
    Unknown,
}

impl Trouble {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: Kind::Refused,
        }
    }

    /// Whether a new account would help.
    pub(super) fn is_unknown_account(&self) -> bool {
        self.kind == Kind::Unknown
    }

    /// How long to wait after so many failures in a row, this one included. `dice` is between 0 and 1: many firedoors that were
    /// started by one power cut must not come back at once, each time.
    pub(super) fn pause(&self, failures: u32, dice: f64) -> Duration {
        let (first, longest) = match self.kind {
            Kind::Passing | Kind::Unknown => (Duration::from_secs(5), Duration::from_secs(10 * 60)),
            // Let's Encrypt takes five failures for a name within an hour: these are at 0, 2, 6, 14 and 30 minutes.
            Kind::Refused => (
                Duration::from_secs(2 * 60),
                Duration::from_secs(3 * 60 * 60),
            ),
        };
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(longest).mul_f64(0.8 + 0.4 * dice)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Api(problem) => {
                let kind = problem.r#type.as_deref().unwrap_or_default();
                match kind.rsplit(':').next() {
                    Some("accountDoesNotExist") => Kind::Unknown,
                    Some("badNonce" | "serverInternal") => Kind::Passing,
                    _ => Kind::Refused,
                }
            }
            _ => Kind::Passing,
        };
        let text = error.to_string();
        let text = text.strip_prefix("API error: ").unwrap_or(&text);
        Self {
            text: printable(text),
            kind,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What others have written, fit for a line of a log.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(600).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_keep_below_what_the_authority_counts() {
        let refused = Trouble::refused("no");
        let pauses: Vec<u64> = (1..=12)
            .map(|failures| refused.pause(failures, 0.5).as_secs() / 60)
            .collect();
        assert_eq!(pauses[..5], [2, 4, 8, 16, 32]);
        assert_eq!(pauses[11], 3 * 60);
        // Even with the worst dice, the sixth comes more than an hour after the first, less 12 minutes.
        let least: Duration = (1..=5).map(|failures| refused.pause(failures, 0.0)).sum();
        assert!(least > Duration::from_secs(48 * 60), "{least:?}");
        let unreachable = Trouble::from(Error::Other("ca: can't connect".into()));
        assert_eq!(unreachable.pause(1, 0.5), Duration::from_secs(5));
        assert!(unreachable.pause(1, 0.0) < unreachable.pause(1, 1.0));
        assert_eq!(unreachable.pause(u32::MAX, 0.5), Duration::from_secs(600));
    }

    #[test]
    fn what_an_authority_writes_stays_on_one_line() {
        let trouble = Trouble::from(Error::Other("a\nERROR b\u{1b}[31m".into()));
        assert_eq!(trouble.to_string(), "a ERROR b [31m");
    }
}
