//! Slow and greedy clients are cut within their limits, while a well-behaved one beside them notices nothing and memory
//! stays where it was. One line of figures per kind of attack.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "greedy/attack.rs"]
mod attack;
#[path = "greedy/held.rs"]
mod held;
mod support;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use attack::{ATTACKS, Attack, Attacker, LIMITS};
use support::behaviour::{self, custom};
use support::wait::PATIENCE;
use support::wire::Trouble;
use support::{Broken, Front, Origin, Proxy, RawClient};

/// How much later than its limit an attacker may be cut: a machine that is busy with other work takes seconds where an idle one
/// takes the sweep's 50 ms (the printed line tells). Less than any limit's default, so a limit that is not obeyed shows.
const SLACK: Duration = Duration::from_secs(8);

/// How much resident memory may grow over all attacks together. 2,000 connections at once are part of it.
const GROWTH_KIB: u64 = 96 * 1024;

/// What the well-behaved client may wait for the middle one of its answers, and for the slowest: the attackers, the app
/// server and this test share the processors with the proxy, and other work may run beside.
const UNHARMED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// How many answers the well-behaved client wants at least, also where the attackers are cut at once.
const ENOUGH: usize = 25;

/// What one kind of attack has led to.
struct Damage {
    /// The attacker that was held longest; `None`: some were never cut.
    cut_after: Option<Duration>,
    answered: Option<String>,
    friend: Friend,
    resident_kib: u64,
}

/// An attacker that isn't known to have been cut.
struct Running {
    since: Instant,
    /// The proxy was seen to hold it, or it has come to its end.
    seen: bool,
}

/// What the well-behaved client saw.
#[derive(Default)]
struct Friend {
    waits: Vec<Duration>,
    trouble: Option<String>,
}

#[test]
fn greedy_clients_are_cut_while_a_well_behaved_one_is_unharmed() {
    let origin = Origin::start(behaviour::ok(""));
    origin.behave(custom(|exchange| {
        let answer = match exchange.head.line.split(' ').nth(1) {
            Some("/huge") => behaviour::huge(256 * 1024 * 1024),
            Some("/page") => behaviour::ok([b'p'; 16 * 1024]),
            _ => behaviour::ok("small"),
        };
        answer(exchange)
    }));
    let front = Front::start(
        Proxy::builder().toml(LIMITS).access_log("path = \"off\""),
        &[&origin],
    );
    support::client::get(front.address(), "/");
    let before = resident_kib(&front);
    let mut failures = Vec::new();
    for attack in &ATTACKS {
        let damage = suffer(attack, &front);
        say(&line(attack, &damage, before));
        failures.extend(judge(attack, &damage, before));
    }
    assert!(
        failures.is_empty() || !front.is_firedoor(),
        "{}",
        failures.join("\n")
    );
}

impl Friend {
    /// The middle one and the longest.
    fn waited(&self) -> (Duration, Duration) {
        let middle = self.waits.get(self.waits.len() / 2);
        (
            middle.copied().unwrap_or_default(),
            self.waits.last().copied().unwrap_or_default(),
        )
    }
}

impl Running {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            seen: false,
        }
    }
}

/// Lets all attackers of a kind loose, with the well-behaved client beside them, until every one is cut or its time is up.
fn suffer(attack: &Attack, front: &Front) -> Damage {
    let stop = AtomicBool::new(false);
    let peak = AtomicU64::new(0);
    let running: Mutex<HashMap<u16, Running>> = Mutex::default();
    let heard: Mutex<Option<String>> = Mutex::default();
    let left = AtomicU64::new(attack.connections as u64);
    thread::scope(|scope| {
        let friend = scope.spawn(|| befriend(front, &stop));
        // Connecting in few threads, since 2,000 at once would measure the scheduler.
        let threads = attack.connections.min(64);
        for share in 0..threads {
            let (stop, running, heard, left) = (&stop, &running, &heard, &left);
            scope.spawn(move || {
                thread::scope(|scope| {
                    for _ in (share..attack.connections).step_by(threads) {
                        let mut attacker =
                            Attacker::connect(front.address(), stop).expect("the proxy accepts");
                        let port = attacker.port();
                        running.lock().unwrap().insert(port, Running::now());
                        let run = move || {
                            (attack.act)(&mut attacker);
                            if let Some(running) = running.lock().unwrap().get_mut(&port) {
                                running.seen = true;
                            }
                            let text = String::from_utf8_lossy(&attacker.heard);
                            if let Some(line) = text.lines().next() {
                                *heard.lock().unwrap() = Some(line.to_owned());
                            }
                        };
                        left.fetch_sub(1, Ordering::AcqRel);
                        scope.spawn(run);
                    }
                });
            });
        }
        let cut_after = until_cut(attack, front, &left, &running, &peak);
        stop.store(true, Ordering::Release);
        let friend = friend.join().expect("the well-behaved client ends");
        Damage {
            cut_after,
            answered: heard.lock().unwrap().take(),
            friend,
            resident_kib: peak.load(Ordering::Relaxed),
        }
    })
}

/// Watches the kernel's table until no attacker is held any more; how long the one held longest was.
fn until_cut(
    attack: &Attack,
    front: &Front,
    left: &AtomicU64,
    running: &Mutex<HashMap<u16, Running>>,
    peak: &AtomicU64,
) -> Option<Duration> {
    let mut longest = Duration::ZERO;
    let mut last_start = Instant::now();
    loop {
        let all_connected = left.load(Ordering::Acquire) == 0;
        peak.fetch_max(resident_kib(front), Ordering::Relaxed);
        let held = held::by(front.address());
        let now = Instant::now();
        let mut remaining = 0;
        running.lock().unwrap().retain(|port, attacker| {
            last_start = last_start.max(attacker.since);
            let holds = held.contains(port);
            attacker.seen |= holds;
            // Before the proxy has accepted it, the kernel's table says of a connection what it says of a closed one.
            let over = attacker.seen && !holds;
            if over {
                longest = longest.max(now - attacker.since);
            } else {
                remaining += 1;
            }
            !over
        });
        if all_connected && remaining == 0 {
            return Some(longest);
        }
        if all_connected && now > last_start + attack.limit + SLACK + Duration::from_secs(1) {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks for a small page fifty times a second on one connection, for as long as the attack lasts.
fn befriend(front: &Front, stop: &AtomicBool) -> Friend {
    let mut friend = Friend::default();
    let mut client = RawClient::connect(front.address());
    let mut heard = Instant::now();
    while !stop.load(Ordering::Acquire) || friend.waits.len() < ENOUGH {
        let asked = Instant::now();
        client.send("GET /friend HTTP/1.1\r\nHost: app.example\r\n\r\n");
        let kept_silent = heard.elapsed();
        match client.response_within("GET", PATIENCE) {
            Ok(answer) if answer.status == 200 => friend.waits.push(asked.elapsed()),
            Ok(answer) => friend.trouble = Some(format!("status {}", answer.status)),
            // Who stood still for as long as nobody may is cut like an attacker, and as a good client comes back.
            Err(Broken::NoResponse(Trouble::Closed | Trouble::Reset))
                if kept_silent >= attack::ONE_LIMIT =>
            {
                client = RawClient::connect(front.address());
            }
            Err(broken) => {
                friend.trouble = Some(format!("{broken:?}"));
                return friend;
            }
        }
        heard = Instant::now();
        thread::sleep(Duration::from_millis(20));
    }
    friend.waits.sort();
    friend
}

fn judge(attack: &Attack, damage: &Damage, before_kib: u64) -> Vec<String> {
    let mut failures = Vec::new();
    let mut claim = |kept: bool, what: String| {
        if !kept {
            failures.push(format!("{}: {what}", attack.name));
        }
    };
    let limit = attack.limit + SLACK;
    match damage.cut_after {
        Some(after) => claim(
            after <= limit,
            format!("cut only after {after:?} (limit {limit:?})"),
        ),
        None => claim(false, format!("not cut within {limit:?}")),
    }
    let friend = &damage.friend;
    claim(
        friend.trouble.is_none(),
        format!("the well-behaved client got {:?}", friend.trouble),
    );
    claim(
        !friend.waits.is_empty(),
        "the well-behaved client got no answer".to_owned(),
    );
    let (middle, longest) = friend.waited();
    claim(
        middle <= UNHARMED.0 && longest <= UNHARMED.1,
        format!("the well-behaved client waited {middle:?}, at most {longest:?}"),
    );
    let growth = damage.resident_kib.saturating_sub(before_kib);
    claim(
        growth <= GROWTH_KIB,
        format!("resident memory grew by {growth} KiB"),
    );
    failures
}

fn line(attack: &Attack, damage: &Damage, before_kib: u64) -> String {
    let cut = damage.cut_after.map_or("NEVER".to_owned(), |after| {
        format!("{} ms", after.as_millis())
    });
    format!(
        "{:<26} {:>5} connections | cut after {cut:>8} (limit {} ms) | answered {:<40} | beside it: {:>3} answers in {:>3} ms, at most {:>4} ms | \
         resident {:+} KiB",
        attack.name,
        attack.connections,
        attack.limit.as_millis(),
        damage.answered.as_deref().unwrap_or("-"),
        damage.friend.waits.len(),
        damage.friend.waited().0.as_millis(),
        damage.friend.waited().1.as_millis(),
        i64::try_from(damage.resident_kib).unwrap() - i64::try_from(before_kib).unwrap(),
    )
}

fn resident_kib(front: &Front) -> u64 {
    match front {
        Front::Firedoor(proxy) => proxy.resident_kib(),
        Front::Peer(_) => 0,
    }
}

/// Past the test runner's capture: the figures are worth seeing in every run.
fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap();
}
