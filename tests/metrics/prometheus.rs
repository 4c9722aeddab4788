//! A real Prometheus, which scrapes the real binary and is asked what it has understood.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::page::certificate;
use crate::support::load::Plan;
use crate::support::pair::{EAGER, Pair, until_active};
use crate::support::wait::{PATIENCE, eventually_some, within};
use crate::support::{Proxy, RawClient, port};

/// A running Prometheus. Dropping it kills it.
struct Prometheus {
    address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `proxy` each second, and evaluates our alerts as often. What a scrape that takes as long would have brought is
    /// missing until the next one.
    fn start(proxy: &Proxy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/config/alerts.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{alerts}\"]\nscrape_configs:\n\
             \x20 - {{ job_name: firedoor, static_configs: [{{ targets: [\"{}\"] }}] }}\n",
            proxy.admin
        );
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        for _ in 0..10 {
            let address = port::free();
            let mut child = spawn(directory.path(), address);
            let ready = eventually_some(PATIENCE, "Prometheus is ready, or ends", || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let mut client = RawClient::try_connect(address).ok()?;
                client.send(format!(
                    "GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
                ));
                let answer = client.response_within("GET", PATIENCE).ok()?;
                (answer.status == 200).then_some(true)
            });
            if ready {
                return Self {
                    address,
                    child,
                    _directory: directory,
                };
            }
        }
        let output = std::fs::read_to_string(directory.path().join("output"));
        panic!("Prometheus does not start: {output:?}");
    }

    /// `GET path` of its API; its `data`.
    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let answer = RawClient::connect(self.address).exchange(format!(
            "GET /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        ));
        let said = answer.json();
        assert_eq!(said["status"], "success", "{path}: {said:#}");
        said["data"].clone()
    }

    /// What a query finds now.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => encoded.push(byte.into()),
                other => write!(encoded, "%{other:02X}").unwrap(),
            }
        }
        let data = self.ask(&format!("query?query={encoded}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The value of the only series that a query finds.
    fn value(&self, query: &str) -> Option<f64> {
        match &self.query(query)[..] {
            [only] => only["value"][1].as_str()?.parse().ok(),
            _ => None,
        }
    }

    #[track_caller]
    fn until(&self, query: &str, expected: f64) {
        let holds = within(PATIENCE, || self.value(query) == Some(expected));
        assert!(holds, "{query} is {:?}", self.query(query));
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path, address: SocketAddr) -> Child {
    let output = std::fs::File::create(directory.join("output")).unwrap();
    Command::new("prometheus")
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address={address}"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .expect("prometheus; tests/run installs it")
}

/// Every expression of the dashboard, with its variables as a user would choose them.
fn expressions() -> Vec<String> {
    let text = include_str!("../../config/grafana.json");
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let written = targets.chain(annotations).map(|target| &target["expr"]);
    let chosen = written.map(|expression| {
        let mut expression = expression.as_str().unwrap().to_owned();
        for (name, value) in [
            ("$__rate_interval", "20s"),
            ("$job", "firedoor"),
            ("$instance", ".*"),
            ("$zone", ".*"),
            ("$pool", ".*"),
        ] {
            expression = expression.replace(name, value);
        }
        assert!(!expression.contains('$'), "{expression}");
        expression
    });
    chosen.collect()
}

/// The metrics that an expression names.
fn metrics(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("firedoor_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn prometheus_understands_all_of_it_and_finds_what_the_dashboard_and_the_alerts_ask_for() {
    let mut pair = Pair::start();
    let folder = tempfile::tempdir().unwrap();
    let tls = certificate(folder.path());
    let notify = "[[notify]]\nname = \"pager\"\ncommand = [\"/bin/true\"]\n";
    let second = format!(
        "[[listener]]\nbind = \"{}\"\n{tls}\n{EAGER}{notify}",
        port::free()
    );
    let proxy = pair.proxy(&second);
    let prometheus = Prometheus::start(&proxy);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(50);
    prometheus.until("up", 1.0);
    prometheus.until("firedoor_zone_active{zone=\"fz-1\"}", 1.0);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    load.wait_for_more(50);
    let records = load.finish();
    prometheus.until("sum(firedoor_requests_total)", records.len() as f64);
    prometheus.until(
        "sum(firedoor_request_duration_seconds_count)",
        records.len() as f64,
    );
    let flips = "firedoor_flips_total{from=\"fz-1\", to=\"fz-2\", cause=\"failover\"}";
    prometheus.until(flips, 1.0);
    prometheus.until("firedoor_epoch", 2.0);

    // What it has understood of the types and the words.
    let metadata = prometheus.ask("metadata");
    for (name, kind) in [
        ("firedoor_requests_total", "counter"),
        ("firedoor_request_duration_seconds", "histogram"),
        ("firedoor_in_flight", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        // In OpenMetrics a counter is declared without its ending.
        let declared = name.strip_suffix("_total").unwrap_or(name);
        assert_eq!(metadata[declared][0]["type"], kind, "{metadata:#}");
        assert!(
            metadata[declared][0]["help"]
                .as_str()
                .is_some_and(|help| help.len() > 3)
        );
    }

    let names = prometheus.ask("label/__name__/values");
    let names: BTreeSet<&str> = names
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let asked = expressions();
    assert!(asked.len() > 40, "{}", asked.len());
    for expression in &asked {
        for metric in metrics(expression) {
            assert!(names.contains(metric), "{metric} in {expression}");
        }
        let may_be_empty = expression.contains(" > 0") || expression.ends_with(" == 1");
        let found = || !prometheus.query(expression).is_empty();
        let asked = may_be_empty || within(PATIENCE, found);
        assert!(asked, "nothing: {expression}");
    }
    // And the other way round: whatever is worth counting is worth showing.
    let shown: BTreeSet<&str> = asked
        .iter()
        .flat_map(|expression| metrics(expression))
        .collect();
    for name in names.iter().filter(|name| name.starts_with("firedoor_")) {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(name);
        let is_shown = shown.iter().any(|shown| shown.starts_with(base));
        assert!(is_shown, "{name} is on no panel");
    }

    // fz-1 is down, so that no standby is ready: that will be an alert, once it has lasted.
    let pending = |alert: &str| {
        let query = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"pending\"}}");
        within(PATIENCE, || !prometheus.query(&query).is_empty())
    };
    assert!(pending("NoStandby"), "{:#}", prometheus.ask("rules"));
    assert!(pending("ComponentDown"), "{:#}", prometheus.ask("rules"));
    let groups = prometheus.ask("rules");
    let rules = groups["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 15);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        for metric in metrics(rule["query"].as_str().unwrap()) {
            assert!(names.contains(metric), "{metric} in {rule:#}");
        }
        let firing = rule["alerts"].as_array().into_iter().flatten();
        let firing: Vec<_> = firing.filter(|alert| alert["state"] == "firing").collect();
        assert!(firing.is_empty(), "{firing:#?}");
    }
}

#[test]
fn no_two_panels_of_the_dashboard_cover_each_other_and_each_has_a_number_of_its_own() {
    let text = include_str!("../../config/grafana.json");
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut covered = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel:#}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel:#}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(covered.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}
