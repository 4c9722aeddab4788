//! Servers that are starting, stopping, full, read only, hung or gone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use firedoor::outcome::CheckCode;
use postgres_protocol::message::frontend;
use rustix::process::{Pid, Signal, kill_process};

use super::{AS_HEALTH, HEALTH, SCRAM, assert_begins, assert_is, postgres, probe};
use crate::asking::SHORT;
use crate::support::postgres::SUPERUSER;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Postgres, Proxy, eventually, process};

/// A session of somebody's who needs no password; it lasts until it is dropped.
struct Guest {
    _stream: TcpStream,
    process: Pid,
}

impl Guest {
    /// `None` if the server is full.
    fn visit(server: &Postgres, user: &str) -> Option<Self> {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let mut message = bytes::BytesMut::new();
        let parameters = [("user", user), ("database", "postgres")];
        frontend::startup_message(parameters, &mut message).unwrap();
        stream.write_all(&message).unwrap();
        let mut process = None;
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap());
            let mut body = vec![0; length as usize - 4];
            stream.read_exact(&mut body).unwrap();
            match head[0] {
                b'E' => return None,
                b'K' => process = Some(i32::from_be_bytes(body[..4].try_into().unwrap())),
                b'Z' => {
                    return Some(Self {
                        _stream: stream,
                        process: Pid::from_raw(process.unwrap()).unwrap(),
                    });
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn one_that_is_up_passes_and_a_primary_is_writable_unless_it_is_read_only() {
    let server = postgres("");
    for (expect, code, said) in [
        ("reachable", CheckCode::L7Ok, "a primary"),
        ("writable", CheckCode::L7Ok, "a primary"),
        (
            "replica",
            CheckCode::L7Status,
            "a primary, expected a replica",
        ),
    ] {
        let outcome = probe(&server, &format!("{AS_HEALTH}, expect = \"{expect}\"")).await;
        assert_is(&outcome, code, said);
    }

    server.sql(
        "CREATE ROLE reader LOGIN PASSWORD 's3cret'; ALTER ROLE reader SET default_transaction_read_only = on;",
    );
    let writable = format!("{AS_HEALTH}, expect = \"writable\"");
    let outcome = probe(&server, &writable.replace("health", "reader")).await;
    let said = "a primary, but read only for this user (ALTER ROLE … SET), expected a writable one";
    assert_is(&outcome, CheckCode::L7Status, said);

    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    let outcome = probe(&server, &writable).await;
    let said = "a primary, but read only, expected a writable one";
    assert_is(&outcome, CheckCode::L7Status, said);
    let outcome = probe(&server, AS_HEALTH).await;
    assert_is(&outcome, CheckCode::L7Ok, "a primary, but read only");
}

#[tokio::test]
async fn one_that_is_starting_up_is_told_apart() {
    let mut server = Postgres::prepare(
        "restore_command = 'while test -e ../archive; do sleep 0.1; done; false'",
    );
    fs::write(server.data().join("recovery.signal"), "").unwrap();
    // Its first look into the archive doesn't end before the directory does.
    fs::write(server.path().join("archive"), "").unwrap();
    server.resume_until("starting");
    for keys in ["", AS_HEALTH] {
        let outcome = probe(&server, keys).await;
        let said = "it is starting up (\"57P03 the database system is starting up\")";
        assert_is(&outcome, CheckCode::L7Status, said);
    }
}

#[tokio::test]
async fn a_replica_that_takes_no_connections_is_told_apart() {
    let mut server = Postgres::prepare("hot_standby = off\nrestore_command = 'false'");
    fs::write(server.data().join("standby.signal"), "").unwrap();
    server.resume_until("standby");
    for keys in ["", AS_HEALTH] {
        let outcome = probe(&server, keys).await;
        let said = "it is a replica that takes no connections (\"57P03 ";
        assert_begins(&outcome, CheckCode::L7Status, said);
    }
}

#[tokio::test]
async fn one_that_is_shutting_down_is_told_apart() {
    let mut server = Postgres::prepare("");
    server.resume();
    let guest = Guest::visit(&server, SUPERUSER).unwrap();
    server.stop_smartly();
    let said = "it is shutting down (\"57P03 the database system is shutting down\")";
    assert_becomes(&server, "", CheckCode::L7Status, said).await;
    drop(guest);
    server.wait();
    let outcome = probe(&server, "").await;
    assert_begins(&outcome, CheckCode::L4Con, "connection refused");
}

#[tokio::test]
async fn one_that_recovers_from_a_crash_is_told_apart() {
    let mut server = Postgres::prepare("");
    server.resume();
    let guests = [(); 2].map(|()| Guest::visit(&server, SUPERUSER).unwrap());
    // Before it begins again all others must be gone, and this one leaves only when PostgreSQL loses its patience, after 5 s.
    process::freeze(guests[0].process);
    kill_process(guests[1].process, Signal::KILL).unwrap();
    let said = "it is recovering from a crash (\"57P03 the database system is in recovery mode\")";
    assert_becomes(&server, "", CheckCode::L7Status, said).await;
    let _ = kill_process(guests[0].process, Signal::CONT);
}

/// Probes until the outcome is this: a server may take a moment to get there, or to forget the probe before.
async fn assert_becomes(server: &Postgres, keys: &str, code: CheckCode, said: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let outcome = probe(server, keys).await;
        if outcome.detail.starts_with(said) || Instant::now() > end {
            return assert_begins(&outcome, code, said);
        }
    }
}

#[tokio::test]
async fn one_that_is_full_is_told_apart() {
    let doors = format!("host all guest,{SUPERUSER} 127.0.0.1/32 trust\n{SCRAM}");
    let mut server = Postgres::prepare(
        "max_connections = 3\nsuperuser_reserved_connections = 1\nmax_wal_senders = 0\nautovacuum = off",
    );
    server.admit(&doors);
    server.resume();
    server.sql(&format!("{HEALTH}; CREATE ROLE guest LOGIN;"));
    let mut guests = Vec::new();
    let mut invite = |user: &str| {
        // Who was here before may take a moment to leave.
        eventually(PATIENCE, "there is a place", || {
            Guest::visit(&server, user).is_some_and(|guest| {
                guests.push(guest);
                true
            })
        });
    };
    invite("guest");
    invite("guest");
    let said = "it has too many connections (\"53300 remaining connection slots are reserved for";
    assert_becomes(&server, AS_HEALTH, CheckCode::L7Status, said).await;
    assert_becomes(&server, "", CheckCode::L7Ok, "it asks for a login").await;

    invite(SUPERUSER);
    for keys in ["", AS_HEALTH] {
        let outcome = probe(&server, keys).await;
        let said = "it has too many connections (\"53300 sorry, too many clients already\")";
        assert_is(&outcome, CheckCode::L7Status, said);
    }
    guests.clear();
    eventually(PATIENCE, "there is a place again", || {
        Guest::visit(&server, "guest").is_some()
    });
}

#[tokio::test]
async fn a_frozen_one_is_l7tout_and_one_that_is_gone_l4con() {
    let mut server = postgres("");
    server.freeze();
    for keys in ["", AS_HEALTH] {
        let outcome = probe(&server, &format!("{keys}, {SHORT}")).await;
        let said = "connected, but no answer to the start-up message within 150 ms";
        assert_is(&outcome, CheckCode::L7Timeout, said);
    }
    server.thaw();
    assert!(probe(&server, AS_HEALTH).await.passed());

    // In the middle of a login.
    server.sql("ALTER SYSTEM SET post_auth_delay = '60s'");
    server.admit("host all all 127.0.0.1/32 trust");
    server.stop_immediately();
    server.resume();
    let outcome = probe(&server, &format!("{AS_HEALTH}, {SHORT}")).await;
    let said = "connected, but no answer to the start-up message within 150 ms";
    assert_is(&outcome, CheckCode::L7Timeout, said);

    server.stop_immediately();
    let outcome = probe(&server, AS_HEALTH).await;
    assert_is(&outcome, CheckCode::L4Con, "connection refused");
}

#[test]
fn a_zone_whose_postgres_takes_no_more_writes_is_left() {
    let (first, second) = (postgres(""), postgres(""));
    let (app_1, app_2) = (Origin::named("app-1"), Origin::named("app-2"));
    let check = |server: &Postgres| {
        format!(
            "check = {{ kind = \"postgres\", address = \"{}\", expect = \"writable\"{AS_HEALTH} }}",
            server.address
        )
    };
    let proxy = Proxy::builder()
        .zone("fz-1", &[&app_1])
        .dependency("orders", first.address, &check(&first))
        .zone("fz-2", &[&app_2])
        .dependency("orders", second.address, &check(&second))
        .start();
    proxy.until_all_up();
    first.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    proxy.until_status("fz-2 is active", |status| {
        status["zones"][1]["active"] == true
    });
    eventually(PATIENCE, "the journal says why", || {
        let journal = proxy.admin_get("/v1/journal").json().to_string();
        journal.contains("a primary, but read only, expected a writable one")
    });
}
