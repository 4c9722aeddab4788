//! What `/metrics` says, to whom, and in which words.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use super::page::Page;
use crate::support::{Origin, Proxy, RawClient};

/// What Prometheus itself asks for.
const PROMETHEUS: &str = "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

fn ask(proxy: &Proxy, accept: &str) -> crate::support::Response {
    RawClient::connect(proxy.admin).exchange(format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n",
        proxy.admin
    ))
}

fn served() -> (Origin, Proxy) {
    let origin = Origin::named("app");
    let proxy = Proxy::builder()
        .zone("fz-1", &[&origin])
        .zone("fz-2", &[&origin])
        .start();
    proxy.until_all_up();
    assert_eq!(proxy.get("/").status, 200);
    (origin, proxy)
}

#[test]
fn promtool_finds_nothing_to_say_about_it() {
    let (_origin, proxy) = served();
    let page = Page::of(&proxy);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; tests/run installs it");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn both_formats_tell_the_same_and_each_is_named() {
    let (_origin, proxy) = served();
    let open = ask(&proxy, PROMETHEUS);
    assert_eq!(
        open.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("\n# EOF\n"));
    let plain = ask(&proxy, "*/*");
    assert_eq!(
        plain.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(!plain.text().contains("# EOF") && !plain.text().contains("# UNIT"));
    let (open, plain) = (Page::read(&open), Page::read(&plain));
    assert_eq!(open.names(), plain.names());
    for name in [
        "firedoor_requests_total",
        "firedoor_epoch",
        "firedoor_build_info",
    ] {
        assert_eq!(open.sum(name, &[]), plain.sum(name, &[]), "{name}");
    }
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let (_origin, proxy) = served();
    let page = Page::of(&proxy);
    let declared: BTreeSet<&str> = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/README.md")).unwrap();
    let section = readme.split("\n## Metrics\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<&str> = rows
        .filter_map(|row| row.split(['`', '{']).next())
        .filter(|name| name.starts_with("firedoor_") || name.starts_with("process_"))
        .collect();
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(declared, documented);
}

#[test]
fn what_the_process_uses_is_there_under_the_usual_names() {
    let (_origin, proxy) = served();
    let page = Page::of(&proxy);
    let value = |name: &str| page.value(name, &[]);
    assert!(value("process_cpu_seconds_total") > 0.0);
    let resident = value("process_resident_memory_bytes") / 1024.0;
    let seen = proxy.resident_kib() as f64;
    assert!((resident - seen).abs() < seen / 2.0, "{resident} {seen}");
    let open = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid()))
        .unwrap()
        .count() as f64;
    assert!((value("process_open_fds") - open).abs() < 20.0, "{open}");
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let age = now - value("process_start_time_seconds");
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn strangers_and_pages_of_others_learn_nothing() {
    let origin = Origin::named("app");
    let proxy = Proxy::in_front_of(&[&origin]);
    let raw = |lines: &str| {
        RawClient::connect(proxy.admin).exchange(format!(
            "GET /metrics HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        ))
    };
    let own = proxy.admin;
    for lines in [
        "Host: rebind.example\r\n".to_owned(),
        format!("Host: {own}\r\nOrigin: http://evil.example\r\n"),
    ] {
        let answer = raw(&lines);
        assert_eq!(answer.status, 403, "{lines}");
        assert!(!answer.text().contains("firedoor_"), "{}", answer.text());
    }
    let posted = proxy.admin_post("/metrics", "");
    assert_eq!(
        (posted.status, posted.field("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn where_a_token_is_needed_metrics_and_traffic_need_it_too() {
    let origin = Origin::named("app");
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("admin.token");
    std::fs::write(&token, "0123456789abcdef0123456789abcdef\n").unwrap();
    let proxy = Proxy::builder()
        .admin(&format!("token_file = \"{}\"", token.display()))
        .zone("fz-1", &[&origin])
        .start();
    for path in ["/metrics", "/v1/traffic"] {
        let answer = proxy.admin_get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.text().contains("fz-1"), "{}", answer.text());
        let with = RawClient::connect(proxy.admin).exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\nConnection: close\r\n\r\n",
            proxy.admin
        ));
        assert_eq!(with.status, 200, "{path}");
        assert!(with.text().contains("fz-1"));
    }
}
