//! All that one answer to `/metrics` is made of, gathered at one moment.

use std::collections::BTreeMap;
use std::iter::repeat;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::process::Process;
use crate::admin::Context;
use crate::config::Config;
use crate::health::monitor::Account;
use crate::health::report::Report;
use crate::notify::Progress;
use crate::snapshot::Snapshot;
use crate::telemetry::counters::Totals;
use crate::telemetry::meter::{PoolKey, Sum};

/// See the module's promise.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) report: Arc<Report>,
    pub(super) snapshot: Arc<Snapshot>,
    /// What the monitor has counted.
    pub(super) account: Account,
    /// What the workers have counted.
    pub(super) totals: Totals,
    /// ... of requests; none of those that nobody can have made.
    pub(super) sums: Vec<(PoolKey, Sum)>,
    pub(super) held: usize,
    /// Those that were exported, and those that were dropped.
    pub(super) spans: [u64; 2],
    /// How it stands with those who are told of events.
    pub(super) notices: Vec<Arc<Progress>>,
    /// By DNS name, the end of the certificate that ends first, in seconds since 1970.
    pub(super) certificates: BTreeMap<String, i64>,
    pub(super) process: Process,
    pub(super) started: Timestamp,
}

impl Scrape {
    pub(super) fn of(context: &Context) -> Self {
        let snapshot = context.snapshot.current();
        for (zone, pool) in pools(&snapshot) {
            // All of them are there from the beginning, with nothing counted: what was never seen can't be told to have grown.
            let config = &snapshot.config;
            let _known = context
                .meter
                .of(&snapshot.zones[zone].name, &config.pools[pool].name);
        }
        let mut sums = context.meter.sums();
        sums.retain(|(key, sum)| !key.zone.is_empty() || sum.answers.total() > 0);
        Self {
            report: context.monitor.report(),
            account: context.monitor.ledger().account(),
            totals: context.counters.totals(),
            sums,
            spans: [context.spans.exported(), context.spans.dropped()],
            notices: context.board.targets(),
            held: context.held.load(Ordering::Relaxed),
            certificates: certificates(&snapshot.config),
            process: Process::now(),
            started: context.started.wall,
            snapshot,
        }
    }

    /// Requests that backends have now, by the indices of zone and pool.
    pub(super) fn in_flight(&self) -> BTreeMap<(usize, usize), u32> {
        let mut in_flight = BTreeMap::new();
        for (index, zone) in self.snapshot.zones.iter().enumerate() {
            for backend in &zone.backends {
                *in_flight.entry((index, backend.pool)).or_default() += backend.load.in_flight();
            }
        }
        in_flight
    }
}

/// Each zone with each pool that has backends there, by their indices.
fn pools(snapshot: &Snapshot) -> impl Iterator<Item = (usize, usize)> {
    let zones = snapshot.zones.iter().enumerate();
    let all = zones.flat_map(|(index, zone)| zone.backends.iter().map(move |b| (index, b.pool)));
    all.collect::<std::collections::BTreeSet<_>>().into_iter()
}

fn certificates(config: &Config) -> BTreeMap<String, i64> {
    let mut ends = BTreeMap::new();
    let servers = config.listeners.iter().filter_map(|l| l.tls.as_ref());
    for server in servers {
        // Its certificates come first among its files, each followed by its key.
        let files = server.files().step_by(2).map(Some).chain(repeat(None));
        let certificates = [server.certificates(), server.all_acquired()].concat();
        for (certificate, file) in certificates.iter().zip(files) {
            let Some(until) = certificate.validity().until else {
                continue;
            };
            let file = file.and_then(Path::file_name).unwrap_or_default();
            let names = match certificate.known_as() {
                [] => &[file.to_string_lossy().into_owned()],
                names => names,
            };
            for name in names {
                let end = ends.entry(name.clone()).or_insert(until);
                *end = until.min(*end);
            }
        }
    }
    ends
}
