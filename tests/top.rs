//! `firedoor top`, and the colours of the other commands, in a real terminal against a real firedoor.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "top/pane.rs"]
mod pane;

use std::process::{Command, Stdio};
use std::time::SystemTime;

use pane::{Pane, program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::wait::{PATIENCE, eventually, eventually_some};
use support::{Origin, Proxy};

const SIZE: (u16, u16) = (120, 36);

struct House {
    proxy: Proxy,
    first: Origin,
    _second: Origin,
}

impl House {
    fn start() -> Self {
        let (first, second) = (Origin::named("first"), Origin::named("second"));
        let proxy = Proxy::builder()
            .zone("fz-1", &[&first])
            .zone("fz-2", &[&second])
            .start();
        proxy.until_all_up();
        Self {
            proxy,
            first,
            _second: second,
        }
    }

    fn top(&self) -> Pane {
        let pane = Pane::top(SIZE, self.proxy.admin);
        pane.until("fz-1 is active and serving.");
        pane
    }

    fn entries(&self, kind: &str) -> Vec<Value> {
        let journal = self.proxy.admin_get(&format!("/v1/journal?kind={kind}"));
        journal.json()["entries"].as_array().unwrap().clone()
    }
}

#[test]
fn both_zones_and_a_real_flip_are_on_the_screen() {
    let mut house = House::start();
    let pane = house.top();
    // The journal tells what the disk has, a moment after it is so.
    let screen = pane.until("fz-1:app-1 is up");
    for part in [
        "ALL WELL",
        "● fz-1 ACTIVE",
        "○ fz-2 standby",
        "OPEN",
        "app-1",
        "L7OK/200",
        "● live",
        "fz-2 stands by",
    ] {
        assert!(screen.contains(part), "{part} is missing in\n{screen}");
    }
    house.first.refuse();
    pane.until("● fz-2 ACTIVE");
    let seen = SystemTime::now();
    let flip = &house.entries("flip")[0];
    let flipped: jiff::Timestamp = flip["at"].as_str().unwrap().parse().unwrap();
    let took = seen
        .duration_since(SystemTime::from(flipped))
        .unwrap_or_default();
    eprintln!("a flip was on the screen after {took:?} (tmux's own time to tell it included)");

    let screen = pane.until("FLIP fz-1 → fz-2");
    for part in [
        "fz-2 is active instead of fz-1.",
        "○ fz-1 standby",
        "FAILED",
        "SHUT",
        "fz-1:app-1 is down for",
        "L4CON",
        "DOWN",
    ] {
        assert!(screen.contains(part), "{part} is missing in\n{screen}");
    }
}

#[test]
fn an_order_is_shown_reasoned_confirmed_and_done() {
    let house = House::start();
    let pane = house.top();
    pane.press(&["Right", "a"]);
    let screen = pane.until("Reason, for the journal:");
    for part in [
        "Activate fz-2",
        "All requests go from fz-1 to fz-2.",
        "fz-2 is serving",
        "POST /v1/zones/fz%2D2/activate",
    ] {
        assert!(screen.contains(part), "{part} is missing in\n{screen}");
    }
    // A key that means something elsewhere is a letter here.
    pane.type_in("quick exam");
    pane.press(&["Enter"]);
    pane.until("Activate fz-2, now?");
    pane.press(&["n"]);
    pane.until("q quit");
    assert!(house.entries("order").is_empty(), "nothing was ordered");

    pane.press(&["a"]);
    pane.until("Reason, for the journal:");
    pane.type_in("quick exam");
    pane.press(&["Enter"]);
    pane.until("Activate fz-2, now?");
    pane.press(&["y"]);
    pane.until("Done: FLIP fz-1 → fz-2");
    assert_eq!(house.proxy.status()["active_zone"], "fz-2");
    let order = &house.entries("order")[0];
    assert_eq!(order["reason"], "quick exam", "{order:#}");
    assert_eq!(order["by"]["name"], "nightwatch", "{order:#}");
    pane.press(&["Enter"]);
    pane.until("● fz-2 ACTIVE");
}

#[test]
fn an_order_for_what_has_changed_meanwhile_is_refused() {
    let house = House::start();
    let pane = house.top();
    pane.press(&["Right", "a"]);
    pane.until("Reason, for the journal:");
    assert_eq!(house.proxy.admin_post("/v1/zones/fz-1/pin", "").status, 200);
    pane.press(&["Enter"]);
    pane.until("now?");
    pane.press(&["y"]);
    pane.until("Not done:");
    assert_eq!(house.proxy.status()["active_zone"], "fz-1");
    pane.press(&["r"]);
    pane.until("fz-1 is pinned: this will be refused");
}

#[test]
fn components_are_put_out_and_back_and_what_if_changes_nothing() {
    let house = House::start();
    let pane = house.top();
    pane.press(&["d"]);
    pane.until("Select a component first");
    pane.press(&["Down", "x"]);
    pane.until("What if fz-1:app-1 fails?");
    pane.until("FLIP fz-1 → fz-2 in ");
    pane.until("nothing has changed");
    // Not both at once: a terminal sends Escape and a letter as one key with Alt.
    pane.press(&["Escape"]);
    eventually(PATIENCE, "the answer is closed", || {
        !pane.screen().contains("What if fz")
    });
    pane.press(&["m"]);
    pane.until("Maintenance of fz-1:app-1");
    pane.until("0 of 1 backends of pool default are left in fz-1");
    pane.press(&["Enter", "y"]);
    pane.until("Done: ");
    pane.press(&["Enter"]);
    pane.until("fz-1:app-1 in maintenance");
    pane.press(&["r"]);
    pane.until("fz-1:app-1 takes part again");
    pane.until("Reason");
    pane.press(&["Enter", "y"]);
    pane.until("Done: ");
    let status = house.proxy.status();
    assert_eq!(status["zones"][0]["components"][0]["operator"], "ready");
}

#[test]
fn it_outlives_the_proxy_and_comes_back_with_it() {
    let mut house = House::start();
    let pane = house.top();
    house.proxy.signal(Signal::KILL);
    house.proxy.wait_for_exit(PATIENCE);
    let screen = pane.until("NOT CONNECTED, last seen ");
    assert!(
        screen.contains("● fz-1 ACTIVE"),
        "the last state stays:\n{screen}"
    );
    assert!(!screen.contains("● live"), "{screen}");
    house.first.refuse();
    house.proxy.start_again();
    let screen = pane.until("fz-2 is active instead of fz-1.");
    assert!(screen.contains("● live"), "{screen}");
}

#[test]
fn every_size_is_filled_without_remains_of_another() {
    let house = House::start();
    let pane = house.top();
    for (columns, rows) in [(80, 24), (200, 60), (40, 12), (100, 30), (3, 2), (80, 24)] {
        pane.resize(columns, rows);
        if columns < 80 {
            continue;
        }
        let filled = |screen: &str| {
            let lines: Vec<&str> = screen.lines().collect();
            let once = |what: &str| screen.matches(what).count() == 1;
            lines.len() == usize::from(rows)
                && lines[0].starts_with(" firedoor ")
                && lines[0].ends_with("● live")
                && lines[0].chars().count() == usize::from(columns) - 1
                && lines.last().unwrap().contains("q quit")
                && ["● live", "ALL WELL", "╔", "╝", "┌", "┘", "newest first"].map(once) == [true; 7]
        };
        eventually_some(PATIENCE, &format!("{columns}x{rows} is filled"), || {
            filled(&pane.screen()).then_some(())
        });
    }
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let house = House::start();
    let pane = house.top();
    assert_eq!(pane.tells("alternate_on"), "1");
    pane.press(&["q"]);
    assert!(pane.until_given_back().contains("ended with 0"));

    for (signal, keys) in [
        (Signal::TERM, &["a"][..]),
        (Signal::INT, &["?"]),
        (Signal::TERM, &[]),
    ] {
        let pane = house.top();
        if !keys.is_empty() {
            pane.press(keys);
        }
        kill_process(pane.child(), signal).unwrap();
        assert!(pane.until_given_back().contains("ended with 0"));
    }
}

#[test]
fn it_ends_with_its_terminal() {
    let house = House::start();
    let pane = house.top();
    let process = format!("/proc/{}", pane.child().as_raw_nonzero());
    pane.close();
    eventually(PATIENCE, "it has ended", || {
        !std::path::Path::new(&process).exists()
    });
}

#[test]
fn what_is_pasted_gives_no_order() {
    let house = House::start();
    let pane = house.top();
    pane.press(&["Right", "a"]);
    pane.until("Reason, for the journal:");
    pane.paste("ticket 7\ny\n");
    pane.until("Reason, for the journal: ticket 7 y");
    pane.press(&["Escape"]);
    pane.until("q quit");
    assert!(house.entries("order").is_empty());
}

#[test]
fn what_the_terminal_lacks_is_left_out() {
    let house = House::start();
    let top = format!("{} top --admin {}", program(), house.proxy.admin);
    let coloured = |painted: &str| painted.contains("38;5;2m") || painted.contains("[32m");

    let pane = Pane::run(SIZE, &top);
    pane.until("fz-1 is active and serving.");
    assert!(coloured(&pane.painted()), "{}", pane.painted());

    for line in [format!("NO_COLOR=1 {top}"), format!("{top} --color never")] {
        let pane = Pane::run(SIZE, &line);
        pane.until("fz-1 is active and serving.");
        assert!(!coloured(&pane.painted()), "{line}: {}", pane.painted());
    }

    let pane = Pane::run(SIZE, &format!("LANG=C {top}"));
    let screen = pane.until("fz-1 is active and serving.");
    assert!(screen.is_ascii(), "{screen}");
    assert!(screen.contains("* fz-1 ACTIVE"), "{screen}");
}

#[test]
fn without_a_terminal_or_a_firedoor_it_says_so_and_takes_nothing() {
    let house = House::start();
    let output = Command::new(program())
        .args(["top", "--admin", &house.proxy.admin.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("firedoor status --json"), "{said}");
    assert!(output.stdout.is_empty());

    let nobody = support::port::free();
    let pane = Pane::top(SIZE, nobody);
    let screen = pane.until_given_back();
    assert!(screen.contains("no firedoor can be reached"), "{screen}");
    assert!(screen.contains("ended with 1"), "{screen}");
}

#[test]
fn commands_are_coloured_on_a_terminal_and_nowhere_else_unless_told() {
    let house = House::start();
    let admin = house.proxy.admin.to_string();
    let run = |arguments: &[&str]| {
        let output = Command::new(program())
            .args(arguments)
            .args(["--admin", &admin])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plan = ["plan", "--down", "fz-1"];
    for command in [&["status"][..], &["journal"], &["explain"], &plan] {
        assert!(!run(command).contains('\u{1b}'), "{command:?} in a pipe");
        let always = run(&[command, &["--color", "always"]].concat());
        assert!(always.contains('\u{1b}'), "{command:?}: {always}");
        let never = run(&[command, &["--color", "never"]].concat());
        assert!(!never.contains('\u{1b}'), "{command:?}: {never}");
        let json = run(&[command, &["--color", "always", "--json"]].concat());
        assert!(!json.contains('\u{1b}'), "{command:?}: {json}");
    }
    for (line, expected) in [
        ("", true),
        ("NO_COLOR=1", false),
        ("NO_COLOR=", true),
        ("TERM=dumb", false),
    ] {
        let pane = Pane::run(
            SIZE,
            &format!("{line} {} status --admin {admin}", program()),
        );
        pane.until("ended with 0");
        assert_eq!(pane.painted().contains('\u{1b}'), expected, "{line}");
    }
}

#[test]
fn silence_is_told_when_the_proxy_hangs() {
    let house = House::start();
    let pane = house.top();
    let pid = Pid::from_raw(house.proxy.pid().try_into().unwrap()).unwrap();
    support::process::freeze(pid);
    pane.until("last seen ");
    support::process::thaw(pid);
    pane.until("● live");
}
