//! A log that can't be written loses lines, tells how many, and delays nobody.

use std::fs::File;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy, RawClient};

/// So much longer than a request takes that a request which waits for the log can't be overlooked.
const AT_ONCE: Duration = Duration::from_secs(5);

/// `times` requests whose lines have some 8 KB each; all are answered, each at once.
fn requests(client: &mut RawClient, times: usize) {
    let long = "x".repeat(8000);
    for number in 0..times {
        let begun = Instant::now();
        let answer = client.exchange(format!(
            "GET /{number}/{long} HTTP/1.1\r\nHost: app.example\r\n\r\n"
        ));
        assert_eq!(answer.status, 200);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    }
}

fn dropped(proxy: &Proxy) -> u64 {
    proxy.status()["access_log"]["lines_dropped"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_full_disk_costs_lines_which_are_counted_and_nothing_else() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::builder()
        .small_disk("512k")
        .access_log("path = \"state/access.log\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    requests(&mut client, 200);
    eventually(PATIENCE, "lines are lost", || dropped(&proxy) > 100);
    eventually(PATIENCE, "the loss is told", || {
        proxy
            .log()
            .contains("the access log can't be written: lines are lost")
    });

    // Somebody makes room: the file is rotated away.
    let file = proxy.state_file("access.log");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    proxy.signal(rustix::process::Signal::USR1);
    eventually(PATIENCE, "a new file", || file.exists());
    let known = before.lines().count() as u64 + dropped(&proxy);
    assert!(known <= 200, "{known}");
    requests(&mut client, 5);
    // Each request has a line or is counted, and what is there is whole.
    eventually(PATIENCE, "all is accounted for", || {
        let after = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = before.lines().chain(after.lines()).collect();
        let whole = lines
            .iter()
            .all(|line| serde_json::from_str::<Value>(line).is_ok());
        assert!(whole, "a torn line");
        lines.len() as u64 + dropped(&proxy) == 205
    });
    assert!(std::fs::read_to_string(&file).unwrap().lines().count() >= 5);
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_which_are_counted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let origin = Origin::named("thanks");
    // Nobody has opened it yet: that doesn't keep the proxy from starting.
    let mut proxy = Proxy::builder()
        .access_log(&format!("path = {pipe:?}"))
        .zone("fz-1", &[&origin])
        .start();
    let reader = File::open(&pipe).unwrap();
    let mut client = proxy.client();
    // The pipe has 64 KiB, and 8 MiB may be under way.
    requests(&mut client, 1500);
    eventually(PATIENCE, "lines are lost", || dropped(&proxy) > 100);

    // It stops nobody else either: neither the signal, nor orders, nor the end.
    proxy.signal(rustix::process::Signal::USR1);
    assert_eq!(proxy.admin_get("/health").status, 200);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    requests(&mut client, 1);
    drop(client);
    proxy.signal(rustix::process::Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    drop(reader);
}

#[test]
fn what_was_lost_because_a_reader_was_slow_is_told_once_it_reads_again() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let origin = Origin::named("thanks");
    let proxy = Proxy::builder()
        .access_log(&format!("path = {pipe:?}"))
        .zone("fz-1", &[&origin])
        .start();
    let reader = File::open(&pipe).unwrap();
    requests(&mut proxy.client(), 1500);
    eventually(PATIENCE, "lines are lost", || dropped(&proxy) > 0);
    let reading = std::thread::spawn(move || {
        let mut sink = std::io::sink();
        let mut reader = reader;
        let _until_the_end = std::io::copy(&mut reader, &mut sink);
    });
    eventually(PATIENCE, "the loss is told", || {
        proxy
            .log()
            .contains("access-log lines were lost: they couldn't be written as fast as they came")
    });
    drop(proxy);
    reading.join().unwrap();
}
