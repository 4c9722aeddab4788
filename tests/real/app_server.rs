//! One gunicorn with the app of `app.py`, and every way in which this test breaks it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::namespace::Namespace;
use crate::support::{RawClient, port};

/// A master with its workers, in a process group of their own.
pub struct AppServer {
    name: String,
    zone: String,
    database: String,
    address: SocketAddr,
    namespace: Option<Namespace>,
    directory: TempDir,
    master: Option<Child>,
}

/// A request as the app saw it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: SystemTime,
    pub server: String,
    pub method: String,
    pub id: String,
}

impl AppServer {
    /// Starts `name` of `zone` on a free port, inside `namespace` if there is one, and waits until it is healthy.
    pub fn start(zone: &str, name: &str, database: String, namespace: Option<Namespace>) -> Self {
        let host = namespace
            .as_ref()
            .map_or(Ipv4Addr::LOCALHOST.into(), Namespace::address);
        let mut server = Self {
            name: name.to_owned(),
            zone: zone.to_owned(),
            database,
            address: (host, port::free().port()).into(),
            namespace,
            directory: tempfile::Builder::new()
                .prefix("firedoor-app-")
                .tempdir()
                .expect("temporary directory"),
            master: None,
        };
        server.launch();
        server
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// Kills the master and all workers at once: from now on connections are refused.
    pub fn kill(&mut self) {
        let mut master = self.master.take().expect("running");
        signal_group(&master, Signal::KILL);
        master.wait().expect("the master ends");
    }

    /// Stops the master and all workers: the kernel still accepts connections, nobody answers.
    pub fn freeze(&self) {
        signal_group(self.master.as_ref().expect("running"), Signal::STOP);
    }

    pub fn thaw(&self) {
        signal_group(self.master.as_ref().expect("running"), Signal::CONT);
    }

    /// From now on it answers 500 to everything, its health check included.
    pub fn break_answers(&self) {
        fs::write(self.file("broken"), "").expect("the switch is made");
    }

    pub fn mend_answers(&self) {
        fs::remove_file(self.file("broken")).expect("the switch is removed");
    }

    /// Starts it (again) where it was before.
    pub fn launch(&mut self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let gunicorn = venv().join("bin/gunicorn");
        assert!(
            gunicorn.exists(),
            "{} is missing: run tests/run, or make the venv from tests/real/requirements.txt",
            gunicorn.display()
        );
        let gunicorn = gunicorn.to_str().expect("UTF-8");
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command(gunicorn),
            None => Command::new(gunicorn),
        };
        let log = fs::File::create(self.file("log")).expect("log file");
        command
            .args([
                "--bind",
                &self.address.to_string(),
                "--worker-class",
                "gthread",
            ])
            .args([
                "--workers",
                "2",
                "--threads",
                "8",
                "--keep-alive",
                "75",
                "--graceful-timeout",
                "1",
            ])
            .args([
                "--chdir",
                root.join("tests/real").to_str().expect("UTF-8"),
                "--no-control-socket",
                "app",
            ])
            .env("ZONE", &self.zone)
            .env("SERVER", &self.name)
            .env("DATABASE", &self.database)
            .env("ARRIVALS", self.file("arrivals"))
            .env("BROKEN", self.file("broken"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.master = Some(command.spawn().expect("gunicorn starts"));
        self.wait_until_healthy();
    }

    /// Until its own health check passes, asked directly.
    pub fn wait_until_healthy(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.healthy() {
            assert!(
                Instant::now() < deadline,
                "{}/{} does not become healthy:\n{}",
                self.zone,
                self.name,
                fs::read_to_string(self.file("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What has arrived so far, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        let text = fs::read_to_string(self.file("arrivals")).unwrap_or_default();
        text.lines().map(Arrival::parse).collect()
    }

    fn healthy(&self) -> bool {
        let Ok(mut client) = RawClient::try_connect(self.address) else {
            return false;
        };
        client.send("GET /healthz HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
        client
            .response_within("GET", Duration::from_secs(2))
            .is_ok_and(|answer| answer.status == 200)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for AppServer {
    fn drop(&mut self) {
        if let Some(mut master) = self.master.take() {
            signal_group(&master, Signal::KILL);
            master.wait().ok();
        }
    }
}

impl Arrival {
    fn parse(line: &str) -> Self {
        let mut fields = line.split(' ');
        let mut next = || fields.next().expect("four fields").to_owned();
        let nanoseconds = next().parse().expect("nanoseconds");
        Self {
            at: UNIX_EPOCH + Duration::from_nanos(nanoseconds),
            server: next(),
            method: next(),
            id: next(),
        }
    }
}

/// Where `tests/run` puts the Python packages.
fn venv() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv")
}

fn signal_group(leader: &Child, signal: Signal) {
    rustix::process::kill_process_group(Pid::from_child(leader), signal).ok();
}
