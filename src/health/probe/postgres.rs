//! PostgreSQL, 10 and newer: a start-up handshake, and where the check has a user, a login and who the server is.
//!
//! Messages and SCRAM are `postgres-protocol`'s. What is here is their order, their bounds, and how much each of them may be
//! believed. Source: PostgreSQL's manual, "Frontend/Backend Protocol".

mod lag;
mod login;
mod talk;
mod words;

use postgres_protocol::message::backend::Message;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::stream::Stream;
use super::{Finding, Subject};
use crate::config::{Expect, Login, PostgresCheck};
use crate::outcome::CheckCode;
use talk::{Row, Talk};

/// Whose name a check without a user gives. PostgreSQL wants one before it says anything, and who reads its log should know us.
const STRANGER: &str = "firedoor";

/// What a connection shows of the server without any right there. `transaction_read_only` says what holds for new transactions,
/// wherever it was set.
const ROLE: &str =
    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/// From where a session has `default_transaction_read_only`.
const READ_ONLY_BY: &str =
    "SELECT source FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'";

/// Knocks, logs in if there is a user, and compares the role with the expected one.
pub(super) async fn ask(
    stream: TcpStream,
    subject: Subject<'_>,
    check: &PostgresCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let stream: Stream = match &check.tls {
        None => Box::new(stream),
        Some(client) => Box::new(talk::secure(stream, subject.authority, client, deadline).await?),
    };
    let login = check.login.as_ref();
    let secret = login.and_then(|login| login.password.as_ref());
    let mut talk = Talk::new(stream, secret, deadline);
    let finding = match login {
        None => knock(&mut talk).await,
        Some(login) => {
            // What is sent to this machine itself passes nobody who could listen.
            let sealed = check.tls.is_some() || subject.address.ip().is_loopback();
            visit(&mut talk, login, sealed).await
        }
    };
    talk.end().await;
    finding
}

/// Begins a login and leaves it at that. Who asks for a password has room for one more connection and is not starting up;
/// that is all one can know.
async fn knock(talk: &mut Talk<'_>) -> Result<Finding, Finding> {
    talk.start(STRANGER, None).await;
    talk.let_strangers_be_refused();
    match talk.next().await? {
        // To leave at once would be noted there as a connection that broke off; and it may have no place left all the same.
        Message::AuthenticationOk => {
            talk.ready().await?;
            Ok(Finding::new(CheckCode::L7Ok, "it lets anybody in"))
        }
        message if login::is_request(&message) => {
            Ok(Finding::new(CheckCode::L7Ok, "it asks for a login"))
        }
        _ => Err(talk.out_of_turn()),
    }
}

/// Logs in, and asks who the server is.
async fn visit(talk: &mut Talk<'_>, login: &Login, sealed: bool) -> Result<Finding, Finding> {
    talk.start(&login.user, login.database.as_deref()).await;
    login::log_in(talk, login, sealed).await?;
    talk.ready().await?;
    let role = talk.ask(ROLE).await?;
    let role: Vec<Option<&str>> = role.iter().map(Option::as_deref).collect();
    let (in_recovery, read_only, is) = match role.as_slice() {
        [Some("t"), Some("on" | "off")] => (true, true, "a replica"),
        [Some("f"), Some("on")] => (false, true, "a primary, but read only"),
        [Some("f"), Some("off")] => (false, false, "a primary"),
        _ => return Err(talk.out_of_turn()),
    };
    match login.expect {
        Expect::Replica if in_recovery => lag::measure(talk, login.max_lag).await,
        Expect::Replica => Err(failed(format!("{is}, expected a replica"))),
        Expect::Writable if in_recovery => Err(failed(format!("{is}, expected a writable one"))),
        Expect::Writable if read_only => {
            // It is read only, whether it says why or not.
            let because = talk.ask(READ_ONLY_BY).await.map_or("", |row| because(&row));
            Err(failed(format!("{is}{because}, expected a writable one")))
        }
        Expect::Reachable | Expect::Writable => Ok(Finding::new(CheckCode::L7Ok, is)),
    }
}

/// A user that was made for checks may be the only one who must not write; then the remedy is another one.
fn because(row: &Row) -> &'static str {
    match row.first().and_then(Option::as_deref) {
        Some("user" | "database user") => " for this user (ALTER ROLE … SET)",
        _ => "",
    }
}

/// A proper answer, but not the expected one.
fn failed(detail: impl Into<String>) -> Finding {
    Finding::new(CheckCode::L7Status, detail)
}
