//! When the silence of a backend that owes answers is to be told. Pure.
//!
//! It is to be told when it has lasted several times as long as an answer usually takes, and then, as long as it goes on, each time
//! that it has become twice as long. That judges nobody: a long poll is as silent as a hung process. It asks for confirming
//! probes, and they know the difference.

use std::time::Duration;

use crate::outcome::Silence;

/// Times the usual latency.
const TIMES: f32 = 8.0;
/// Milliseconds; less is nothing unusual anywhere.
const LEAST: f32 = 100.0;

/// A backend that owes answers, as one worker sees it. Times are the worker's, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stillness {
    /// Since when it has owed answers and nothing has come from it.
    pub(crate) since: u64,
    /// What its answers usually take to the head, in microseconds; 0 before the first. Not faded by age: how fast it is doesn't
    /// change by not asking it.
    pub(crate) usual_us: f32,
    /// When a silence was told last, this one or an earlier one; 0 before the first.
    pub(crate) told_at: u64,
}

impl Stillness {
    /// When it is to be told first.
    pub(crate) fn first_due(self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole milliseconds will do"
        )]
        let patience = (self.usual_us * TIMES / 1000.0).max(LEAST) as u64;
        self.since + patience
    }

    /// When it is to be told next.
    pub(crate) fn due(self) -> u64 {
        if self.told_at > self.since {
            self.told_at + (self.told_at - self.since)
        } else {
            self.first_due()
        }
    }

    /// What there is to tell at `now`.
    pub(crate) fn until(self, now: u64) -> Silence {
        let usual = Duration::from_secs_f32(self.usual_us / 1e6);
        Silence {
            lasted: Duration::from_millis(now.saturating_sub(self.since)),
            usual: (!usual.is_zero()).then_some(usual),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn still(since: u64, usual_ms: f32, told_at: u64) -> Stillness {
        Stillness {
            since,
            usual_us: usual_ms * 1000.0,
            told_at,
        }
    }

    #[test]
    fn it_is_told_after_eight_times_the_usual_and_never_within_100_ms() {
        for (usual_ms, patience) in [
            (0.0, 100),
            (0.2, 100),
            (12.0, 100),
            (12.5, 100),
            (13.0, 104),
            (250.0, 2000),
            (60_000.0, 480_000),
        ] {
            assert_eq!(
                still(7000, usual_ms, 0).due(),
                7000 + patience,
                "{usual_ms}"
            );
        }
    }

    #[test]
    fn while_it_lasts_it_is_told_ever_more_rarely() {
        let (mut told_at, mut told) = (0, Vec::new());
        while told_at < 1000 + 60_000 {
            told_at = still(1000, 2.0, told_at).due();
            told.push(told_at - 1000);
        }
        assert_eq!(
            told,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400
            ],
            "a long poll of a minute asks for ten probes"
        );
    }

    #[test]
    fn a_sign_of_life_begins_it_anew() {
        assert_eq!(still(5000, 2.0, 4900).due(), 5100);
        assert_eq!(still(5000, 2.0, 5000).due(), 5100);
    }

    #[test]
    fn it_is_told_in_words_an_operator_knows() {
        let words = |usual_ms| still(1000, usual_ms, 0).until(1104).to_string();
        assert_eq!(words(12.34), "no answer for 104 ms, usually after 12.3 ms");
        assert_eq!(
            words(0.0),
            "no answer for 104 ms, and there was none before"
        );
    }
}
