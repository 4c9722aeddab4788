//! `kind = "mysql"` against MariaDB in the states that matter.

#[path = "mysql/eight.rs"]
mod eight;
#[path = "mysql/hosts.rs"]
mod hosts;
#[path = "mysql/liars.rs"]
mod liars;
#[path = "mysql/logins.rs"]
mod logins;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Instant;

use firedoor::outcome::{CheckCode, Outcome};
use tempfile::TempDir;

use crate::asking::{SHORT, ask};
use crate::mariadb::MariaDb;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

/// An account that may ask for the state of replication, and nothing else.
const HEALTH: &str = ", user = \"health\", password = \"s3cret\"";

async fn probe(mariadb: &MariaDb, keys: &str) -> Outcome {
    probe_at(mariadb.server.path(), mariadb.server.address, keys).await
}

async fn probe_at(directory: &Path, address: SocketAddr, keys: &str) -> Outcome {
    ask(directory, address, &format!("kind = \"mysql\"{keys}")).await
}

#[tokio::test]
async fn one_that_is_up_greets_strangers_and_tells_its_users_more() {
    let mariadb = MariaDb::start(&[]);
    let outcome = probe(&mariadb, "").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let version = mariadb.sql("SELECT VERSION()");
    assert_eq!(outcome.detail, format!("{version} greets"));

    let outcome = probe(&mariadb, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(outcome.detail, format!("{version}, logged in"));
    let outcome = probe(&mariadb, ", user = \"bare\", expect = \"writable\"").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(outcome.detail, "takes writes");
    let outcome = probe(&mariadb, &format!("{HEALTH}, expect = \"replica\"")).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert_eq!(outcome.detail, "no replica, expected one");
    let dull = ", user = \"dull\", password = \"s3cret\", expect = \"replica\"";
    let outcome = probe(&mariadb, dull).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert_eq!(outcome.status, Some(1227), "{outcome}");
    let said = "its user may not ask this (\"Access denied; you need";
    assert!(outcome.detail.starts_with(said), "{outcome}");

    // As README advises those who want to keep the log quiet.
    mariadb.sql("CREATE USER firedoor ACCOUNT LOCK");
    let log = mariadb.log();
    assert!(log.contains("Access denied for user 'firedoor'@"), "{log}");
    let outcome = probe(&mariadb, "").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert_eq!(mariadb.log(), log);

    let left = mariadb.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
    assert_eq!(left, "Aborted_clients\t0", "all of them have said goodbye");
    assert!(!mariadb.log().contains("Aborted"), "{}", mariadb.log());
}

#[tokio::test]
async fn one_that_is_read_only_is_not_writable() {
    let mariadb = MariaDb::start(&[]);
    let writable = format!("{HEALTH}, expect = \"writable\"");
    mariadb.sql("SET GLOBAL read_only = ON");
    let outcome = probe(&mariadb, &writable).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert_eq!(outcome.detail, "read_only is on, expected a writable one");
    assert!(probe(&mariadb, HEALTH).await.passed(), "reachable it is");
    mariadb.sql("SET GLOBAL read_only = OFF");
    let outcome = probe(&mariadb, &writable).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
}

#[tokio::test]
async fn one_whose_tables_cannot_be_written_at_all_is_not_writable() {
    // In this state InnoDB doesn't open files that have still to be recovered: the server must have ended in order.
    let directory = TempDir::new().unwrap();
    let mariadb = MariaDb::launch(directory, &["--innodb-read-only"]);
    let outcome = probe(&mariadb, &format!("{HEALTH}, expect = \"writable\"")).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert!(
        outcome.detail.contains("innodb_read_only is on"),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_replica_is_one_as_long_as_both_threads_run_and_it_is_near_enough() {
    let mut source = MariaDb::start(&["--log-bin=log", "--server-id=1"]);
    let replica = MariaDb::start(&["--server-id=2", "--read-only", "--relay-log=relay"]);
    let port = source.server.address.port();
    replica.sql(&format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'copier', \
         MASTER_PASSWORD = 's3cret', MASTER_CONNECT_RETRY = 1; START REPLICA"
    ));
    source.sql("CREATE DATABASE shop");
    eventually(PATIENCE, "the replica has the same", || {
        replica.sql("SHOW DATABASES LIKE 'shop'") == "shop"
    });
    let is = format!("a replica of 127.0.0.1:{port}");
    let expected = format!("{HEALTH}, expect = \"replica\"");
    let outcome = probe(&replica, &expected).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    assert!(outcome.detail.starts_with(&is), "{outcome}");
    assert!(outcome.detail.ends_with(" s behind"), "{outcome}");
    let outcome = probe(&replica, &format!("{HEALTH}, expect = \"writable\"")).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");

    replica.sql("STOP REPLICA SQL_THREAD");
    let outcome = probe(&replica, &expected).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert_eq!(outcome.detail, format!("{is}, whose SQL thread is stopped"));

    // It receives what happened a hundred seconds ago, and has to wait with it.
    replica.sql("STOP REPLICA; CHANGE MASTER TO MASTER_DELAY = 3600; START REPLICA");
    source.sql("SET TIMESTAMP = UNIX_TIMESTAMP() - 100; CREATE TABLE shop.orders (id INT)");
    let mut outcome = probe(&replica, &format!("{expected}, max_lag = \"90s\"")).await;
    for _ in 0..2_000 {
        if !outcome.passed() {
            break;
        }
        outcome = probe(&replica, &format!("{expected}, max_lag = \"90s\"")).await;
    }
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    let said = outcome.detail.strip_prefix(&format!("{is}, 1"));
    assert!(
        said.is_some_and(|said| said.ends_with(" s behind, but at most 90s are allowed")),
        "{outcome}"
    );
    let outcome = probe(&replica, &format!("{expected}, max_lag = \"1h\"")).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");

    // With a name for its source, as those have it that follow several.
    replica.sql(&format!(
        "STOP REPLICA; RESET REPLICA ALL; CHANGE MASTER 'shop' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, \
         MASTER_USER = 'copier', MASTER_PASSWORD = 'wrong', MASTER_CONNECT_RETRY = 1; START REPLICA 'shop'"
    ));
    source.server.kill();
    let outcome = probe(&replica, &expected).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    let said = format!("{is}, whose IO thread is connecting");
    assert!(outcome.detail.starts_with(&said), "{outcome}");
}

/// Somebody who is greeted and says nothing. A probe that has just left may take up the place for a moment longer.
async fn guest(mariadb: &MariaDb) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut guest = TcpStream::connect(mariadb.server.address).unwrap();
        // A packet's head, and the protocol's version or what stands for an error.
        let mut begin = [0; 5];
        guest.read_exact(&mut begin).unwrap();
        if begin[4] == 10 {
            return guest;
        }
        assert!(Instant::now() < end, "no guest is greeted");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_is_full_is_told_apart_before_and_after_the_login() {
    let mariadb = MariaDb::start(&["--max-connections=10", "--connect-timeout=600"]);
    // The last one more is for administrators.
    let mut guests = Vec::new();
    for _ in 0..10 {
        guests.push(guest(&mariadb).await);
    }
    let outcome = probe(&mariadb, HEALTH).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
    assert_eq!(outcome.status, Some(1040), "{outcome}");
    assert_eq!(outcome.detail, "it is full (\"Too many connections\")");
    guests.push(guest(&mariadb).await);
    for keys in ["", HEALTH] {
        let outcome = probe(&mariadb, keys).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
        assert_eq!(outcome.status, Some(1040), "{outcome}");
    }
}

#[tokio::test]
async fn one_that_lets_nobody_in_from_here_says_so() {
    let mariadb = MariaDb::start(&[]);
    mariadb.sql("DELETE FROM mysql.global_priv; FLUSH PRIVILEGES");
    for keys in ["", HEALTH] {
        let outcome = probe(&mariadb, keys).await;
        assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
        assert_eq!(outcome.status, Some(1130), "{outcome}");
        let said = "it takes no connections from this host: no account is for it (\"Host '";
        assert!(outcome.detail.starts_with(said), "{outcome}");
    }
}

#[tokio::test]
async fn a_frozen_one_is_l7tout_and_one_that_is_gone_l4con() {
    let mut mariadb = MariaDb::start(&[]);
    mariadb.server.freeze();
    for keys in ["", HEALTH] {
        let outcome = probe(&mariadb, &format!("{keys}, {SHORT}")).await;
        assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
        assert_eq!(
            outcome.detail,
            "connected, but no greeting (hung, or still starting) within 150 ms"
        );
    }
    mariadb.server.thaw();
    assert!(probe(&mariadb, "").await.passed());
    mariadb.server.kill();
    let outcome = probe(&mariadb, "").await;
    assert_eq!(outcome.code, CheckCode::L4Con, "{outcome}");
}

#[tokio::test]
async fn one_that_is_still_starting_is_l7tout() {
    let directory = TempDir::new().unwrap();
    let init = directory.path().join("init.sql");
    std::fs::write(&init, "SELECT SLEEP(3600);\n").unwrap();
    let option = format!("--init-file={}", init.display());
    let mariadb = MariaDb::launch(directory, &[&option]);
    for keys in ["", HEALTH] {
        let outcome = probe(&mariadb, &format!("{keys}, {SHORT}")).await;
        assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
    }
}

#[test]
fn a_zone_whose_mariadb_takes_no_more_writes_is_left() {
    let (first, second) = (MariaDb::start(&[]), MariaDb::start(&[]));
    let (app_1, app_2) = (Origin::named("app-1"), Origin::named("app-2"));
    let check = |mariadb: &MariaDb| {
        format!(
            "check = {{ kind = \"mysql\", address = \"{}\"{HEALTH}, expect = \"writable\" }}",
            mariadb.server.address
        )
    };
    let proxy = Proxy::builder()
        .zone("fz-1", &[&app_1])
        .dependency("database", first.server.address, &check(&first))
        .zone("fz-2", &[&app_2])
        .dependency("database", second.server.address, &check(&second))
        .start();
    proxy.until_all_up();
    first.sql("SET GLOBAL read_only = ON");
    proxy.until_status("fz-2 is active", |status| {
        status["zones"][1]["active"] == true
    });
    let reason = "read_only is on, expected a writable one";
    eventually(PATIENCE, "the journal says why", || {
        let journal = proxy.admin_get("/v1/journal").json().to_string();
        journal.contains(reason)
    });
    let response = proxy.get("/");
    assert_eq!(response.status, 200);
}
