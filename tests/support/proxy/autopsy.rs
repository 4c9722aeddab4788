//! What a proxy leaves to whoever has to find out why its test has failed. Its own log is silent about a request that only waits, and knows
//! nothing of one that it has never read.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Milliseconds after which an answer was late.
const LATE: f64 = 1000.0;

/// The lines of an access log about requests that were not answered, or late.
pub(super) fn odd_requests(access_log: &str) -> String {
    let odd = |line: &&str| {
        let told: Value = serde_json::from_str(line).unwrap_or_default();
        told["termination"] != "--" || told["duration_ms"].as_f64().is_none_or(|took| took > LATE)
    };
    let lines: Vec<&str> = access_log.lines().filter(odd).collect();
    lines.join("\n")
}

/// Each thread of a process, with its state, the ticks that it has run for and how often it had to wait for a page from a disk; and each of
/// its sockets in which bytes lie, either way: those that have come wait for the process, and where it listens, so many connections do.
pub(super) fn still_life(pid: u32) -> String {
    let process = format!("/proc/{pid}");
    let mut seen = String::new();
    for task in list(&format!("{process}/task")) {
        let stat = text(&format!("{task}/stat"));
        let (name, rest) = stat.rsplit_once(") ").unwrap_or_default();
        let fields: Vec<&str> = rest.split(' ').collect();
        if let [state, .., faults, _, user, system] = fields[..fields.len().min(13)] {
            let waits = text(&format!("{task}/wchan"));
            writeln!(
                seen,
                "thread {name}) {state} {waits}, ticks {user} + {system}, major faults {faults}"
            )
            .unwrap();
        }
    }
    let sockets: HashSet<String> = list(&format!("{process}/fd"))
        .iter()
        .filter_map(|fd| Some(fs::read_link(fd).ok()?.to_str()?.to_owned()))
        .collect();
    for line in text(&format!("{process}/net/tcp")).lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, queues, .., inode] = fields[..fields.len().min(10)] else {
            continue;
        };
        if queues != "00000000:00000000" && sockets.contains(&format!("socket:[{inode}]")) {
            let (out, come) = queues.split_once(':').unwrap_or_default();
            let (local, remote) = (port(local), port(remote));
            writeln!(
                seen,
                "socket {local} of {remote}, state {state}, to go out 0x{out}, to be read 0x{come}"
            )
            .unwrap();
        }
    }
    seen
}

fn list(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(directory)).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
        .collect()
}

fn text(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// Of an address as the kernel lists it: `0100007F:1F90`.
fn port(address: &str) -> u16 {
    let port = address.rsplit(':').next().unwrap_or_default();
    u16::from_str_radix(port, 16).unwrap_or_default()
}
