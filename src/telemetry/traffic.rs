//! Traffic as it flows: what the counts have grown by within the last second, and how long requests took within the last ten.
//!
//! One sampler on the control thread looks once a second, for everybody who wants to know: a hundred open dashboards cost no more than none.
//! Whoever wants every sample clones the receiver that [`Sampler::new`] gives ([`Feed`]), waits for `changed()`, and takes what is there
//! by `borrow_and_update()`: one who is late finds the newest, and holds up nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::counters::{Counters, Totals};
use super::meter::{Meter, PoolKey, Spread, Sum};
use super::reason::Reason;
use crate::moment::Moment;
use crate::snapshot::{Snapshot, Subscriber};

/// Where the newest sample is. Cheap to clone.
pub type Feed = watch::Receiver<Arc<Traffic>>;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How many looks back the durations reach.
const SPAN: usize = 10;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// When it was taken.
    pub at: Timestamp,
    /// The span that rates are of; zero before the first has passed.
    pub seconds: f64,
    /// Requests of all zones, and those that found none.
    pub rates: Rates,
    /// firedoor's own answers within the span, a second, those that there were.
    pub by_proxy: Vec<(Reason, f64)>,
    /// Requests of clients that wait for a zone.
    pub held: usize,
    /// Connections of clients.
    pub downstream: u64,
    /// Connections to backends.
    pub upstream: u64,
    /// In the order of the configuration.
    pub zones: Vec<ZoneTraffic>,
}

/// What flows through one zone.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneTraffic {
    /// Its name.
    pub name: Arc<str>,
    /// Through all of its pools.
    pub flow: Flow,
    /// Those that have backends there, in the order of the configuration.
    pub pools: Vec<(Arc<str>, Flow)>,
}

/// How often something happens, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Requests that ended.
    pub requests: f64,
    /// Those that ended with a status of 500 or above, or broke off.
    pub errors: f64,
}

/// What flows through a pool, or a zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Within the last span.
    pub rates: Rates,
    /// Requests that a backend has now.
    pub in_flight: u32,
    /// What half of the requests of the last ten seconds took at most, in milliseconds; `None`: there were none.
    pub p50: Option<f64>,
    /// ... and 99 of 100.
    pub p99: Option<f64>,
}

/// Takes the samples.
#[derive(Debug)]
pub struct Sampler {
    meter: Meter,
    counters: Counters,
    held: Arc<AtomicUsize>,
    snapshot: Subscriber,
    /// What has been counted until each of the last looks, oldest first; at most one more than [`SPAN`].
    looks: VecDeque<Look>,
    out: watch::Sender<Arc<Traffic>>,
}

/// All counts at one moment.
#[derive(Debug)]
struct Look {
    at: Instant,
    totals: Totals,
    held: usize,
    sums: BTreeMap<PoolKey, Sum>,
}

impl Sampler {
    /// A sampler that has looked once, and where its samples will be. `held`: how many requests wait.
    pub fn new(
        meter: Meter,
        counters: Counters,
        held: Arc<AtomicUsize>,
        snapshot: Subscriber,
    ) -> (Self, Feed) {
        let now = Moment::now();
        let first = Look::new(&meter, &counters, &held, now.instant);
        let traffic = traffic(&first, &first, &first, &snapshot.current(), now.wall);
        let (out, feed) = watch::channel(Arc::new(traffic));
        let sampler = Self {
            meter,
            counters,
            held,
            snapshot,
            looks: VecDeque::from([first]),
            out,
        };
        (sampler, feed)
    }

    /// Never ends by itself. Must run in a tokio runtime with time.
    pub async fn run(mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.sample(Moment::now());
        }
    }

    fn sample(&mut self, now: Moment) {
        let look = Look::new(&self.meter, &self.counters, &self.held, now.instant);
        let oldest = self.looks.front().unwrap_or(&look);
        let last = self.looks.back().unwrap_or(&look);
        let traffic = traffic(oldest, last, &look, &self.snapshot.current(), now.wall);
        self.looks.push_back(look);
        if self.looks.len() > SPAN {
            self.looks.pop_front();
        }
        self.out.send_replace(Arc::new(traffic));
    }
}

impl Look {
    fn new(meter: &Meter, counters: &Counters, held: &AtomicUsize, at: Instant) -> Self {
        Self {
            at,
            totals: counters.totals(),
            held: held.load(Ordering::Relaxed),
            sums: meter.sums().into_iter().collect(),
        }
    }
}

/// What lies between `last` and `now`; durations: between `oldest` and `now`. Pure.
fn traffic(oldest: &Look, last: &Look, now: &Look, snapshot: &Snapshot, at: Timestamp) -> Traffic {
    let seconds = (now.at - last.at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "the growth of one span")]
    let per_second = |now: u64, before: u64| match seconds > 0.0 {
        true => now.saturating_sub(before) as f64 / seconds,
        false => 0.0,
    };
    let rates = |key: &PoolKey| {
        let counted = |look: &Look| {
            let sum = look.sums.get(key);
            sum.map_or((0, 0), |sum| (sum.answers.total(), sum.errors()))
        };
        let (now, before) = (counted(now), counted(last));
        Rates {
            requests: per_second(now.0, before.0),
            errors: per_second(now.1, before.1),
        }
    };
    let recent = |key: &PoolKey| match (now.sums.get(key), oldest.sums.get(key)) {
        (Some(now), Some(before)) => now.durations.since(&before.durations),
        (Some(now), None) => now.durations.clone(),
        (None, _) => Spread::default(),
    };
    let zones = snapshot.zones.iter().map(|zone| {
        let mut all = (Rates::default(), 0, Spread::default());
        let mut pools = Vec::new();
        for (index, pool) in snapshot.config.pools.iter().enumerate() {
            let backends = || zone.backends.iter().filter(|b| b.pool == index);
            if backends().next().is_none() {
                continue;
            }
            let key = PoolKey {
                zone: Arc::clone(&zone.name),
                pool: Arc::clone(&pool.name),
            };
            let in_flight = backends().map(|backend| backend.load.in_flight()).sum();
            let (rates, recent) = (rates(&key), recent(&key));
            all.0.add(rates);
            all.1 += in_flight;
            all.2.add(&recent);
            pools.push((Arc::clone(&pool.name), flow(rates, in_flight, &recent)));
        }
        ZoneTraffic {
            name: Arc::clone(&zone.name),
            flow: flow(all.0, all.1, &all.2),
            pools,
        }
    });
    let by_proxy = Reason::ALL.into_iter().map(|reason| {
        let of = |look: &Look| look.totals.refusals[reason as usize];
        (reason, per_second(of(now), of(last)))
    });
    let mut everywhere = Rates::default();
    now.sums.keys().for_each(|key| everywhere.add(rates(key)));
    Traffic {
        at,
        seconds,
        rates: everywhere,
        by_proxy: by_proxy.filter(|(_, rate)| *rate > 0.0).collect(),
        held: now.held,
        downstream: now.totals.downstream.iter().sum(),
        upstream: now.totals.upstream.iter().sum(),
        zones: zones.collect(),
    }
}

fn flow(rates: Rates, in_flight: u32, recent: &Spread) -> Flow {
    Flow {
        rates,
        in_flight,
        p50: recent.quantile(0.5),
        p99: recent.quantile(0.99),
    }
}

impl Rates {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.errors += more.errors;
    }
}
