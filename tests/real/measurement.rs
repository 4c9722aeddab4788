//! What a run has shown: how long the failed zone still got requests, and what the clients lost.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;

use crate::fault::Fault;
use crate::support::load::Record;
use crate::zones::Zones;

/// The figures of one run.
#[derive(Clone, Debug)]
pub struct Measurement {
    pub fault: Fault,
    /// From the fault to the last request that was sent into the failed zone.
    pub last_sent: Duration,
    /// Idempotent requests without a 2xx.
    pub failed_idempotent: Vec<Record>,
    /// POSTs without a 2xx.
    pub failed_posts: Vec<Record>,
    /// Requests that took more than a second.
    pub slow: usize,
    /// Ids of POSTs that reached an app, or were executed by one, more than once.
    pub posts_twice: Vec<String>,
    /// All of them.
    pub requests: usize,
    /// The slowest request that was answered before the fault: how busy the machine was with other things.
    pub strain: Duration,
}

impl Measurement {
    /// Of `fault`, which struck at `struck`. Call it after the fault has been healed, so that what a frozen app server
    /// still had to do is done.
    pub fn of(
        fault: Fault,
        struck: SystemTime,
        zones: &Zones,
        records: &[Record],
        access_log: &str,
    ) -> Self {
        let failed = |idempotent| {
            let failed = records
                .iter()
                .filter(|record| !record.succeeded() && record.idempotent() == idempotent);
            failed.cloned().collect()
        };
        Self {
            fault,
            last_sent: last_sent(fault, struck, zones, records, access_log)
                .and_then(|last| last.duration_since(struck).ok())
                .unwrap_or_default(),
            failed_idempotent: failed(true),
            failed_posts: failed(false),
            slow: records
                .iter()
                .filter(|record| record.took > Duration::from_secs(1))
                .count(),
            posts_twice: posts_twice(zones, records),
            requests: records.len(),
            strain: records
                .iter()
                .filter(|record| record.sent + record.took < struck)
                .map(|record| record.took)
                .max()
                .unwrap_or_default(),
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<17} last request into the failed zone after {:>5} ms | failed: {} idempotent, {} POST | slower than 1 s: {} | \
             POSTs executed twice: {} | of {} requests",
            self.fault,
            self.last_sent.as_millis(),
            self.failed_idempotent.len(),
            self.failed_posts.len(),
            self.slow,
            self.posts_twice.len(),
            self.requests
        )
    }
}

/// The backends' own view, and for what a dead or hung backend can't note, the proxy's.
fn last_sent(
    fault: Fault,
    struck: SystemTime,
    zones: &Zones,
    records: &[Record],
    access_log: &str,
) -> Option<SystemTime> {
    let sent: HashMap<&str, SystemTime> = records
        .iter()
        .map(|record| (&*record.id, record.sent))
        .collect();
    let arrived = zones
        .preferred
        .arrivals()
        .into_iter()
        .filter_map(|arrival| {
            // A thawed app server notes when it woke up, not when it got the request.
            let late = fault.hangs() && fault.server() == Some(&arrival.server);
            let of_this_run = sent.get(&*arrival.id)?;
            Some(if late { *of_this_run } else { arrival.at })
        });
    let logged = access_log.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).expect("an access-log line is JSON");
        // A retried request was first sent into the zone that failed.
        let into_failed = line["zone"] == zones.preferred.name
            || (fault.hangs() && line["retries"].as_u64() > Some(0));
        into_failed.then(|| started(&line))
    });
    arrived.chain(logged).filter(|at| *at >= struck).max()
}

/// When the request of an access-log line began.
fn started(line: &Value) -> SystemTime {
    let time: Timestamp = line["time"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .expect("a timestamp");
    time.into()
}

fn posts_twice(zones: &Zones, records: &[Record]) -> Vec<String> {
    let mut counts: HashMap<String, u32> = zones.executions();
    let mut arrivals: HashMap<String, u32> = HashMap::new();
    for arrival in zones
        .preferred
        .arrivals()
        .into_iter()
        .chain(zones.standby.arrivals())
    {
        if arrival.method == "POST" {
            *arrivals.entry(arrival.id).or_default() += 1;
        }
    }
    for (id, count) in arrivals {
        let most = counts.entry(id).or_default();
        *most = count.max(*most);
    }
    let ours: HashSet<&str> = records.iter().map(|record| &*record.id).collect();
    let twice = counts
        .into_iter()
        .filter(|(id, count)| *count > 1 && ours.contains(&**id));
    twice.map(|(id, _)| id).collect()
}
