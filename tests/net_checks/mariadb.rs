//! A MariaDB of a test's own.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::support::server::{READY, Server};
use crate::support::wait::{PATIENCE, eventually};

/// The accounts that every server has, besides root, who comes by the socket.
const ACCOUNTS: &str = "
    FLUSH PRIVILEGES;
    CREATE USER health IDENTIFIED BY 's3cret';
    GRANT REPLICA MONITOR ON *.* TO health;
    CREATE USER dull IDENTIFIED BY 's3cret';
    CREATE USER bare;
    CREATE USER copier IDENTIFIED BY 's3cret';
    GRANT REPLICATION REPLICA ON *.* TO copier;
";
/// What of it all costs time at every start.
const FRUGAL: [&str; 7] = [
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--skip-innodb-use-native-aio",
    "--aria-pagecache-buffer-size=1M",
    "--key-buffer-size=1M",
];

/// A running MariaDB.
pub struct MariaDb {
    pub server: Server,
}

impl MariaDb {
    /// With these options besides.
    pub fn start(options: &[&str]) -> Self {
        let server = Self::launch(TempDir::new().unwrap(), options);
        eventually(PATIENCE, "MariaDB answers", || {
            server
                .client("root", "SELECT 1")
                .output()
                .unwrap()
                .status
                .success()
        });
        server
    }

    /// The same in `directory`, without waiting for its first answer.
    pub fn launch(directory: TempDir, options: &[&str]) -> Self {
        // The template's files, since a server can't share them.
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template())
            .arg(directory.path().join("data"))
            .status();
        assert!(copied.unwrap().success());
        let server = Server::start(directory, |address, directory| {
            let mut command = program("mariadbd", &directory.join("data"));
            command
                .arg("--bind-address=0.0.0.0")
                .arg(format!("--port={}", address.port()))
                .arg(format!("--socket={}", socket(directory).display()))
                .arg(format!("--pid-file={}", directory.join(READY).display()))
                .args(options);
            command
        });
        Self { server }
    }

    /// Has root run `statements`; returns what they print.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let output = self.client("root", statements).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// MariaDB's own client, coming by the socket.
    pub fn client(&self, user: &str, statements: &str) -> Command {
        let mut command = Command::new("mariadb");
        command
            .args(["--no-defaults", "--skip-column-names", "--batch"])
            .arg(format!("--socket={}", socket(self.server.path()).display()))
            .arg(format!("--user={user}"))
            .arg(format!("--execute={statements}"));
        command
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.server.path().join("output")).unwrap()
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}

/// A data directory to copy: made once for each version of MariaDB.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let version = Command::new("mariadbd")
            .args(["--no-defaults", "--version"])
            .output();
        let version =
            version.unwrap_or_else(|error| panic!("mariadbd: {error}; tests/run installs it"));
        let version = String::from_utf8(version.stdout).unwrap();
        let mut recipe = DefaultHasher::new();
        (version, ACCOUNTS).hash(&mut recipe);
        let tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let template = tests.join(format!("mariadb-{:016x}", recipe.finish()));
        if !template.exists() {
            // Another run may do the same at the same time: whoever is ready first has made it.
            let half = TempDir::new_in(tests).unwrap();
            make(half.path());
            let _ = fs::rename(half.path(), &template);
            assert!(template.exists());
        }
        template
    })
}

fn make(data: &Path) {
    let mut install = program("mariadb-install-db", data);
    install
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg("--skip-name-resolve");
    let output = install.output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let mut bootstrap = program("mariadbd", data)
        .arg("--bootstrap")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = bootstrap.stdin.take().unwrap();
    input
        .write_all(ACCOUNTS.replace('\n', " ").replace("; ", ";\n").as_bytes())
        .unwrap();
    drop(input);
    assert!(bootstrap.wait().unwrap().success());
}

fn program(name: &str, data: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .args(FRUGAL);
    // It refuses to be root by accident.
    if geteuid().is_root() {
        command.arg("--user=root");
    }
    command
}
