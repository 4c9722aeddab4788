//! The real binary, with a configuration of its own, on free ports.

mod autopsy;
mod builder;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::client::{RawClient, Response};
use super::origin::Origin;
use super::port;
use super::wait::{self, PATIENCE};
pub use builder::Builder;

/// A running firedoor. Dropping it kills it.
pub struct Proxy {
    /// Where it accepts requests.
    pub address: SocketAddr,
    /// Its admin listener.
    pub admin: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
    builder: Builder,
}

impl Proxy {
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One zone with these backends.
    pub fn in_front_of(origins: &[&Origin]) -> Self {
        Self::builder().zone("fz-1", origins).start()
    }

    /// A client connection to it.
    #[track_caller]
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.address)
    }

    /// `GET path` on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        super::client::get(self.address, path)
    }

    /// `GET path` of the admin listener.
    #[track_caller]
    pub fn admin_get(&self, path: &str) -> Response {
        RawClient::connect(self.admin).exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.admin
        ))
    }

    /// `POST path` of the admin listener, with a JSON body (may be empty).
    #[track_caller]
    pub fn admin_post(&self, path: &str, body: &str) -> Response {
        RawClient::connect(self.admin).exchange(format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.admin,
            body.len()
        ))
    }

    /// `GET /v1/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.admin_get("/v1/status").json()
    }

    /// Waits until `GET /v1/status` satisfies `condition`; panics with the last status otherwise.
    #[track_caller]
    pub fn until_status(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        if wait::within(PATIENCE, || {
            last = self.status();
            condition(&last)
        }) {
            return last;
        }
        panic!("not within {PATIENCE:?}: {what}; the status is {last:#}");
    }

    /// Waits until every component of every zone has been found up.
    #[track_caller]
    pub fn until_all_up(&self) {
        self.until_status("every component is up", |status| {
            let zones = status["zones"].as_array().into_iter().flatten();
            let mut components = zones
                .flat_map(|zone| zone["components"].as_array())
                .flatten();
            components.all(|component| component["status"] == "up")
        });
    }

    /// Runs a command against it.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_firedoor"))
            .args(arguments)
            .env("FIREDOOR_ADMIN", self.admin.to_string())
            .env_remove("FIREDOOR_TOKEN")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process lives");
    }

    /// Whether the process has ended, and how.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        wait::eventually_some(limit, "the process ends", || self.child.try_wait().unwrap())
    }

    /// Kills the process (SIGKILL) and starts it again on the same ports, configuration and state.
    #[track_caller]
    pub fn crash_and_restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.start_again();
    }

    /// Starts an ended process again on the same ports, configuration and state.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), &self.builder);
        let ready = until_ready(&mut self.child, self.admin);
        assert!(ready, "it ended at the start:\n{}", self.log());
    }

    /// The log (standard error) so far, over all starts.
    pub fn log(&self) -> String {
        read(&self.directory.path().join("stderr"))
    }

    /// The errors in the log, but for a disk that took longer than firedoor gives it: that is this machine's.
    pub fn errors(&self) -> Vec<String> {
        let log = self.log();
        let errors = log.lines().filter(|line| line.contains("ERROR"));
        let errors = errors.filter(|line| !line.contains("the disk under"));
        errors.map(str::to_owned).collect()
    }

    /// Standard output so far, over all starts.
    pub fn stdout(&self) -> String {
        read(&self.directory.path().join("stdout"))
    }

    /// The access log's text so far, where the builder's default file is used.
    pub fn access_text(&self) -> String {
        read(&self.directory.path().join("access.log"))
    }

    /// The access-log line for `path`, as JSON, once it is written.
    #[track_caller]
    pub fn access_line(&self, path: &str) -> Value {
        wait::eventually_some(PATIENCE, &format!("an access-log line for {path}"), || {
            let text = self.access_text();
            let complete = text.rsplit_once('\n')?.0;
            complete
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .find(|line: &Value| line["path"] == path)
        })
    }

    /// The access log's lines about requests that were not answered, or late.
    pub fn odd_requests(&self) -> String {
        autopsy::odd_requests(&self.access_text())
    }

    /// What its threads do now, and what lies in its sockets.
    pub fn still_life(&self) -> String {
        autopsy::still_life(self.pid())
    }

    /// The directory with `firedoor.toml`, `state/`, `access.log`, `stdout` and `stderr`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file of its state directory, also where that is a file system that only the process sees.
    pub fn state_file(&self, name: &str) -> PathBuf {
        let seen = self.directory.path().join("state").join(name);
        let inside = seen.strip_prefix("/").unwrap_or(&seen);
        Path::new(&format!("/proc/{}/root", self.pid())).join(inside)
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("firedoor.toml")
    }

    /// Puts another configuration into the file, with the same ports; a reload is up to the test.
    pub fn rewrite_config(&mut self, builder: Builder) {
        std::fs::write(self.config_file(), builder.text(self.address, self.admin)).unwrap();
        self.builder = builder;
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.pid())));
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("it lives");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Before the end, which nothing of it survives.
        let still_life = std::thread::panicking().then(|| self.still_life());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(still_life) = still_life {
            tell("the proxy's log", &self.log());
            let odd = self.odd_requests();
            tell(
                "its access log, of what was answered late or not at all",
                &odd,
            );
            tell("what it was doing", &still_life);
        }
    }
}

/// The end of `text`.
fn tell(what: &str, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("--- {what}");
    for line in &lines[lines.len().saturating_sub(40)..] {
        eprintln!("{line}");
    }
}

impl Builder {
    /// Writes the configuration, starts the binary and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Proxy {
        let memory = Some(Path::new("/dev/shm")).filter(|path| self.in_memory && path.is_dir());
        let directory = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let directory = directory.unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        for _ in 0..10 {
            let (address, admin) = (port::free(), port::free());
            let text = self.text(address, admin);
            std::fs::write(directory.path().join("firedoor.toml"), &text).unwrap();
            let mut child = spawn(directory.path(), &self);
            if until_ready(&mut child, admin) {
                return Proxy {
                    address,
                    admin,
                    child,
                    directory,
                    builder: self,
                };
            }
            let status = child.try_wait().unwrap();
            // 4: could not bind. Somebody took the port between our asking and its binding.
            assert!(
                status.and_then(|status| status.code()) == Some(4),
                "firedoor ended at the start ({status:?}):\n{}\nwith\n{text}",
                read(&directory.path().join("stderr"))
            );
        }
        panic!("no free port");
    }
}

fn spawn(directory: &Path, builder: &Builder) -> Child {
    let file = |name| {
        let mut options = File::options();
        options.create(true).append(true);
        options.open(directory.join(name)).unwrap()
    };
    let mut command = match builder.small_disk {
        None => Command::new(env!("CARGO_BIN_EXE_firedoor")),
        Some(size) => {
            // Within a mount namespace, so that nothing has to be unmounted; `exec`, so that the process keeps its id.
            let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && exec \"$@\"");
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &mount]);
            command.arg(directory.join("state"));
            command.arg(env!("CARGO_BIN_EXE_firedoor"));
            command
        }
    };
    command
        .args(["serve", "--config"])
        .arg(directory.join("firedoor.toml"))
        .envs(
            builder
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap()
}

/// Waits for `/readyz`; false when the process ends before.
fn until_ready(child: &mut Child, admin: SocketAddr) -> bool {
    wait::eventually_some(PATIENCE, "firedoor is ready", || {
        if child.try_wait().unwrap().is_some() {
            return Some(false);
        }
        let mut client = RawClient::try_connect(admin).ok()?;
        client.send(format!(
            "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"
        ));
        let answer = client.response_within("GET", Duration::from_secs(2)).ok()?;
        (answer.status == 200).then_some(true)
    })
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
