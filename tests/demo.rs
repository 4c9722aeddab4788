//! The demo of the real binary: what its guide says can be done, and does what it says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::wait::{PATIENCE, eventually};
use support::{RawClient, Response, port};

struct Demo {
    child: Child,
    proxy: SocketAddr,
    admin: SocketAddr,
    control: SocketAddr,
    output: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        loop {
            let mut demo = Self::try_start();
            let mut taken = false;
            eventually(PATIENCE, "the guide is printed", || {
                taken = demo
                    .child
                    .try_wait()
                    .unwrap()
                    .is_some_and(|ended| ended.code() == Some(4));
                taken || demo.guide().contains("Ctrl-C ends the demo.")
            });
            if !taken {
                return demo;
            }
        }
    }

    fn try_start() -> Self {
        let [proxy, admin, control] = [port::free(), port::free(), port::free()];
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::File::create(output.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_firedoor"))
            .args(["demo", "--bind", &proxy.to_string()])
            .args(["--admin", &admin.to_string()])
            .args(["--control", &control.to_string()])
            .env("TMPDIR", output.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(file("guide"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        Self {
            child,
            proxy,
            admin,
            control,
            output,
        }
    }

    fn guide(&self) -> String {
        std::fs::read_to_string(self.output.path().join("guide")).unwrap()
    }

    /// Runs the line of the guide that contains `part`, word by word as it stands there.
    fn run(&self, part: &str) -> Output {
        let guide = self.guide();
        let program = env!("CARGO_BIN_EXE_firedoor");
        let line = guide.lines().find(|line| line.contains(part)).unwrap();
        let binary = Path::new(program).file_name().unwrap().to_str().unwrap();
        let (_, arguments) = line.split_once(&format!("/{binary} ")).unwrap();
        Command::new(program)
            .args(arguments.split_whitespace())
            .env_remove("FIREDOOR_ADMIN")
            .env_remove("FIREDOOR_DEMO")
            .output()
            .unwrap()
    }

    #[track_caller]
    fn run_well(&self, part: &str) -> String {
        let output = self.run(part);
        assert!(output.status.success(), "{part}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn control(&self, method: &str, path: &str) -> Response {
        ask(self.control, method, path)
    }

    fn health(&self) -> Value {
        ask(self.admin, "GET", "/health").json()
    }

    /// Waits until the app answers from `zone`.
    fn until_served_by(&self, zone: &str) {
        eventually(PATIENCE, "the zone answers", || {
            let response = ask(self.proxy, "GET", "/");
            response.status == 200 && response.text().contains(&format!("from {zone}:app-"))
        });
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already; that is what one test is about.
        let _gone = self.child.kill();
        self.child.wait().unwrap();
    }
}

fn ask(address: SocketAddr, method: &str, path: &str) -> Response {
    RawClient::connect(address).exchange(format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

#[test]
fn the_guide_leads_through_a_failover_and_back() {
    let demo = Demo::start();
    demo.until_served_by("fz-1");
    eventually(PATIENCE, "all is well", || {
        demo.health()["status"] == "pass"
    });
    assert!(demo.run_well(" status").contains("● fz-1  serving"));

    let said = demo.run_well(" demo break fz-1:database");
    assert_eq!(said, "fz-1:database is broken\n");
    demo.until_served_by("fz-2");
    let health = demo.health();
    assert_eq!(
        (&health["status"], &health["active_zone"]),
        (&"warn".into(), &"fz-2".into())
    );
    let why = demo.run_well(" explain");
    assert!(why.contains("failover from fz-1 to fz-2"), "{why}");
    assert!(why.contains("database is down"), "{why}");
    let journal = demo.run_well(" journal");
    assert!(journal.contains("fz-1:database went down"), "{journal}");

    demo.run_well(" demo heal fz-1:database");
    eventually(PATIENCE, "fz-1 is serving again", || {
        demo.health()["status"] == "warn"
            && demo.health()["checks"]["fz-1:database"][0]["status"] == "pass"
            && demo.run(" failback").status.success()
    });
    demo.until_served_by("fz-1");
    assert_eq!(demo.health()["status"], "pass");
}

#[test]
fn every_component_can_be_broken_hung_and_healed_by_a_post() {
    let demo = Demo::start();
    eventually(PATIENCE, "all is well", || {
        demo.health()["status"] == "pass"
    });
    for (verb, component) in [
        ("break", "fz-2:app-1"),
        ("hang", "fz-2:app-2"),
        ("break", "fz-2:database"),
    ] {
        assert_eq!(
            demo.control("POST", &format!("/{verb}/{component}")).status,
            200
        );
        eventually(PATIENCE, "the check sees it", || {
            demo.health()["checks"][component][0]["status"] == "fail"
        });
    }
    let listing = demo.control("GET", "/").text();
    assert!(listing.contains("fz-2:app-2     hung"), "{listing}");
    assert_eq!(demo.control("POST", "/heal/fz-2").status, 200);
    eventually(PATIENCE, "all is well again", || {
        demo.health()["status"] == "pass"
    });
    assert_eq!(demo.control("POST", "/break/fz-3").status, 404);
    assert_eq!(demo.control("GET", "/break/fz-1").status, 405);
    assert_eq!(demo.health()["status"], "pass");
}

#[test]
fn a_taken_port_is_named_and_ends_with_4() {
    let taken = port::listen();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--bind", "--admin", "--control"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedoor"));
        command.arg("demo").env_remove("FIREDOOR_DEMO");
        for each in ["--bind", "--admin", "--control"] {
            command.args([
                each,
                if each == flag {
                    &address
                } else {
                    "127.0.0.1:0"
                },
            ]);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{flag}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&address) && said.contains(flag), "{said}");
    }
}

#[test]
fn ctrl_c_ends_it_and_nothing_is_left_behind() {
    let mut demo = Demo::start();
    let id = Pid::from_child(&demo.child);
    kill_process(id, Signal::INT).unwrap();
    let ended = demo.child.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(demo.output.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "guide" && name != "log")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
