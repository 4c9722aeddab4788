//! `config/alerts.yml`, with Prometheus's own tool.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new("promtool")
        .args(arguments)
        .arg(file)
        .output()
        .expect("promtool; tests/run installs it");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_alerts_are_in_order_and_each_fires_when_it_should_and_not_otherwise() {
    promtool(&["check", "rules"], &root().join("config/alerts.yml"));
    let tests = root().join("tests/metrics/alerts.test.yml");
    promtool(&["test", "rules"], &tests);
    let tests = std::fs::read_to_string(tests).unwrap();
    let alerts = std::fs::read_to_string(root().join("config/alerts.yml")).unwrap();
    let lines = || alerts.lines().map(str::trim);
    let names: Vec<&str> = lines()
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let fires = format!("- alertname: {name}\n");
        assert!(tests.contains(&fires), "{name}: nothing makes it fire");
    }
    let words = |key: &str| lines().filter(|line| line.starts_with(key)).count();
    assert_eq!(words("description:"), words("- alert:"));
}
