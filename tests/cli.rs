//! The command line of the real binary: what it prints and by which code it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const VALID: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"

[[zone]]
name = "fz-1"
backend = [{ address = "127.0.0.1:9001" }]

[[zone]]
name = "fz-2"
backend = [{ address = "127.0.0.1:9101" }]
"#;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedoor"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "FIREDOOR_ADMIN",
        "FIREDOOR_CONFIG",
        "FIREDOOR_DEMO",
        "FIREDOOR_TOKEN",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

fn firedoor(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Stands in for an admin listener: answers each request with `status` and `body`.
fn listener(status: &'static str, body: &str) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let body = body.to_owned();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let mut received = Vec::new();
            let mut buffer = [0; 4096];
            while !received.windows(4).any(|four| four == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap();
                received.extend_from_slice(&buffer[..read]);
            }
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    address
}

fn ask(arguments: &[&str], status: &'static str, body: &Value) -> Output {
    let address = listener(status, &body.to_string()).to_string();
    let arguments = [arguments, &["--admin", &address]].concat();
    firedoor(&arguments)
}

#[test]
fn what_nobody_offers_is_a_usage_error() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["top"],
        &["check"],
        &["backend", "drain", "fz-1"],
        &["status", "--admin", "nowhere"],
        &["serve", "--log-level", "=="],
        &["man", "frobnicate"],
    ] {
        let output = firedoor(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for arguments in [&["--help"][..], &["--version"], &["zone", "pin", "--help"]] {
        let output = firedoor(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&output).contains("firedoor"));
    }
}

#[test]
fn check_tells_valid_files_from_invalid_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let valid = file("valid.toml", VALID);
    let invalid = file(
        "invalid.toml",
        &VALID.replace("[[listener]]", "[serverr]\n[[listener]]\nbindd = 1"),
    );

    let output = firedoor(&["check", &valid]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout(&output).contains("1 listener, 2 zones, 2 backends, 0 dependencies"),
        "{}",
        stdout(&output)
    );

    for name in ["check", "validate"] {
        let output = firedoor(&[name, &valid, &invalid]);
        assert_eq!(output.status.code(), Some(3));
        let said = stdout(&output);
        assert!(said.contains("valid.toml: valid"), "{said}");
        for part in ["serverr", "bindd", "did you mean \"server\"?", "^"] {
            assert!(said.contains(part), "{part} is missing in:\n{said}");
        }
        assert!(!said.contains('\u{1b}'), "no colour in a pipe: {said}");
        let output = firedoor(&[name, "--color", "always", &valid, &invalid]);
        assert_eq!(
            stdout(&output).matches("\u{1b}[32mvalid").count(),
            1,
            "{output:?}"
        );
    }

    let output = firedoor(&[
        "check",
        "--format",
        "json",
        &valid,
        &invalid,
        "/nowhere.toml",
    ]);
    assert_eq!(output.status.code(), Some(3));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        [&said[0]["valid"], &said[1]["valid"], &said[2]["valid"]],
        [&json!(true), &json!(false), &json!(false)]
    );
    assert_eq!(said[1]["problems"].as_array().unwrap().len(), 2, "{said}");
    assert!(said[1]["problems"][0]["line"].is_u64(), "{said}");
    assert_eq!(said[2]["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn serve_refuses_to_start_without_a_valid_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let in_there = |arguments: &[&str]| {
        command(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap()
    };
    if !Path::new("/etc/firedoor/firedoor.toml").exists() {
        let output = in_there(&["serve"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains("--config"), "{}", stderr(&output));
    }
    let output = in_there(&["serve", "--config", "gone.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("gone.toml"), "{}", stderr(&output));

    std::fs::write(directory.path().join("firedoor.toml"), "[[zonee]]\n").unwrap();
    let output = in_there(&["serve"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("zonee"), "{}", stderr(&output));
}

#[test]
fn a_token_that_is_none_is_named_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.token");
    let file = file.to_str().unwrap();
    for token in ["", "\n", "two\nlines\n", "with spaces", "größe"] {
        std::fs::write(file, token).unwrap();
        let output = firedoor(&["status", "--token-file", file]);
        assert_eq!(output.status.code(), Some(1));
        let told = format!("{file} holds no usable token");
        assert!(stderr(&output).contains(&told), "{}", stderr(&output));
    }
    let mut command = command(&["status"]);
    let output = command.env("FIREDOOR_TOKEN", "a b").output().unwrap();
    assert!(stderr(&output).contains("FIREDOOR_TOKEN holds no usable token"));
}

#[test]
fn an_access_log_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("firedoor.toml");
    let valid = VALID.replace("127.0.0.1:8080", "127.0.0.1:0");
    let more = "[server]\nstate_dir = \"state\"\n[admin]\nbind = \"unix:admin.sock\"\n\
                [access_log]\npath = \"gone/access.log\"\n";
    std::fs::write(&file, format!("{valid}{more}")).unwrap();
    let output = firedoor(&["serve", "--config", file.to_str().unwrap()]);
    let said = (output.status.code(), stderr(&output));
    assert_eq!(said.0, Some(1));
    assert!(said.1.contains("gone/access.log: No such file"), "{said:?}");
    assert!(said.1.contains("make its directory first"), "{said:?}");
}

#[test]
fn a_drill_of_no_usable_length_is_a_usage_error() {
    for length in ["5", "1ms", "25h", "soon"] {
        let output = firedoor(&["drill", "--zone", "fz-1", "--for", length]);
        assert_eq!(output.status.code(), Some(2), "{length}");
        assert!(stderr(&output).contains("--for"), "{}", stderr(&output));
    }
}

#[test]
fn check_does_not_wait_for_ever_for_a_pipe_and_reads_what_it_is_handed() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let output = firedoor(&["check", pipe.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let told = "pipe: can't be read: 10s were not enough";
    assert!(stderr(&output).contains(told) || stdout(&output).contains(told));

    for place in ["/dev/stdin", "/dev/fd/0"] {
        let mut command = command(&["check", place]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(VALID.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    }
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, VALID).unwrap()
    });
    let output = firedoor(&["check", pipe.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    writer.join().unwrap();
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = firedoor(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0));
        for command in ["failback", "top"] {
            assert!(stdout(&output).contains(command), "{shell}");
        }
    }
    let output = firedoor(&["man"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with(".ie") && stdout(&output).contains(".TH firedoor"));
    let output = firedoor(&["man", "zone", "activate"]);
    assert!(stdout(&output).contains("no\\-hold"), "{}", stdout(&output));
    let output = firedoor(&["man", "top"]);
    assert!(stdout(&output).contains("and steer"), "{}", stdout(&output));
}

#[test]
fn a_firedoor_out_of_reach_is_named_with_the_remedy() {
    // Bound but not listening: nobody else can get the port meanwhile.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket
        .local_addr()
        .unwrap()
        .as_socket()
        .unwrap()
        .to_string();
    for arguments in [
        &["status"][..],
        &["health"],
        &["explain"],
        &["journal"],
        &["failback"],
        &["reload"],
        &["zone", "pin", "fz-1"],
        &["backend", "ready", "fz-1:app-1"],
    ] {
        let output = command(arguments)
            .env("FIREDOOR_ADMIN", &address)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = stderr(&output);
        assert!(
            said.contains(&address) && said.contains("--admin"),
            "{said}"
        );
    }
    let output = firedoor(&["status", "--admin", "unix:/nowhere/admin.sock"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unix:/nowhere/admin.sock"));
    let output = firedoor(&["demo", "heal", "fz-1", "--control", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&address));
}

#[test]
fn something_else_at_the_address_is_recognised() {
    let address = listener("200 OK", "<html>").to_string();
    let output = firedoor(&["status", "--admin", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("isn't firedoor's admin listener"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn health_ends_by_its_grade() {
    for (grade, status, code) in [
        ("pass", "200 OK", 0),
        ("warn", "200 OK", 0),
        ("fail", "503 Service Unavailable", 1),
    ] {
        let body = json!({"status": grade, "notes": ["why \u{1b}[2J"]});
        let output = ask(&["health"], status, &body);
        assert_eq!(output.status.code(), Some(code), "{grade}");
        assert_eq!(
            stdout(&output),
            format!("{grade}\n  why \\u{{1b}}[2J\n"),
            "what a backend said can't control the terminal"
        );
        let output = ask(&["health", "--json"], status, &body);
        assert_eq!(output.status.code(), Some(code), "{grade}");
        assert_eq!(
            serde_json::from_slice::<Value>(&output.stdout).unwrap(),
            body
        );
    }
}

#[test]
fn refusals_end_with_their_reason() {
    let problem = json!({"status": 409, "detail": "fz-2 is active already"});
    let output = ask(&["zone", "activate", "fz-2"], "409 Conflict", &problem);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: fz-2 is active already\n");

    let problem = json!({"status": 401, "detail": "a token is needed"});
    let output = ask(&["status"], "401 Unauthorized", &problem);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--token-file"));

    let problem = json!({"status": 422, "detail": "f.toml has 1 problem", "problems": [
        {"file": "f.toml", "line": 3, "column": 1, "key": "zone", "message": "there is no zone", "hint": "add one"}]});
    let output = ask(&["reload"], "422 Unprocessable Content", &problem);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("f.toml:3:1: there is no zone (zone); add one"),
        "{}",
        stderr(&output)
    );
}

/// They may take minutes, so they don't give up by themselves.
#[test]
fn an_order_says_that_it_still_waits_for_an_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = silent.local_addr().unwrap().to_string();
    let mut ordered = command(&["zone", "activate", "fz-2", "--admin", &admin])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(ordered.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    ordered.kill().unwrap();
    ordered.wait().unwrap();
    assert!(
        said.starts_with(&format!("{admin} gave no answer within 10 s")),
        "{said}"
    );
}

#[test]
fn orders_say_what_they_did() {
    let done = json!({"epoch": 3, "active_zone": "fz-2", "message": "fz-2 is active"});
    let output = ask(
        &["zone", "activate", "fz-2", "--reason", "disks"],
        "200 OK",
        &done,
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "fz-2 is active\n");
    // Each event a line; and a listener that isn't firedoor's doesn't get at the terminal.
    let said = "FLIP fz-1 → fz-2\nfz-1:a is drained\u{1b}[2J";
    let done = json!({"epoch": 3, "active_zone": "fz-2", "message": said});
    let output = ask(&["backend", "drain", "fz-1:a"], "200 OK", &done);
    assert_eq!(
        stdout(&output),
        "FLIP fz-1 → fz-2\nfz-1:a is drained\\u{1b}[2J\n"
    );
    let reloaded = json!({"generation": 4, "changes": ["added fz-1:app-3"]});
    let output = ask(&["reload"], "200 OK", &reloaded);
    assert_eq!(
        stdout(&output),
        "configuration 4 is in force\n  added fz-1:app-3\n"
    );
}

#[test]
fn the_journal_is_one_line_an_entry() {
    let journal = json!({"last": 8, "entries": [
        {"number": 7, "at": "2025-03-01T02:03:04.5Z", "kind": "verdict", "message": "fz-1 failed"},
        {"number": 8, "at": "2025-03-01T02:03:04.6Z", "kind": "flip", "message": "fz-1 → fz-2"}]});
    let output = ask(&["journal"], "200 OK", &journal);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].ends_with("       8  fz-1 → fz-2"), "{lines:?}");
    let output = ask(&["journal", "--json"], "200 OK", &journal);
    let first: Value = serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    assert_eq!(first, journal["entries"][0]);
}
