//! A PostgreSQL of a test's own: cluster, port and unix socket live in one temporary directory and end with it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wait::{PATIENCE, eventually, eventually_some};
use super::{port, process};

/// The superuser of every cluster, who needs no password.
pub const SUPERUSER: &str = "app";

/// Nothing here has to survive the machine, and the disk must not add its own pauses.
const CONFIGURATION: &str = "fsync = off\nsynchronous_commit = off\nshared_buffers = 16MB\n";

/// One cluster, reachable by TCP on loopback and by unix socket (from any network namespace).
pub struct Postgres {
    /// Of its last start.
    pub address: SocketAddr,
    directory: TempDir,
    postmaster: Option<Child>,
}

impl Postgres {
    /// A running server with these further lines of `postgresql.conf`.
    pub fn start(lines: &str) -> Self {
        let mut server = Self::prepare(lines);
        server.resume();
        server
    }

    /// A cluster that doesn't run yet.
    pub fn prepare(lines: &str) -> Self {
        let server = Self::empty();
        run(Command::new("cp")
            .arg("-a")
            .arg(template())
            .arg(server.data()));
        let configuration = server.data().join("postgresql.conf");
        fs::write(&configuration, format!("{CONFIGURATION}{lines}\n")).unwrap();
        server.hand_over(&configuration);
        server
    }

    /// A streaming replica of `primary` that doesn't run yet.
    pub fn replica_of(primary: &Self) -> Self {
        let server = Self::empty();
        let port = primary.address.port().to_string();
        run(server
            .command("pg_basebackup")
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
            .args(["--host", "127.0.0.1", "--port", &port])
            .args(["--username", SUPERUSER, "--pgdata", "data"]));
        server
    }

    /// Says who may come in, instead of everybody, from the next start on: `pg_hba.conf`, after a line for the superuser on the
    /// socket.
    pub fn admit(&self, lines: &str) {
        let text = format!("local all {SUPERUSER} trust\n{lines}\n");
        fs::write(self.data().join("pg_hba.conf"), text).unwrap();
    }

    /// Starts (again), and waits until it takes connections; what was committed before is still there.
    pub fn resume(&mut self) {
        self.resume_until("ready");
    }

    /// As [`Self::resume`], for servers that don't get so far; `status` is what `postmaster.pid` says then: `starting`,
    /// `standby` or `ready`.
    pub fn resume_until(&mut self, status: &str) {
        for _ in 0..10 {
            let mut postmaster = self.spawn();
            let pid = self.data().join("postmaster.pid");
            let there = eventually_some(PATIENCE, "PostgreSQL starts, or ends", || {
                if postmaster.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let text = fs::read_to_string(&pid).unwrap_or_default();
                let mut lines = text.lines();
                let own = lines.next() == Some(&postmaster.id().to_string());
                (own && lines.nth(6).is_some_and(|line| line.trim() == status)).then_some(true)
            });
            if there {
                self.postmaster = Some(postmaster);
                return;
            }
            assert!(
                self.log().contains("Address already in use"),
                "{}",
                self.log()
            );
            self.address = port::free();
        }
        panic!("no port is free long enough");
    }

    /// Runs these statements in database `postgres`, over the unix socket; returns what they say, unadorned.
    pub fn sql(&self, statements: &str) -> String {
        run(self
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--dbname", &self.connection_string()])
            .args(["--command", statements]))
        .trim_end()
        .to_owned()
    }

    /// For libpq, over the unix socket.
    pub fn connection_string(&self) -> String {
        format!(
            "host={} port={} user={SUPERUSER} dbname=postgres",
            self.path().display(),
            self.address.port()
        )
    }

    /// What it has noted since its last start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// SIGTERM: takes nobody any more, and ends when all have left.
    pub fn stop_smartly(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// SIGQUIT: every connection is aborted, and nothing is put in order. Waits for the end.
    pub fn stop_immediately(&mut self) {
        kill_process(self.pid(), Signal::QUIT).unwrap();
        self.wait();
    }

    /// Waits until it has ended, with all its processes.
    pub fn wait(&mut self) {
        let mut postmaster = self.postmaster.take().expect("running");
        eventually(PATIENCE, "PostgreSQL ends", || {
            postmaster.try_wait().unwrap().is_some()
        });
    }

    /// Stops whoever answers new connections.
    pub fn freeze(&self) {
        process::freeze(self.pid());
    }

    pub fn thaw(&self) {
        process::thaw(self.pid());
    }

    /// Where test and server may put their files.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The cluster.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Makes `file` the server's own, and nobody else's.
    pub fn hand_over(&self, file: &Path) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = *OWNER {
            chown(file, Some(user), Some(group)).unwrap();
        }
    }

    fn empty() -> Self {
        Self {
            address: port::free(),
            directory: directory(),
            postmaster: None,
        }
    }

    fn spawn(&self) -> Child {
        let log = fs::File::create(self.path().join("log")).unwrap();
        let option = |name: &str, value: &str| format!("--{name}={value}");
        self.command("postgres")
            .args(["-D", "data"])
            .arg(option("listen_addresses", "127.0.0.1"))
            .arg(option("port", &self.address.port().to_string()))
            .arg(option(
                "unix_socket_directories",
                &self.path().display().to_string(),
            ))
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.postmaster.as_ref().expect("running"))
    }

    fn command(&self, program: &str) -> Command {
        command(program, self.path())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(postmaster) = &mut self.postmaster else {
            return;
        };
        let process = Pid::from_child(postmaster);
        // SIGQUIT ends its children and gives their memory back; one that is frozen can't.
        let _ = kill_process(process, Signal::QUIT);
        let _ = kill_process(process, Signal::CONT);
        let ended = super::wait::within(PATIENCE, || !matches!(postmaster.try_wait(), Ok(None)));
        if !ended {
            let _ = postmaster.kill();
            let _ = postmaster.wait();
        }
    }
}

/// A fresh cluster to copy, which takes a tenth of making one. It outlives the test, below `target`.
fn template() -> &'static Path {
    static TEMPLATE: LazyLock<PathBuf> = LazyLock::new(|| {
        let version = PROGRAMS.parent().unwrap().file_name().unwrap();
        let owner = rustix::process::geteuid().as_raw();
        let name = format!("postgres-{}-{owner}", version.display());
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if template.exists() {
            return template;
        }
        let directory = directory();
        run(command("initdb", directory.path())
            .args([
                "--auth=trust",
                "--no-sync",
                "--wal-segsize=1",
                "--pgdata=data",
            ])
            .args(["--username", SUPERUSER]));
        let copy = template.with_extension(std::process::id().to_string());
        run(Command::new("cp")
            .arg("-a")
            .arg(directory.path().join("data"))
            .arg(&copy));
        // Another test binary may have been faster.
        if fs::rename(&copy, &template).is_err() {
            fs::remove_dir_all(&copy).unwrap();
        }
        template
    });
    &TEMPLATE
}

fn directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("firedoor-pg-")
        .tempdir()
        .unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = *OWNER {
        chown(directory.path(), Some(user), Some(group)).unwrap();
    }
    directory
}

/// PostgreSQL refuses to run as root, so root hands everything over to the package's own user.
fn command(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(PROGRAMS.join(program));
    command
        .current_dir(directory)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    if let Some((user, group)) = *OWNER {
        command.uid(user).gid(group);
    }
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Debian keeps the server's programs off the PATH, one directory a version.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.join("initdb").exists())
        .max()
        .expect("PostgreSQL's server programs below /usr/lib/postgresql: run tests/run, or apt-get install postgresql")
});

/// User and group to run as; `None` when the tests aren't run by root.
static OWNER: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let number = |flag| {
        run(Command::new("id").args([flag, "postgres"]))
            .trim()
            .parse()
    };
    Some((number("-u").unwrap(), number("-g").unwrap()))
});
