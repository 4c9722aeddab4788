//! Many idle connections and a long mixed load leave memory and file descriptors where they were.
//!
//! `FIREDOOR_SOAK=1h cargo test --test soak` for the long run; without it, 20 s.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::behaviour::{self, custom};
use support::load::Plan;
use support::pair::{EAGER, Pair, assert_none_failed, sound, until_active};
use support::wait::PATIENCE;
use support::{Origin, Proxy, eventually};

/// Resident memory that one idle keep-alive connection may cost, debug builds included.
const KIB_PER_CONNECTION: u64 = 32;

/// What an allocator may keep for itself after a peak, and growth of a warmed-up process under steady load.
const KEPT_KIB: u64 = 24 * 1024;

#[test]
fn ten_thousand_idle_connections_cost_little_and_leave_nothing_behind() {
    let count = connections_allowed(10_000);
    let origin = Origin::named("a");
    let proxy = Proxy::builder()
        .access_log("path = \"off\"")
        .zone("fz-1", &[&origin])
        .start();
    // Once before the measurement, so that what is allocated once is allocated.
    drop(idle_connections(&proxy, 500.min(count)));
    eventually(PATIENCE, "the connections are gone", || {
        descriptors(&proxy) < 100
    });
    let (before, descriptors_before) = (proxy.resident_kib(), descriptors(&proxy));

    let idle = idle_connections(&proxy, count);
    let full = proxy.resident_kib();
    let each = full.saturating_sub(before) as f64 / count as f64;
    let asked = Instant::now();
    assert_eq!(proxy.get("/").status, 200);
    let answer = asked.elapsed();
    drop(idle);
    eventually(PATIENCE, "every connection is closed", || {
        descriptors(&proxy) <= descriptors_before + 4
    });
    let after = proxy.resident_kib();
    say(&format!(
        "{count} idle connections: {before} KiB before, {full} KiB with them ({each:.1} KiB each), {after} KiB after; \
         a request beside them took {answer:?}"
    ));
    assert!(
        each <= KIB_PER_CONNECTION as f64,
        "{each:.1} KiB for each idle connection"
    );

    // An allocator keeps pages; a leak shows when it happens again.
    drop(idle_connections(&proxy, count));
    eventually(PATIENCE, "every connection is closed", || {
        descriptors(&proxy) <= descriptors_before + 4
    });
    let again = proxy.resident_kib();
    assert!(
        again <= full.max(after) + KEPT_KIB,
        "{again} KiB after the second time, {full} KiB at the first peak"
    );
}

#[test]
fn a_mixed_load_with_flips_leaves_memory_and_descriptors_flat() {
    let mut pair = Pair::start();
    for zone in pair.zones() {
        for (server, name) in zone.servers.iter().zip(["app-1", "app-2"]) {
            server.behave(mixed(zone.name, name));
        }
    }
    let proxy = pair
        .builder(EAGER)
        .access_log("path = \"off\"")
        .toml("[upstream]\nidle_timeout = \"1s\"")
        .start();
    support::pair::until_both_serve(&proxy);
    let duration = soak_time();
    // A fifth of the time warms pools, buffers and the allocator up; what grows after that grows for ever.
    let warm_up = duration / 5;
    let began = Instant::now();
    let mut warm = 0;
    let mut peak_descriptors = 0;
    let mut round = 0;
    while began.elapsed() < duration {
        let records = one_round(&proxy, &mut pair, round);
        assert_none_failed(&records);
        if began.elapsed() < warm_up || warm == 0 {
            warm = proxy.resident_kib().max(warm);
        }
        peak_descriptors = peak_descriptors.max(descriptors(&proxy));
        round += 1;
    }
    let after = proxy.resident_kib();
    eventually(PATIENCE, "idle connections to backends are closed", || {
        descriptors(&proxy) < 120
    });
    say(&format!(
        "mixed load for {:?}, {round} rounds: {warm} KiB warm, {after} KiB at the end; at most {peak_descriptors} descriptors, \
         {} at the end",
        began.elapsed(),
        descriptors(&proxy)
    ));
    assert!(round > 1, "not two rounds: nothing to compare");
    assert!(
        after <= warm + KEPT_KIB,
        "resident memory grew from {warm} to {after} KiB"
    );
}

/// GETs, POSTs, big bodies, clients that leave in the middle, and in every other round a failover and its healing.
fn one_round(proxy: &Proxy, pair: &mut Pair, round: u32) -> Vec<support::load::Record> {
    let load = Plan {
        rate: 400,
        ..Plan::to(proxy.address)
    }
    .start();
    let big = Plan {
        rate: 20,
        paths: ("/big", "/big"),
        ..Plan::to(proxy.address)
    }
    .only_get()
    .start();
    for _ in 0..20 {
        let mut leaving = proxy.client();
        leaving.send("GET /big HTTP/1.1\r\nHost: app.example\r\n\r\n");
        leaving.some(PATIENCE).unwrap();
        leaving.reset();
    }
    if round % 2 == 1 {
        pair.preferred.database.refuse();
        until_active(proxy, "fz-2");
        pair.preferred.database.restart();
        support::pair::until_both_serve(proxy);
        let answer = proxy.admin_post("/v1/failback", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    load.wait_for_more(400);
    big.wait_for_more(20);
    let mut records = load.finish();
    records.extend(big.finish());
    records
}

fn mixed(zone: &str, server: &str) -> behaviour::Behaviour {
    let (small, big) = (sound(zone, server), behaviour::ok(vec![b'b'; 1024 * 1024]));
    custom(move |exchange| {
        let target = exchange.head.line.split(' ').nth(1).unwrap_or_default();
        if target.starts_with("/big") {
            big(exchange)
        } else {
            small(exchange)
        }
    })
}

/// Connections that have had one answer each and stay open.
fn idle_connections(proxy: &Proxy, count: usize) -> Vec<TcpStream> {
    use std::io::Read;
    let threads = 16;
    let connect = |share: usize| {
        let mut streams = Vec::new();
        for _ in (share..count).step_by(threads) {
            let mut stream = TcpStream::connect(proxy.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")
                .unwrap();
            let mut answer = [0; 1024];
            let length = stream.read(&mut answer).unwrap();
            assert!(
                answer[..length].starts_with(b"HTTP/1.1 200 "),
                "{:?}",
                String::from_utf8_lossy(&answer[..length])
            );
            streams.push(stream);
        }
        streams
    };
    thread::scope(|scope| {
        let connecting: Vec<_> = (0..threads)
            .map(|share| scope.spawn(move || connect(share)))
            .collect();
        connecting
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// `wanted`, or fewer where the hard limit of descriptors forbids; raises the soft limit, which the proxy inherits.
fn connections_allowed(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(hard.min(65_536)),
            maximum: limit.maximum,
        },
    )
    .unwrap();
    // Both ends of every connection are descriptors, but of two processes.
    let allowed = wanted.min(
        usize::try_from(hard)
            .unwrap_or(usize::MAX)
            .saturating_sub(500),
    );
    if allowed < wanted {
        say(&format!(
            "only {allowed} idle connections instead of {wanted}: the hard limit of descriptors is {hard}"
        ));
    }
    allowed
}

fn descriptors(proxy: &Proxy) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.pid()))
        .unwrap()
        .count()
}

/// `FIREDOOR_SOAK`: `20s`, `10m`, `1h`.
fn soak_time() -> Duration {
    let Ok(text) = std::env::var("FIREDOOR_SOAK") else {
        return Duration::from_secs(20);
    };
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("FIREDOOR_SOAK={text}: write 20s, 10m or 1h"),
    };
    Duration::from_secs(seconds * number.parse::<u64>().unwrap())
}

/// Past the test runner's capture.
fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap();
}
