//! `/v1/events`: what happens is told at once, to everybody, without a loss, and at no one's cost but the slow reader's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "events/subscriber.rs"]
mod subscriber;
mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use subscriber::Subscriber;
use support::pair::{EAGER, Pair, journal_of, until_both_serve};
use support::wait::PATIENCE;
use support::wire::Trouble;
use support::{Proxy, eventually};

/// Streams at once.
const ROOM: usize = 128;

#[test]
fn a_flip_is_on_the_stream_at_once_and_as_the_journal_has_it() {
    let mut pair = Pair::start();
    let proxy = unhurried(&pair);
    let mut stream = Subscriber::open(proxy.admin, "?with=status", "");
    let status = stream.next();
    assert_eq!((&*status.name, status.id), ("status", None));
    assert_eq!(status.data["active_zone"], "fz-1");

    pair.preferred.database.stop_listening();
    let broken = Instant::now();
    let (flip, status) = stream.until_flip("fz-2");
    println!(
        "entry and status came {:?} after the fault",
        broken.elapsed()
    );
    assert_eq!(flip.data, journal_of(&proxy, "flip", 1)[0]);
    assert_eq!(flip.id, flip.data["number"].as_u64());
    assert_eq!(status.data["epoch"], flip.data["epoch"]);
}

#[test]
fn whoever_comes_back_goes_on_where_it_was_across_a_restart_too() {
    let pair = Pair::start();
    let mut proxy = unhurried(&pair);
    let mut seen = Vec::new();
    let mut stream = Subscriber::open(proxy.admin, "?after=0", "");
    (0..3).for_each(|_| seen.push(stream.next().data));

    stream = again(&proxy, stream, || activate(&proxy, "fz-2"));
    read_to_flip(&mut stream, &mut seen, 2);
    activate(&proxy, "fz-1");
    read_to_flip(&mut stream, &mut seen, 3);

    let last = stream.last_id;
    activate(&proxy, "fz-2");
    proxy.crash_and_restart();
    stream = resumed(&proxy, last);
    read_to_flip(&mut stream, &mut seen, 4);
    until_both_serve(&proxy);
    activate(&proxy, "fz-1");
    read_to_flip(&mut stream, &mut seen, 5);

    let all = proxy.admin_get("/v1/journal?after=0&limit=1000").json();
    let all = all["entries"].as_array().unwrap();
    assert_eq!(seen, all[..seen.len()], "nothing is lost or doubled");
}

#[test]
fn a_journal_that_begins_anew_is_told_from_its_beginning_and_one_that_is_too_short_by_its_gap() {
    let pair = Pair::start();
    let proxy = unhurried(&pair);
    let mut stream = resumed(&proxy, Some(1_000_000));
    assert_eq!(stream.next().id, Some(1));

    let known = proxy.admin_get("/v1/journal").json()["last"].as_u64();
    let mut stream = resumed(&proxy, None);
    activate(&proxy, "fz-2");
    assert!(
        stream.next().id > known,
        "only what comes, without a number"
    );

    // Nobody keeps all of a long journal in memory, but 1000 entries; an order and what comes of it are two.
    for _ in 0..260 {
        for state in ["drain", "ready"] {
            post(
                &proxy,
                &format!("/v1/zones/fz-1/backends/app-1/{state}"),
                "",
            );
        }
    }
    let mut stream = resumed(&proxy, Some(1));
    let gap = stream.next();
    assert_eq!((&*gap.name, gap.id), ("gap", None));
    assert_eq!(gap.data["after"], 1);
    assert_eq!(gap.data["next"], stream.next().id.unwrap());
}

#[test]
fn a_client_that_does_not_read_is_cut_and_nobody_else_notices() {
    let pair = Pair::start();
    let proxy = unhurried(&pair);
    let before = sockets(&proxy);
    let deaf = Subscriber::open(proxy.admin, "?with=status", "");
    let mut other = Subscriber::open(proxy.admin, "", "");
    eventually(PATIENCE, "both streams are open", || {
        sockets(&proxy) >= before + 2
    });
    // Much more than all buffers on the way hold.
    let reason = "x".repeat(1000);
    let mut longest = Duration::ZERO;
    let mut told = 0;
    for round in 0..400 {
        let state = ["drain", "ready"][round % 2];
        let path = format!("/v1/zones/fz-2/backends/app-1/{state}");
        let begun = Instant::now();
        post(&proxy, &path, &format!("{{\"reason\": \"{reason}\"}}"));
        other.until("journal", |entry| entry["kind"] == "operator_state");
        longest = longest.max(begun.elapsed());
        told += 1;
    }
    assert_eq!(told, 400);
    println!("while one does not read, another gets an entry within {longest:?} of the order");
    eventually(PATIENCE, "the stream that isn't read is cut", || {
        sockets(&proxy) <= before + 1
    });
    drop(deaf);
    assert!(proxy.resident_kib() < 200_000);
}

#[test]
fn fifty_streams_get_the_same_at_the_same_time() {
    let mut pair = Pair::start();
    let proxy = unhurried(&pair);
    let mut streams: Vec<Subscriber> = (0..50)
        .map(|_| Subscriber::open(proxy.admin, "?with=status", ""))
        .collect();
    pair.preferred.database.stop_listening();
    let broken = Instant::now();
    let told: Vec<_> = streams
        .iter_mut()
        .map(|stream| stream.until_flip("fz-2"))
        .collect();
    println!(
        "entry and status were on all 50 streams {:?} after the fault",
        broken.elapsed()
    );
    assert!(told.iter().all(|one| *one == told[0]), "made once");
}

#[test]
fn streams_have_a_bound_and_leave_room_for_questions() {
    let pair = Pair::start();
    let proxy = unhurried(&pair);
    let mut streams: Vec<Subscriber> = (0..ROOM)
        .map(|_| Subscriber::open(proxy.admin, "?with=status", ""))
        .collect();
    let refused = Subscriber::try_open(proxy.admin, "", "");
    assert_eq!(refused.status(), "503");
    assert_eq!(refused.head.field("retry-after"), Some("10"));
    // All that is left is taken by clients that say nothing, and by clients that want more streams.
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(proxy.admin).unwrap())
        .collect();
    for _ in 0..50 {
        assert_eq!(Subscriber::try_open(proxy.admin, "", "").status(), "503");
    }
    assert_eq!(proxy.admin_get("/health").status, 200);
    drop(silent);
    // Those that were open are still.
    activate(&proxy, "fz-2");
    for stream in &mut streams {
        stream.until("journal", |entry| entry["kind"] == "flip");
    }
    streams.pop();
    eventually(PATIENCE, "one has left, one may come", || {
        Subscriber::try_open(proxy.admin, "", "").status() == "200"
    });
}

#[test]
fn a_stream_that_is_asked_for_wrongly_is_told_what_is_wrong() {
    let pair = Pair::start();
    let proxy = unhurried(&pair);
    for (query, fields) in [
        ("?after=x", ""),
        ("?after=-1", ""),
        ("?with=everything", ""),
        ("?with=status,everything", ""),
        ("", "Last-Event-ID: last\r\n"),
    ] {
        let refused = Subscriber::try_open(proxy.admin, query, fields);
        assert_eq!(refused.status(), "400", "{query} {fields}");
        assert_eq!(
            refused.head.field("content-type"),
            Some("application/problem+json")
        );
    }
    for (fields, status) in [
        ("Origin: https://other.example\r\n", "403"),
        ("Sec-Fetch-Site: cross-site\r\n", "403"),
        ("Last-Event-ID: \r\n", "200"),
    ] {
        let answer = Subscriber::try_open(proxy.admin, "", fields);
        assert_eq!(answer.status(), status, "{fields}");
    }
    assert_eq!(proxy.admin_post("/v1/events", "").status, 405);
}

#[test]
fn streams_end_with_the_process_and_do_not_hold_it_up() {
    let pair = Pair::start();
    let mut proxy = unhurried(&pair);
    let mut streams: Vec<Subscriber> = (0..10)
        .map(|_| Subscriber::open(proxy.admin, "?with=status", ""))
        .collect();
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    for stream in &mut streams {
        assert_eq!(stream.end_within(PATIENCE), Trouble::Closed);
    }
    let ended = told.elapsed();
    assert!(proxy.wait_for_exit(PATIENCE).success());
    println!(
        "streams ended {ended:?} and the process {:?} after the signal",
        told.elapsed()
    );
    let log = proxy.log();
    assert!(!log.contains("did not end in time"), "{log}");
}

#[test]
fn traffic_comes_each_second_beside_the_rest() {
    let pair = Pair::start();
    let proxy = unhurried(&pair);
    let mut stream = Subscriber::open(proxy.admin, "?with=status%2Ctraffic", "");
    let first = [stream.next().name, stream.next().name];
    assert_eq!(first, ["status", "traffic"]);
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let busy = stream.until("traffic", |t| t["requests_per_second"].as_f64() > Some(0.0));
    assert_eq!(busy.data["zones"][0]["name"], "fz-1");
    let calm = stream.until("traffic", |t| t["at"] != busy.data["at"]);
    assert_eq!((busy.id, calm.id), (None, None));
}

/// The same stream, opened again after `meanwhile`, where nobody listens.
/// A proxy with both zones serving, and checks that a machine can't be too busy for: a zone that has failed by them isn't activated, and one
/// that was entered because the other had failed can't be once more.
#[track_caller]
fn unhurried(pair: &Pair) -> Proxy {
    pair.proxy(EAGER)
}

fn again(proxy: &Proxy, stream: Subscriber, meanwhile: impl FnOnce()) -> Subscriber {
    let last = stream.last_id;
    drop(stream);
    meanwhile();
    resumed(proxy, last)
}

fn resumed(proxy: &Proxy, last: Option<u64>) -> Subscriber {
    let field = last.map(|last| format!("Last-Event-ID: {last}\r\n"));
    // The address is still the old one, as a browser has it.
    let query = if last.is_some() { "?after=0" } else { "" };
    Subscriber::open(proxy.admin, query, &field.unwrap_or_default())
}

/// Reads entries up to the flip that begins `epoch`.
#[track_caller]
fn read_to_flip(stream: &mut Subscriber, seen: &mut Vec<Value>, epoch: u64) {
    loop {
        let event = stream.next();
        assert_eq!(event.name, "journal");
        let done = event.data["kind"] == "flip" && event.data["epoch"] == epoch;
        seen.push(event.data);
        if done {
            return;
        }
    }
}

#[track_caller]
fn activate(proxy: &Proxy, zone: &str) {
    let body = "{\"hold\": false, \"reason\": \"a test\"}";
    post(proxy, &format!("/v1/zones/{zone}/activate"), body);
}

#[track_caller]
fn post(proxy: &Proxy, path: &str, body: &str) {
    let answer = proxy.admin_post(path, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// How many sockets the process has open.
fn sockets(proxy: &Proxy) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

#[test]
fn the_journal_is_followed_across_a_restart() {
    let pair = Pair::start();
    let mut proxy = unhurried(&pair);
    let mut child = Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args(["journal", "--follow", "--json", "--after", "0"])
        .env("FIREDOOR_ADMIN", proxy.admin.to_string())
        .env_remove("FIREDOOR_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            // Nobody listens any more when the test is over.
            let _ = sender.send(line.unwrap());
        }
    });
    let mut seen: Vec<Value> = Vec::new();
    let until_epoch = |seen: &mut Vec<Value>, epoch: u64| {
        while seen.last().is_none_or(|entry| entry["kind"] != "flip")
            || seen[seen.len() - 1]["epoch"] != epoch
        {
            let line = lines.recv_timeout(PATIENCE).expect("an entry");
            seen.push(serde_json::from_str(&line).unwrap());
        }
    };
    activate(&proxy, "fz-2");
    until_epoch(&mut seen, 2);
    proxy.crash_and_restart();
    until_both_serve(&proxy);
    activate(&proxy, "fz-1");
    until_epoch(&mut seen, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("trying again") && said.contains("following again"),
        "{said}"
    );
    let all = proxy.admin_get("/v1/journal?after=0&limit=1000").json();
    let all = all["entries"].as_array().unwrap();
    assert_eq!(seen, all[..seen.len()], "nothing is lost or doubled");
}
