//! `kind = "command"`: scripts that succeed, fail, hang, flood, and leave others behind.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::{CheckCode, Outcome};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::join;

use crate::asking::{SHORT, ask, dependency};
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, eventually, port};

/// Nobody connects there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

async fn run(directory: &TempDir, command: &str) -> Outcome {
    run_within(directory, command, "20s").await
}

async fn run_within(directory: &TempDir, command: &str, timeout: &str) -> Outcome {
    let keys = format!("kind = \"command\", command = {command}, timeout = \"{timeout}\"");
    ask(directory.path(), NOWHERE, &keys).await
}

/// A list of words for a shell that runs `script`, in which `$0` is the directory.
fn script(directory: &TempDir, script: &str) -> String {
    assert!(!script.contains('\''), "TOML's quotes: {script}");
    format!(
        "[\"sh\", \"-c\", '{script}', \"{}\"]",
        directory.path().display()
    )
}

#[tokio::test]
async fn exit_code_0_passes_and_what_was_printed_is_kept_on_one_clean_line() {
    let directory = TempDir::new().unwrap();
    let command = script(
        &directory,
        r#"echo one; printf "two\033[31m\t\000three\n" >&2; echo four; exit 0"#,
    );
    let outcome = run(&directory, &command).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(outcome.detail, "one two [31m three four");

    let outcome = run(&directory, "[\"true\"]").await;
    assert_eq!((outcome.code, &*outcome.detail), (CheckCode::L7Ok, ""));
}

#[tokio::test]
async fn another_exit_code_is_l7sts_and_so_is_a_signal() {
    let directory = TempDir::new().unwrap();
    let outcome = run(&directory, &script(&directory, "echo disk is full; exit 3")).await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(3))
    );
    assert_eq!(outcome.detail, "exit code 3: disk is full");
    let outcome = run(&directory, "[\"false\"]").await;
    assert_eq!(outcome.detail, "exit code 1");
    let outcome = run(&directory, &script(&directory, "kill -SEGV $$")).await;
    assert_eq!((outcome.code, outcome.status), (CheckCode::L7Status, None));
    assert_eq!(outcome.detail, "ended by signal 11");
    // Nobody listens any more, and it goes on all the same.
    let outcome = run(&directory, &script(&directory, "exec >&- 2>&-; exit 4")).await;
    assert_eq!(outcome.status, Some(4), "{outcome}");
}

#[tokio::test]
async fn it_is_told_who_is_checked_and_nothing_else_of_our_surroundings() {
    let directory = TempDir::new().unwrap();
    let outcome = run(&directory, "[\"env\", \"-0\"]").await;
    let mut told: Vec<&str> = outcome.detail.split(' ').collect();
    told.sort_unstable();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    assert_eq!(
        told,
        [
            "FIREDOOR_ADDRESS=127.0.0.1:1",
            "FIREDOOR_COMPONENT=thing",
            "FIREDOOR_ZONE=fz-1",
            &path
        ]
    );
}

#[tokio::test]
async fn arguments_are_handed_over_as_they_are_and_no_shell_sees_them() {
    let directory = TempDir::new().unwrap();
    let command = "[\"printf\", \"%s|\", \"a b\", \"$HOME\", \"*\", \"`id`; exit 1\"]";
    let outcome = run(&directory, command).await;
    assert_eq!(outcome.detail, "a b|$HOME|*|`id`; exit 1|");
}

#[tokio::test]
async fn a_relative_path_starts_at_the_configurations_folder() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("checks")).unwrap();
    symlink("/bin/echo", directory.path().join("checks/app")).unwrap();
    for program in ["checks/app", "./checks/app"] {
        let outcome = run(&directory, &format!("[\"{program}\", \"well\"]")).await;
        assert_eq!((outcome.code, &*outcome.detail), (CheckCode::L7Ok, "well"));
    }
}

#[tokio::test]
async fn what_can_not_be_run_is_l7rsp() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("notes"), "no program").unwrap();
    for (program, why) in [
        ("./missing", "no such program"),
        ("firedoor-has-no-such-program", "no such program"),
        ("./notes", "it is not executable for us"),
        ("/", "it is not executable for us"),
    ] {
        let outcome = run(&directory, &format!("[\"{program}\"]")).await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        assert_eq!(
            outcome.detail,
            format!("the command can't be started: {why}")
        );
    }
}

#[tokio::test]
async fn only_the_first_kib_of_the_output_is_kept_and_one_that_never_ends_is_cut() {
    let directory = TempDir::new().unwrap();
    let outcome = run(
        &directory,
        &script(&directory, "head -c 5000 /dev/zero | tr \"\\\\0\" x"),
    )
    .await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(outcome.detail, "x".repeat(1024));
    let outcome = run(&directory, "[\"yes\"]").await;
    assert_eq!(outcome.code, CheckCode::L7Response);
    assert!(
        outcome
            .detail
            .starts_with("the command printed more than 64 KiB: y y"),
        "{outcome}"
    );
    assert!(outcome.detail.len() < 1200, "{}", outcome.detail.len());
}

/// Leaves a child, notes both process ids, and hangs; deaf to every signal that can be ignored.
const HANGING: &str = "trap \"\" TERM INT HUP; sleep 1000 & echo loading; echo $! $$ >$0/new; mv $0/new $0/pids; sleep 1000";

/// The processes that the script has noted.
fn noted(directory: &Path) -> Option<Vec<u32>> {
    let pids = fs::read_to_string(directory.join("pids")).ok()?;
    Some(
        pids.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect(),
    )
}

/// Nothing is left of the script: not a process, and of its leader, which is ours to reap, not even a zombie.
#[track_caller]
fn assert_gone(directory: &Path, parent: u32) {
    for pid in noted(directory).unwrap() {
        eventually(PATIENCE, "the process is gone", || {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
                return true;
            };
            let mut fields = stat.rsplit(") ").next().unwrap().split(' ');
            let (state, above) = (fields.next().unwrap(), fields.next().unwrap());
            // Who adopts orphans on this machine may take its time to reap them.
            state == "Z" && above != parent.to_string()
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_timeout_it_is_killed_with_all_that_it_started() {
    let directory = TempDir::new().unwrap();
    let command = script(&directory, HANGING);
    // A busy machine may need more than one try to get as far as hanging.
    for timeout in ["300ms", "2s", "10s", "60s"] {
        let outcome = run_within(&directory, &command, timeout).await;
        assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
        if noted(directory.path()).is_some() {
            let limit: u64 = match timeout {
                "300ms" => 300,
                other => other.trim_end_matches('s').parse::<u64>().unwrap() * 1000,
            };
            assert_eq!(
                outcome.detail,
                format!("the command said \"loading\", but did not end within {limit} ms")
            );
            break;
        }
    }
    assert_gone(directory.path(), std::process::id());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_probe_is_dropped_it_is_killed_with_all_that_it_started() {
    let directory = TempDir::new().unwrap();
    let command = script(&directory, HANGING);
    let probe = run(&directory, &command);
    let hangs = async {
        let mut look = tokio::time::interval(Duration::from_millis(3));
        while noted(directory.path()).is_none() {
            look.tick().await;
        }
    };
    tokio::select! {
        outcome = probe => panic!("{outcome}"),
        () = hangs => {}
    }
    assert_gone(directory.path(), std::process::id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_leaves_behind_delays_nothing_and_is_killed() {
    let directory = TempDir::new().unwrap();
    let leaves = "sleep 1000 & echo $! >$0/pids; echo well";
    let outcome = run(&directory, &script(&directory, leaves)).await;
    assert_eq!((outcome.code, &*outcome.detail), (CheckCode::L7Ok, "well"));
    assert_gone(directory.path(), std::process::id());
}

#[tokio::test]
async fn two_runs_for_one_component_never_overlap() {
    let directory = TempDir::new().unwrap();
    let command = script(
        &directory,
        "mkdir $0/mine || exit 9; sleep 0.05; rmdir $0/mine",
    );
    let keys = format!("kind = \"command\", command = {command}, timeout = \"20s\"");
    let dependency = dependency(directory.path(), NOWHERE, &keys);
    let prober = Prober::default();
    let probe = async || {
        let subject = Subject {
            component: &dependency.key,
            address: NOWHERE,
            authority: "127.0.0.1:1",
        };
        prober.clone().probe(subject, &dependency.check).await
    };
    let (first, second, third) = join!(probe(), probe(), probe());
    for outcome in [first, second, third] {
        assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    }
}

#[tokio::test]
async fn one_whose_turn_does_not_come_is_l7tout() {
    let directory = TempDir::new().unwrap();
    let hanging = format!(
        "kind = \"command\", command = {}, timeout = \"20s\"",
        script(&directory, HANGING)
    );
    let first = dependency(directory.path(), NOWHERE, &hanging);
    let impatient = format!("kind = \"command\", command = [\"true\"], {SHORT}");
    let second = dependency(directory.path(), NOWHERE, &impatient);
    let prober = Prober::default();
    let subject = Subject {
        component: &first.key,
        address: NOWHERE,
        authority: "127.0.0.1:1",
    };
    let waiting = async {
        let mut look = tokio::time::interval(Duration::from_millis(3));
        while noted(directory.path()).is_none() {
            look.tick().await;
        }
        prober.probe(subject, &second.check).await
    };
    tokio::select! {
        outcome = prober.probe(subject, &first.check) => panic!("{outcome}"),
        outcome = waiting => {
            assert_eq!(outcome.code, CheckCode::L7Timeout);
            assert_eq!(outcome.detail, "an earlier run of the command has not ended within 150 ms");
        }
    }
}

#[test]
fn a_stop_of_firedoor_leaves_no_command_behind() {
    let directory = TempDir::new().unwrap();
    let command = script(&directory, HANGING);
    let check = format!(
        "check = {{ kind = \"command\", address = \"{NOWHERE}\", command = {command}, timeout = \"60s\" }}"
    );
    let mut proxy = Proxy::builder()
        .zone_at("fz-1", &[port::free()])
        .dependency("thing", NOWHERE, &check)
        .server("drain_timeout = \"0s\"")
        .start();
    eventually(PATIENCE, "the command hangs", || {
        noted(directory.path()).is_some()
    });
    let parent = proxy.pid();
    proxy.signal(Signal::TERM);
    proxy.wait_for_exit(PATIENCE);
    assert_gone(directory.path(), parent);
}
