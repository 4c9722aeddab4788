//! That no probe counts for `max_connect_errors`, however it ends.
//!
//! A server counts only connections that come over the network, from a host whose name it could look up. So the test runs itself
//! once more, in a network of its own with such an address, and with a list of names that knows it.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use firedoor::config::Check;
use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::{CheckCode, Outcome};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{HEALTH, probe_at};
use crate::asking::{SHORT, dependency};
use crate::authority::Authority;
use crate::mariadb::MariaDb;
use crate::support::eventually;
use crate::support::wait::PATIENCE;

/// From the range for benchmarks of RFC 2544.
const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Set for the run within.
const WITHIN: &str = "FIREDOOR_TEST_IS_WITHIN_ITS_NETWORK";
/// More than a server forgives that forgives three.
const OFTEN: usize = 10;

#[test]
fn however_a_probe_ends_it_never_counts_for_max_connect_errors() {
    if env::var_os(WITHIN).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(probe_often());
    }
    let names = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        &names,
        format!("127.0.0.1 localhost\n{HERE} door.example\n"),
    )
    .unwrap();
    let within = format!(
        "ip link set lo up && ip address add {HERE}/32 dev lo && mount --bind \"$0\" /etc/hosts && exec \"$@\""
    );
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .args(["sh", "-c", &within])
        .arg(names.path())
        .arg(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(format!(
            "{module}::however_a_probe_ends_it_never_counts_for_max_connect_errors"
        ))
        .env(WITHIN, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "{said}{complained}");
}

async fn probe_often() {
    let certificates = TempDir::new().unwrap();
    let (ours, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let authority = Authority::new("the tests' authority");
    authority.sign(certificates.path(), "server", &HERE.to_string(), 100);
    authority.write(ours.path());
    Authority::new("another authority").write(other.path());
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let mariadb = MariaDb::start(&[
        "--max-connect-errors=3",
        "--performance-schema",
        "--plugin-load-add=auth_ed25519",
        "--plugin-load-add=auth_pam_v1",
        "--skip-secure-auth",
        &format!("--ssl-cert={}", file("server.pem")),
        &format!("--ssl-key={}", file("server.key")),
    ]);
    let scene = Scene {
        address: (HERE, mariadb.server.address.port()).into(),
        mariadb,
    };

    // A server that hangs answers all at once when it goes on. Nobody is there any more of those who have stopped meanwhile.
    scene.mariadb.server.freeze();
    let visitors = scene.visitors();
    for outcome in scene.probe(&ours, &format!(", {SHORT}")).await {
        assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
    }
    scene.mariadb.server.thaw();
    let all_left = || scene.visitors() >= visitors + OFTEN;
    eventually(PATIENCE, "it has heard all of them", all_left);
    scene.assert_untroubled("after it hung");

    scene.mariadb.sql(
        "CREATE USER curve IDENTIFIED VIA ed25519 USING PASSWORD('s3cret'); CREATE USER pam IDENTIFIED VIA pam;
         CREATE USER old IDENTIFIED VIA mysql_old_password USING '5d2e19393cc5ef67'",
    );
    let tls = ", tls = { ca = \"ca.pem\" }";
    let named = ", tls = { ca = \"ca.pem\", server_name = \"db.example\" }";
    for (directory, keys, code) in [
        (&ours, "", CheckCode::L7Ok),
        (&ours, ", user = \"health\"", CheckCode::L7Status),
        (
            &ours,
            ", user = \"health\", password = \"other\"",
            CheckCode::L7Status,
        ),
        (
            &ours,
            ", user = \"curve\", password = \"other\"",
            CheckCode::L7Status,
        ),
        (
            &ours,
            ", user = \"old\", password = \"other\"",
            CheckCode::L7Status,
        ),
        (
            &ours,
            ", user = \"pam\", password = \"other\"",
            CheckCode::L7Status,
        ),
        (
            &ours,
            ", user = \"nobody\", password = \"other\"",
            CheckCode::L7Status,
        ),
        (&ours, tls, CheckCode::L7Ok),
        (&ours, named, CheckCode::L6Response),
        (&other, tls, CheckCode::L6Response),
    ] {
        for outcome in scene.probe(directory, keys).await {
            assert_eq!(outcome.code, code, "{keys}: {outcome}");
        }
        scene.assert_untroubled(keys);
    }

    // To hide who has an account, MariaDB lets a stranger try the plugin of somebody else's. If it were ed25519, an answer of
    // another length than a signature's would be a broken handshake.
    let stranger_signs = || {
        scene
            .mariadb
            .log()
            .contains("'firedoor'@'door.example' (using password: YES)")
    };
    for number in 0..40 {
        if stranger_signs() {
            break;
        }
        scene.mariadb.sql(&format!(
            "CREATE USER curve{number} IDENTIFIED VIA ed25519 USING PASSWORD('x')"
        ));
        let outcome = probe_at(ours.path(), scene.address, "").await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    }
    assert!(stranger_signs(), "{}", scene.mariadb.log());
    for outcome in scene.probe(&ours, "").await {
        assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    }
    scene.assert_untroubled("with ed25519's plugin");

    // And those who haven't stopped have waited all the time.
    for (keys, connections) in [("", 2), (HEALTH, 1), (tls, 1)] {
        let keys = format!("kind = \"mysql\"{keys}, {SHORT}");
        let dependency = dependency(ours.path(), scene.address, &keys);
        let authority = scene.address.to_string();
        let subject = Subject {
            component: &dependency.key,
            address: scene.address,
            authority: &authority,
        };
        let prober = Prober::default();
        scene.mariadb.server.freeze();
        let end = Instant::now() + PATIENCE;
        let mut probes = 0;
        while probes < OFTEN || scene.greeted().0 < connections {
            let outcome = prober.probe(subject, &dependency.check).await;
            assert_eq!(outcome.code, CheckCode::L7Timeout, "{keys}: {outcome}");
            assert!(
                Instant::now() < end,
                "it never waits on {connections} connections"
            );
            probes += 1;
        }
        scene.mariadb.server.thaw();
        let greeted = || scene.greeted() == (connections, connections);
        eventually(PATIENCE, "it has greeted all of them", greeted);
        let check = Check {
            timeout: PATIENCE,
            ..Check::clone(&dependency.check)
        };
        let outcome = prober.probe(subject, &check).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{keys}: {outcome}");
        scene.assert_untroubled("after it hung");
    }

    // All that wouldn't mean anything if it didn't count here at all.
    for _ in 0..3 {
        drop(TcpStream::connect(scene.address).unwrap());
    }
    let counted = || scene.counted() == "3\t3";
    eventually(PATIENCE, "a careless client is counted", counted);
    for keys in ["", HEALTH] {
        let outcome = probe_at(ours.path(), scene.address, keys).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
        assert_eq!(outcome.status, Some(1129), "{outcome}");
        let said = "it blocks this host, after too many broken connections from here (max_connect_errors): FLUSH HOSTS unblocks it";
        assert!(outcome.detail.starts_with(said), "{outcome}");
    }
}

struct Scene {
    mariadb: MariaDb,
    /// By which it counts who comes.
    address: SocketAddr,
}

impl Scene {
    /// Often, and at the same time.
    async fn probe(&self, directory: &TempDir, keys: &str) -> Vec<Outcome> {
        let mut probes = JoinSet::new();
        for number in 0..OFTEN {
            // Each one writes its configuration there.
            let own = directory.path().join(number.to_string());
            fs::create_dir_all(&own).unwrap();
            fs::copy(directory.path().join("ca.pem"), own.join("ca.pem")).unwrap();
            let (address, keys) = (self.address, keys.to_owned());
            probes.spawn(async move { probe_at(&own, address, &keys).await });
        }
        probes.join_all().await
    }

    /// `SUM_CONNECT_ERRORS`, which block, and `COUNT_HANDSHAKE_ERRORS`, which no later success takes back.
    fn counted(&self) -> String {
        self.mariadb.sql(&format!(
            "SELECT SUM_CONNECT_ERRORS, COUNT_HANDSHAKE_ERRORS FROM performance_schema.host_cache WHERE IP = '{HERE}' AND HOST_VALIDATED = 'YES'"
        ))
    }

    /// How many visitors it has refused.
    fn visitors(&self) -> usize {
        self.mariadb
            .log()
            .matches("Access denied for user 'firedoor'@")
            .count()
    }

    /// How many connections there are to it, and on how many of them there is something to read.
    fn greeted(&self) -> (usize, usize) {
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let server = format!(":{:04X}", self.address.port());
        let unread = table.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, remote, state, queues, ..] = fields[..] else {
                return None;
            };
            let is_ours = remote.ends_with(&server) && state == "01";
            is_ours.then(|| queues.split_once(':').unwrap().1 != "00000000")
        });
        let unread: Vec<bool> = unread.collect();
        (
            unread.len(),
            unread.iter().filter(|unread| **unread).count(),
        )
    }

    #[track_caller]
    fn assert_untroubled(&self, when: &str) {
        assert_eq!(self.counted(), "0\t0", "{when}: {}", self.mariadb.log());
        let client = Command::new("mariadb")
            .args(["--no-defaults", "--skip-ssl", "--execute=SELECT 1"])
            .args(["--user=health", "--password=s3cret"])
            .arg(format!("--host={HERE}"))
            .arg(format!("--port={}", self.address.port()))
            .output()
            .unwrap();
        assert!(client.status.success(), "{when}: {client:?}");
    }
}
