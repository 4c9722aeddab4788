//! `expect = "replica"`, and how far behind one may be.

use firedoor::outcome::CheckCode;

use super::{AS_HEALTH, HEALTH, SCRAM, assert_begins, probe};
use crate::support::wait::PATIENCE;
use crate::support::{Postgres, eventually};

const REPLICA: &str = ", expect = \"replica\"";
/// Only one that has replayed all that it received is within this.
const AT_ONCE: &str = ", expect = \"replica\", max_lag = \"1ms\"";
/// No test lasts so long.
const SOME_DAY: &str = ", expect = \"replica\", max_lag = \"1h\"";

async fn assert_replica(server: &Postgres, keys: &str, code: CheckCode, said: &str) {
    let outcome = probe(server, &format!("{AS_HEALTH}{keys}")).await;
    assert_begins(&outcome, code, said);
}

#[tokio::test]
async fn a_replica_is_one_from_its_first_connection_to_its_promotion() {
    let mut primary = Postgres::prepare("");
    primary.admit(&format!("host replication all 127.0.0.1/32 trust\n{SCRAM}"));
    primary.resume();
    // Who has no right at all, not even to statistics.
    primary.sql(HEALTH);
    let mut replica = Postgres::replica_of(&primary);
    replica.resume();
    let connected = "SELECT count(*) FROM pg_stat_wal_receiver";
    eventually(PATIENCE, "the replica is connected", || {
        replica.sql(connected) == "1"
    });

    let (ok, no) = (CheckCode::L7Ok, CheckCode::L7Status);
    let caught_up = "a replica, caught up";
    // Its primary has nothing to do, and no transaction was replayed yet.
    for keys in [REPLICA, AT_ONCE, SOME_DAY] {
        assert_replica(&replica, keys, ok, caught_up).await;
    }
    assert_replica(&replica, "", ok, "a replica").await;
    let said = "a replica, expected a writable one";
    assert_replica(&replica, ", expect = \"writable\"", no, said).await;

    replica.sql("SELECT pg_wal_replay_pause()");
    primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    let behind = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
    eventually(
        PATIENCE,
        "the replica has received more than it replays",
        || replica.sql(behind) == "t",
    );
    // Still no transaction to tell the time by.
    let said = "a replica that is behind, its last transaction is of unknown age, expected at most 3600.0 s";
    assert_replica(&replica, SOME_DAY, no, said).await;
    replica.sql("SELECT pg_wal_replay_resume()");
    eventually(PATIENCE, "the replica has caught up", || {
        replica.sql(behind) == "f"
    });
    assert_replica(&replica, AT_ONCE, ok, caught_up).await;

    replica.sql("SELECT pg_wal_replay_pause()");
    primary.sql("DELETE FROM t");
    eventually(
        PATIENCE,
        "the replica has received more than it replays",
        || replica.sql(behind) == "t",
    );
    let said = "a replica that is behind, its last transaction is ";
    assert_replica(&replica, AT_ONCE, no, said).await;
    for keys in [REPLICA, SOME_DAY] {
        assert_replica(&replica, keys, ok, said).await;
    }
    replica.sql("SELECT pg_wal_replay_resume()");
    eventually(PATIENCE, "the replica has caught up", || {
        replica.sql(behind) == "f"
    });
    assert_replica(&replica, AT_ONCE, ok, caught_up).await;

    primary.stop_immediately();
    eventually(PATIENCE, "the replica has noticed", || {
        replica.sql(connected) == "0"
    });
    let said = "a replica without connection to a primary, its last transaction is ";
    for keys in [REPLICA, AT_ONCE] {
        assert_replica(&replica, keys, no, said).await;
    }
    assert_replica(&replica, SOME_DAY, ok, said).await;

    replica.sql("SELECT pg_promote()");
    assert_replica(&replica, ", expect = \"writable\"", ok, "a primary").await;
    assert_replica(&replica, SOME_DAY, no, "a primary, expected a replica").await;
}
