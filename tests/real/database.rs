//! A PostgreSQL of its own: cluster, port and unix socket live in one temporary directory and end with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::support::port;

/// One cluster. Reachable by TCP on loopback (the proxy's check) and by unix socket (the app servers, from any namespace).
pub struct Database {
    directory: TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    postmaster: Option<Child>,
}

impl Database {
    /// Makes a cluster with the app's tables, and starts it.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("firedoor-pg-")
            .tempdir()
            .expect("temporary directory");
        let mut database = Self {
            directory,
            programs: programs(),
            owner: owner(),
            port: port::free().port(),
            postmaster: None,
        };
        database.own_directory();
        database.run(
            "initdb",
            &[
                "--auth=trust",
                "--username=app",
                "--no-sync",
                "--pgdata=data",
            ],
        );
        database.resume();
        database.sql(
            "CREATE TABLE greeting (text text NOT NULL);
             INSERT INTO greeting VALUES ('hello');
             CREATE TABLE orders (id text PRIMARY KEY, executions integer NOT NULL);",
        );
        database
    }

    /// For the proxy's `tcp` check.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// For the app servers: a libpq connection string.
    pub fn connection_string(&self) -> String {
        format!(
            "host={} port={} user=app dbname=postgres",
            self.path().display(),
            self.port
        )
    }

    /// Stops as `pg_ctl stop -m immediate` does: by SIGQUIT to the postmaster, which aborts every connection.
    pub fn stop_immediately(&mut self) {
        let mut postmaster = self.postmaster.take().expect("running");
        signal(&postmaster, Signal::QUIT);
        postmaster.wait().expect("the postmaster ends");
    }

    /// Starts (again) and waits until it answers; what was committed before is still there.
    pub fn resume(&mut self) {
        let log = fs::File::create(self.path().join("log")).expect("log file");
        let mut command = self.command("postgres");
        command
            .args(["-D", "data", "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("port={}", self.port)])
            .args([
                "-c",
                &format!("unix_socket_directories={}", self.path().display()),
            ])
            // Nothing here has to survive the machine, and the disk must not add its own pauses to the measurement.
            .args(["-c", "fsync=off", "-c", "synchronous_commit=off"])
            .args(["-c", "shared_buffers=16MB", "-c", "max_connections=100"])
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(log);
        self.postmaster = Some(command.spawn().expect("postgres starts"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not answer:\n{}",
                fs::read_to_string(self.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often each order was executed.
    pub fn executions(&self) -> Vec<(String, u32)> {
        self.sql("SELECT id, executions FROM orders")
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(id, count)| (id.to_owned(), count.parse().expect("a count")))
            .collect()
    }

    fn answers(&self) -> bool {
        self.psql("SELECT 1")
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn sql(&self, statements: &str) -> String {
        let output = self.psql(statements).output().expect("psql runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn psql(&self, statements: &str) -> Command {
        let mut command = self.command("psql");
        command
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args([
                "--dbname",
                &self.connection_string(),
                "--command",
                statements,
            ]);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .expect("the program starts");
        assert!(
            output.status.success(),
            "{program}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// PostgreSQL refuses to run as root, so root hands everything over to the package's own user.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(self.path())
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn own_directory(&self) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        if let Some((user, group)) = self.owner {
            chown(self.path(), Some(user), Some(group)).expect("chown");
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else {
            return;
        };
        signal(&postmaster, Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = postmaster.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        signal(&postmaster, Signal::KILL);
        postmaster.wait().ok();
    }
}

fn signal(process: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(process), signal).ok();
}

/// Debian keeps the server's programs off the PATH, one directory a version.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .expect("PostgreSQL's server programs below /usr/lib/postgresql: run tests/run, or apt-get install postgresql")
}

/// User and group to run as; `None` when the tests aren't run by root.
fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let number = |flag| {
        let output = Command::new("id")
            .args([flag, "postgres"])
            .output()
            .expect("id runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.trim().parse().expect("a user named postgres")
    };
    Some((number("-u"), number("-g")))
}
