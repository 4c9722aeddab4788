//! `kind = "postgres"` against PostgreSQL itself, and against those who only pretend.

#[path = "postgres/impostor.rs"]
mod impostor;
#[path = "postgres/login.rs"]
mod login;
#[path = "postgres/replica.rs"]
mod replica;
#[path = "postgres/state.rs"]
mod state;
#[path = "postgres/tls.rs"]
mod tls;

use std::net::SocketAddr;

use firedoor::outcome::{CheckCode, Outcome};

use crate::asking::ask;
use crate::support::Postgres;

/// A user with a password, as a check should have one.
const HEALTH: &str = "CREATE ROLE health LOGIN PASSWORD 's3cret'";
/// Its keys.
const AS_HEALTH: &str = ", user = \"health\", password = \"s3cret\", database = \"postgres\"";
/// Everybody needs a password.
const SCRAM: &str = "host all all 127.0.0.1/32 scram-sha-256";

/// A server where [`HEALTH`] may log in, with these further lines of configuration.
fn postgres(lines: &str) -> Postgres {
    let mut server = Postgres::prepare(lines);
    server.admit(SCRAM);
    server.resume();
    server.sql(HEALTH);
    server
}

async fn probe(server: &Postgres, keys: &str) -> Outcome {
    probe_at(server, server.address, keys).await
}

async fn probe_at(server: &Postgres, address: SocketAddr, keys: &str) -> Outcome {
    let keys = format!("kind = \"postgres\"{keys}");
    ask(server.path(), address, &keys).await
}

#[track_caller]
fn assert_is(outcome: &Outcome, code: CheckCode, detail: &str) {
    assert_eq!((outcome.code, &*outcome.detail), (code, detail));
}

#[track_caller]
fn assert_begins(outcome: &Outcome, code: CheckCode, detail: &str) {
    assert_eq!(outcome.code, code, "{outcome}");
    assert!(outcome.detail.starts_with(detail), "{outcome}");
}
