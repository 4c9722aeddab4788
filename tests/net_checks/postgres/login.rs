//! Who is let in, and what is said of who is not.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use firedoor::outcome::CheckCode;

use super::{AS_HEALTH, HEALTH, SCRAM, assert_begins, assert_is, postgres, probe, probe_at};
use crate::support::Postgres;

#[tokio::test]
async fn without_a_user_anybody_passes_who_answers_and_is_not_starting_up() {
    let mut server = Postgres::prepare("");
    for (doors, said) in [
        (SCRAM, "it asks for a login"),
        (
            "host all all 127.0.0.1/32 reject",
            "it answers, and lets no strangers in (\"28000 pg_hba.conf rejects connection for host \\\"127.0.0.1\\\", user \\\"firedoor\\\"",
        ),
        (
            "host all other 127.0.0.1/32 trust",
            "it answers, and lets no strangers in (\"28000 no pg_hba.conf entry for host",
        ),
        (
            "host all all 127.0.0.1/32 trust",
            "it answers, and lets no strangers in (\"28000 role \\\"firedoor\\\" does not exist\")",
        ),
    ] {
        server.admit(doors);
        server.resume();
        let outcome = probe(&server, "").await;
        assert_begins(&outcome, CheckCode::L7Ok, said);
        server.stop_immediately();
    }
    server.resume();
    server.sql("CREATE ROLE firedoor LOGIN");
    let outcome = probe(&server, "").await;
    let said =
        "it answers, and lets no strangers in (\"3D000 database \\\"firedoor\\\" does not exist\")";
    assert_is(&outcome, CheckCode::L7Ok, said);
    server.sql("CREATE DATABASE firedoor");
    let outcome = probe(&server, "").await;
    assert_is(&outcome, CheckCode::L7Ok, "it lets anybody in");
}

#[tokio::test]
async fn each_way_to_be_let_in_works_but_a_password_in_cleartext_stays_on_this_machine() {
    let mut server = Postgres::prepare("");
    server.admit(&format!(
        "host all old 127.0.0.1/32 md5\nhost all plain 127.0.0.1/32 password\nhost all friend 127.0.0.1/32 trust\n{SCRAM}"
    ));
    server.resume();
    server.sql(&format!(
        "{HEALTH}; CREATE ROLE plain LOGIN PASSWORD 's3cret'; CREATE ROLE friend LOGIN;
         CREATE ROLE strange LOGIN PASSWORD 'pässwörd ☃, \"=\\';
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 's3cret';"
    ));
    fs::write(server.path().join("pg.pw"), "s3cret\n").unwrap();
    for keys in [
        "user = \"health\", password = \"${file:pg.pw}\"",
        "user = \"old\", password = \"s3cret\"",
        "user = \"plain\", password = \"s3cret\"",
        "user = \"friend\"",
        "user = \"friend\", password = \"unasked\"",
        "user = \"strange\", password = 'pässwörd ☃, \"=\\'",
    ] {
        let keys = format!(", database = \"postgres\", expect = \"writable\", {keys}");
        let outcome = probe(&server, &keys).await;
        assert_eq!(outcome.code, CheckCode::L7Ok, "{keys}: {outcome}");
        assert_eq!(outcome.detail, "a primary", "{keys}");
    }

    // It leads here, but nothing in it says so: anybody could listen.
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, server.address.port()));
    let outcome = probe_at(&server, anywhere, &AS_HEALTH.replace("health", "plain")).await;
    let said =
        "it wants the password in cleartext, which only goes through TLS: give the check tls";
    assert_is(&outcome, CheckCode::L7Status, said);
    assert!(probe_at(&server, anywhere, AS_HEALTH).await.passed());
}

#[tokio::test]
async fn each_way_to_be_refused_is_told_apart() {
    let mut server = Postgres::prepare("");
    server.admit(&format!(
        "host all barred 127.0.0.1/32 reject\nhost all guest,mute 127.0.0.1/32 trust\nhost all old 127.0.0.1/32 md5\n\
         host all kerberos 127.0.0.1/32 gss\n{SCRAM}"
    ));
    server.resume();
    server.sql(&format!(
        "{HEALTH}; CREATE ROLE mute; CREATE ROLE crowd LOGIN PASSWORD 's3cret' CONNECTION LIMIT 0;
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 's3cret';
         REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;"
    ));
    for (keys, said) in [
        (
            "user = \"health\"",
            "it wants a password: give the check one",
        ),
        (
            "user = \"health\", password = \"other\"",
            "it refused the password (\"28P01 password authentication failed for user \\\"health\\\"\")",
        ),
        (
            "user = \"old\", password = \"other\"",
            "it refused the password (\"28P01 ",
        ),
        (
            "user = \"nobody\", password = \"s3cret\"",
            "it refused the password (\"28P01 ",
        ),
        (
            "user = \"guest\"",
            "it knows no such user (\"28000 role \\\"guest\\\" does not exist\")",
        ),
        (
            "user = \"mute\"",
            "it refused the user (\"28000 role \\\"mute\\\" is not permitted to log in\")",
        ),
        (
            "user = \"barred\"",
            "its pg_hba.conf does not let this user in from here (\"28000 ",
        ),
        (
            "user = \"crowd\", password = \"s3cret\"",
            "it has too many connections (\"53300 too many connections for role \\\"crowd\\\"\")",
        ),
        (
            "user = \"kerberos\", password = \"s3cret\"",
            "it wants a login other than by password, which the check does not have",
        ),
        (
            "user = \"health\", password = \"s3cret\", database = \"nowhere\"",
            "it has no such database (\"3D000 database \\\"nowhere\\\" does not exist\")",
        ),
        (
            "user = \"health\", password = \"s3cret\", database = \"template0\"",
            "this database takes no connections (\"55000 ",
        ),
        (
            "user = \"health\", password = \"s3cret\", database = \"template1\"",
            "its user may not do this (\"42501 permission denied for database",
        ),
    ] {
        let outcome = probe(&server, &format!(", {keys}")).await;
        assert_begins(&outcome, CheckCode::L7Status, said);
    }
    let outcome = probe(&server, ", user = \"health\", password = \"s3cret\"").await;
    let said = "it has no such database (\"3D000 database \\\"health\\\" does not exist\")";
    assert_is(&outcome, CheckCode::L7Status, said);
}

#[tokio::test]
async fn a_probe_leaves_no_complaint_in_the_servers_log() {
    let mut server = postgres("log_connections = on\nlog_disconnections = on");
    for keys in [
        "",
        AS_HEALTH,
        &format!("{AS_HEALTH}, expect = \"writable\""),
    ] {
        assert!(probe(&server, keys).await.passed());
    }
    assert!(
        !probe(&server, &format!("{AS_HEALTH}, expect = \"replica\""))
            .await
            .passed()
    );
    // It ends when all have left, so that all that they have to say is in the log.
    server.stop_smartly();
    server.wait();
    let log = server.log();
    let logins = log
        .matches("user=health database=postgres application_name=firedoor")
        .count();
    assert_eq!(logins, 3, "{log}");
    for line in log.lines() {
        assert!(line.contains(" LOG:  "), "{line}\n{log}");
        for complaint in ["could not", "unexpected", "incomplete", "invalid"] {
            assert!(!line.contains(complaint), "{line}\n{log}");
        }
    }
}
