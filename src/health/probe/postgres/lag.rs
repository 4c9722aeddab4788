//! How far a replica is behind.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::failed;
use super::talk::{Row, Talk};
use crate::health::probe::Finding;
use crate::outcome::CheckCode;

/// Who receives the log, up to where it was received and replayed, and how long ago the last transaction that was replayed was
/// committed: by the primary's clock, seen from the replica's. Of the receiver, only its process is shown to everybody.
const REPLAY: &str = "SELECT (SELECT pid FROM pg_catalog.pg_stat_wal_receiver), \
     pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), '0/0'), \
     pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0'), \
     pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())";

/// How long a replica may take to replay what has just come.
const BLINK: Duration = Duration::from_millis(20);

/// What a replica knows of its log.
#[derive(Debug, PartialEq)]
struct Replay {
    connected: bool,
    /// `None`: nothing yet.
    received: Option<u64>,
    replayed: Option<u64>,
    /// `None`: no transaction yet since the replica was started.
    age: Option<Duration>,
}

/// Passes a replica that is connected to its primary, and behind it by at most `limit`.
///
/// The time of the last transaction alone would make a replica look older and older while its primary has nothing to do. So it
/// counts only where there is more to replay, or where nobody knows, since the primary is out of reach: then no transaction
/// older than `limit` can be missing. What a primary has and didn't send can't be seen from here, nor a connection that is cut
/// and not yet missed (`wal_receiver_timeout`).
pub(super) async fn measure(
    talk: &mut Talk<'_>,
    limit: Option<Duration>,
) -> Result<Finding, Finding> {
    let first = Replay::read(&talk.ask(REPLAY).await?).ok_or_else(|| talk.out_of_turn())?;
    let verdict = first.judge(limit);
    if verdict.is_ok() || !first.connected {
        return verdict;
    }
    // Even an idle primary logs something now and then. If that came just now, it is replayed in a moment.
    sleep_until(talk.deadline().min(Instant::now() + BLINK)).await;
    let second = talk.ask(REPLAY).await.ok();
    match second.as_ref().and_then(Replay::read) {
        Some(second) if second.replayed >= first.received => {
            Ok(passed("a replica, caught up".to_owned()))
        }
        _ => verdict,
    }
}

impl Replay {
    /// `None` if it isn't what was asked for.
    fn read(row: &Row) -> Option<Self> {
        let [receiver, received, replayed, age] = row.as_slice() else {
            return None;
        };
        Some(Self {
            connected: receiver.is_some(),
            received: number(received)?,
            replayed: number(replayed)?,
            age: match number::<f64>(age)? {
                // The primary's clock is ahead.
                Some(age) if age < 0.0 => Some(Duration::ZERO),
                Some(age) => Some(Duration::try_from_secs_f64(age).ok()?),
                None => None,
            },
        })
    }

    fn judge(&self, limit: Option<Duration>) -> Result<Finding, Finding> {
        if self.connected && self.replayed >= self.received {
            return Ok(passed("a replica, caught up".to_owned()));
        }
        let age = self.age.map_or("of unknown age".to_owned(), |age| {
            format!("{} old", seconds(age))
        });
        let is = if self.connected {
            format!("a replica that is behind, its last transaction is {age}")
        } else {
            format!("a replica without connection to a primary, its last transaction is {age}")
        };
        match (limit, self.age) {
            (None, _) if self.connected => Ok(passed(is)),
            (None, _) => Err(failed(format!("{is}, expected a connected one"))),
            (Some(limit), Some(age)) if age <= limit => Ok(passed(is)),
            (Some(limit), _) => Err(failed(format!("{is}, expected at most {}", seconds(limit)))),
        }
    }
}

/// `None` if it is none, `Some(None)` if there is none.
fn number<T: FromStr>(text: &Option<String>) -> Option<Option<T>> {
    text.as_ref().map(|text| text.parse()).transpose().ok()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn passed(is: String) -> Finding {
    Finding::new(CheckCode::L7Ok, is)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Option<Duration> = Some(Duration::from_secs(10));

    fn judge(values: [&str; 4], limit: Option<Duration>) -> (bool, String) {
        let row: Row = values
            .iter()
            .map(|value| (!value.is_empty()).then(|| (*value).to_owned()))
            .collect();
        let verdict = Replay::read(&row).unwrap().judge(limit);
        (
            verdict.is_ok(),
            verdict.unwrap_or_else(|failure| failure).detail,
        )
    }

    #[test]
    fn who_has_replayed_all_that_came_is_caught_up_however_long_nothing_came() {
        for age in ["86400", "", "-3"] {
            let (passed, is) = judge(["17", "500", "500", age], TEN);
            assert_eq!((passed, &*is), (true, "a replica, caught up"));
        }
        // Started from an archive, whose last segment is beyond what was received.
        assert!(judge(["17", "400", "500", "60"], TEN).0);
    }

    #[test]
    fn who_has_not_is_as_old_as_the_last_transaction() {
        let row = |age| ["17", "500", "400", age];
        assert!(judge(row("9.9"), TEN).0);
        let (passed, is) = judge(row("12.34"), TEN);
        assert!(!passed);
        assert_eq!(
            is,
            "a replica that is behind, its last transaction is 12.3 s old, expected at most 10.0 s"
        );
        assert!(!judge(row(""), TEN).0, "nobody knows");
        assert!(judge(row("12.34"), None).0);
    }

    #[test]
    fn without_a_primary_only_a_fresh_transaction_vouches_for_the_data() {
        let row = |age| ["", "500", "500", age];
        assert!(judge(row("3"), TEN).0);
        assert!(!judge(row("12"), TEN).0);
        assert!(!judge(row(""), TEN).0);
        let (passed, is) = judge(row("3"), None);
        assert!(!passed);
        assert_eq!(
            is,
            "a replica without connection to a primary, its last transaction is 3.0 s old, expected a connected one"
        );
    }

    #[test]
    fn what_makes_no_sense_is_nothing() {
        for row in [
            ["1", "x", "1", "1"],
            ["1", "1", "-1", "1"],
            ["1", "1", "1", "NaN"],
            ["1", "1", "1", "inf"],
        ] {
            let row: Row = row.iter().map(|value| Some((*value).to_owned())).collect();
            assert_eq!(Replay::read(&row), None);
        }
        assert_eq!(Replay::read(&vec![None; 3]), None);
    }
}
