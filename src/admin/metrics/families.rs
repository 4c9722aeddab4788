//! Every metric, with its name, its meaning and its labels. `config/README.md` lists them for users, and a test compares.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Page;
use super::scrape::Scrape;
use crate::health::monitor::Phase;
use crate::telemetry::meter::{PoolKey, Spread};
use crate::telemetry::reason::{Reason, Retry};
use crate::zone::{ComponentKey, Operator, Status, Verdict};

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        page.gauge(
            "firedoor_build_info",
            "The version of firedoor, as a label",
            [([("version", env!("CARGO_PKG_VERSION"))], 1)],
        )?;
        self.requests(page)?;
        self.answers(page)?;
        self.connections(page)?;
        self.components(page)?;
        self.zones(page)?;
        self.flips(page)?;
        self.holds(page)?;
        self.housekeeping(page)?;
        self.process(page)
    }
}

impl Scrape {
    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let codes: Vec<_> = self
            .sums
            .iter()
            .flat_map(|(key, sum)| {
                let codes = sum.answers.by_code();
                codes.map(move |(code, count)| (key, code.to_string(), count))
            })
            .collect();
        page.counter(
            "firedoor_requests_total",
            "Requests that have ended, by the zone and pool of the last backend that had them; both are empty where there was none",
            codes.iter().map(|(key, code, count)| {
                let labels = [("zone", &*key.zone), ("pool", &*key.pool), ("code", code.as_str())];
                (labels, *count)
            }),
        )?;
        page.counter(
            "firedoor_request_errors_total",
            "Those that went wrong: with a status from 500 to 599, or a response that broke off on the backend's side",
            self.sums
                .iter()
                .map(|(key, sum)| (of_pool(key), sum.errors())),
        )?;
        page.durations(
            "firedoor_request_duration_seconds",
            "From the head of a request to the end of its response; tunnels are not in it",
            Spread::OF_REQUESTS,
            self.sums
                .iter()
                .map(|(key, sum)| (of_pool(key), &sum.durations)),
        )?;
        let in_flight = self.in_flight();
        let (zones, pools) = (&self.snapshot.zones, &self.snapshot.config.pools);
        page.gauge(
            "firedoor_in_flight",
            "Requests that a backend has now",
            in_flight.iter().map(|((zone, pool), count)| {
                let labels = [("zone", &*zones[*zone].name), ("pool", &*pools[*pool].name)];
                (labels, *count)
            }),
        )
    }

    fn answers(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counter(
            "firedoor_responses_by_proxy_total",
            "Responses that firedoor made itself",
            Reason::ALL.map(|reason| {
                let count = self.totals.refusals[reason as usize];
                ([("reason", reason.as_str())], count)
            }),
        )?;
        page.counter(
            "firedoor_retries_total",
            "Attempts after the first, by what became of the one before",
            Retry::ALL.map(|retry| {
                let count = self.totals.retries[retry as usize];
                ([("reason", retry.as_str())], count)
            }),
        )
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let sides = [
            ("downstream", self.totals.downstream),
            ("upstream", self.totals.upstream),
        ];
        page.gauge(
            "firedoor_connections",
            "Open connections of clients (downstream) and to backends (upstream)",
            sides.iter().flat_map(|(side, [idle, active])| {
                let states = [("idle", *idle), ("active", *active)];
                states.map(|(state, count)| ([("side", *side), ("state", state)], count))
            }),
        )?;
        page.counter(
            "firedoor_connections_accepted_total",
            "Connections of clients that were accepted",
            [([], self.totals.connections)],
        )?;
        let refused = [
            ("proxy_protocol", self.totals.introductions_refused),
            ("rate", self.totals.connections_limited),
            ("per_client", self.totals.connections_crowded),
        ];
        page.counter(
            "firedoor_connections_refused_total",
            "Connections of clients that were accepted and then closed unserved",
            refused.map(|(reason, count)| ([("reason", reason)], count)),
        )
    }

    fn components(&self, page: &mut Page<'_>) -> fmt::Result {
        let zones = self.report.zones.iter();
        let all = || zones.clone().flat_map(|zone| &zone.components);
        page.gauge(
            "firedoor_component_up",
            "Whether its checks find it up; 0 also before the first",
            all().map(|c| (named(&c.key), u32::from(c.status == Status::Up))),
        )?;
        page.gauge(
            "firedoor_component_ready",
            "Whether it takes part: 0 while an operator has it in drain or maintenance",
            all().map(|c| (named(&c.key), u32::from(c.operator == Operator::Ready))),
        )?;
        let checks = || all().filter_map(|c| Some((&c.key, self.account.checks.get(&c.key)?)));
        page.durations(
            "firedoor_check_duration_seconds",
            "From the start of a check to its conclusion, whatever that was",
            Spread::OF_CHECKS,
            checks().map(|(key, checks)| (named(key), &checks.durations)),
        )?;
        page.counter(
            "firedoor_check_failures_total",
            "Checks that failed, by HAProxy's codes",
            checks().flat_map(|(key, checks)| {
                let [zone, component] = named(key);
                let failures = checks.failures.iter();
                failures.map(move |(code, count)| ([zone, component, ("reason", code)], *count))
            }),
        )
    }

    fn zones(&self, page: &mut Page<'_>) -> fmt::Result {
        let report = &self.report;
        let zones = report.zones.iter();
        page.gauge(
            "firedoor_zone_active",
            "Whether requests go to this zone",
            zones
                .clone()
                .enumerate()
                .map(|(index, zone)| ([("zone", &*zone.name)], u32::from(index == report.active))),
        )?;
        page.gauge(
            "firedoor_zone_serving",
            "Whether all that it needs is up; 0 also before that is known",
            zones.clone().map(|zone| {
                (
                    [("zone", &*zone.name)],
                    u32::from(zone.verdict == Verdict::Serving),
                )
            }),
        )?;
        page.gauge(
            "firedoor_zone_pinned",
            "Whether an operator keeps it active, whatever happens",
            zones.map(|zone| {
                let pinned = report.pinned.as_ref() == Some(&zone.name);
                ([("zone", &*zone.name)], u32::from(pinned))
            }),
        )
    }

    fn flips(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "firedoor_epoch",
            "Counts flips, across restarts",
            [([], self.report.epoch)],
        )?;
        page.counter(
            "firedoor_flips_total",
            "Flips since the process started",
            self.account.flips.iter().map(|((from, to, cause), count)| {
                (
                    [("from", &**from), ("to", &**to), ("cause", *cause)],
                    *count,
                )
            }),
        )?;
        page.gauge(
            "firedoor_flips_left",
            "Automatic flips that max_flips_per_hour allows now",
            [([], self.report.flips_left)],
        )?;
        page.durations(
            "firedoor_flip_seconds",
            "How long the parts of flips took: detect and decide of failovers, commit and first_response of all",
            Spread::OF_FLIPS,
            Phase::ALL.map(|phase| {
                ([("phase", phase.as_str())], &self.account.phases[phase as usize])
            }),
        )
    }

    fn holds(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "firedoor_held_requests",
            "Requests that wait now, since no backend can take them",
            [([], self.held)],
        )?;
        let results = [
            ("released", self.totals.holds_released),
            ("expired", self.totals.holds_expired),
            ("refused", self.totals.holds_refused),
            ("left", self.totals.holds_left),
        ];
        page.counter(
            "firedoor_holds_total",
            "Requests that had to wait, by what came of it: a backend (released), no backend in time (expired), no room to wait (refused), or the client left (left)",
            results.map(|(result, count)| ([("result", result)], count)),
        )
    }

    fn housekeeping(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "firedoor_config_generation",
            "Counts the configurations that came into force",
            [([], self.snapshot.config_generation)],
        )?;
        page.gauge(
            "firedoor_config_last_reload_successful",
            "Whether the configuration that was read last is in force",
            [([], u32::from(!self.account.reload_failed))],
        )?;
        page.gauge(
            "firedoor_certificate_not_after_seconds",
            "When the certificate for this name ends, in seconds since 1970; of several the first",
            self.certificates
                .iter()
                .map(|(name, end)| ([("name", name.as_str())], *end)),
        )?;
        let refused = self.account.refused;
        let writes = [
            ("memory", refused.memory),
            ("journal", refused.journal),
            ("outcomes", refused.outcomes),
        ];
        page.gauge(
            "firedoor_state_write_failing",
            "Whether the state directory refuses it now: the active zone and pins (memory), the journal, the outcomes for a replay",
            writes.map(|(what, failing)| ([("what", what)], u32::from(failing))),
        )?;
        page.counter(
            "firedoor_access_log_dropped_total",
            "Lines of the access log that were lost, since it could not keep up",
            [([], self.totals.log_lines_dropped)],
        )?;
        let [exported, dropped] = self.spans;
        let spans = [("exported", exported), ("dropped", dropped)];
        page.counter(
            "firedoor_spans_total",
            "Spans of traced requests that a collector has taken (exported), and those that nobody will see (dropped)",
            spans.map(|(result, count)| ([("result", result)], count)),
        )?;
        page.counter(
            "firedoor_notices_total",
            "Events that each [[notify]] was told (delivered), and those that were given up (failed)",
            self.notices.iter().flat_map(|target| {
                let results = [("delivered", target.delivered()), ("failed", target.failed())];
                results.map(|(result, count)| ([("target", &*target.name), ("result", result)], count))
            }),
        )?;
        page.gauge(
            "firedoor_notices_waiting",
            "Events that it is still to be told",
            self.notices
                .iter()
                .map(|target| ([("target", &*target.name)], target.waiting())),
        )
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let process = &self.process;
        page.counter(
            "process_cpu_seconds_total",
            "User and system time of the process",
            [([], process.cpu_seconds)],
        )?;
        page.gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            [([], self.started.as_duration().as_secs_f64())],
        )?;
        let memory = process.memory.iter();
        page.gauge(
            "process_resident_memory_bytes",
            "What of the process is in memory",
            memory.clone().map(|memory| ([], memory.resident)),
        )?;
        page.gauge(
            "process_virtual_memory_bytes",
            "The size of its address space",
            memory.map(|memory| ([], memory.mapped)),
        )?;
        page.gauge(
            "process_open_fds",
            "Open file descriptors",
            process.open_fds.map(|count| ([], count)),
        )?;
        page.gauge(
            "process_max_fds",
            "How many it may have",
            process.max_fds.map(|count| ([], count)),
        )?;
        page.gauge(
            "process_threads",
            "Threads of the process",
            process.threads.map(|count| ([], count)),
        )
    }
}

fn of_pool(key: &PoolKey) -> [(&'static str, &str); 2] {
    [("zone", &key.zone), ("pool", &key.pool)]
}

fn named(key: &ComponentKey) -> [(&'static str, &str); 2] {
    [("zone", &key.zone), ("component", &key.name)]
}
