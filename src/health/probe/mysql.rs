//! MySQL and MariaDB: a handshake, and where the check has a user, a login and which role the server is in.
//!
//! The packets are read and written here. `mysql_common`, the library for it, brings 17 crates (UUIDs, regular expressions, an RSA
//! of its own on big numbers) and a second base64, and doesn't compile without a library for compression besides. What a probe
//! needs of the protocol is smaller.

mod bytes;
mod greeting;
mod login;
mod proof;
mod refusal;
mod role;
mod table;
mod talk;
mod waiting;

use tokio::time::Instant;

use super::{Finding, Subject, plain};
use crate::config::{self, Expect, MysqlCheck, Secret};
use crate::introduction::Version;
use crate::outcome::CheckCode;
use greeting::Greeting;
use login::{Account, Login};
use table::Table;
use talk::Talk;
use waiting::Waiter;
pub(super) use waiting::Waiting;

/// How much of a version goes into an outcome, in characters.
const VERSION: usize = 60;

/// Hears the server's greeting, logs in, and compares the role if one is expected.
pub(super) async fn ask(
    subject: Subject<'_>,
    check: &MysqlCheck,
    waiting: &Waiting,
    introduces: Option<Version>,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let (mut greeted, mut waiters) = waiting::look(waiting.take(subject), deadline).await;
    let finding = match greeted.pop() {
        Some(talk) => converse(talk, subject.authority, check).await,
        None => connect(subject, check, &mut waiters, introduces, deadline).await,
    };
    for mut talk in greeted {
        // It was in the same queue, and only has to be left in order.
        if let Ok(greeting) = talk.greeting().await {
            let _ = visit(&mut talk, &greeting).await;
        }
    }
    waiting.leave(subject, waiters);
    finding
}

/// Asks on a fresh connection, unless there are enough of them that wait.
async fn connect(
    subject: Subject<'_>,
    check: &MysqlCheck,
    waiters: &mut Vec<Waiter>,
    introduces: Option<Version>,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let mut waiter = match waiters.pop_if(|newest| newest.is_patient()) {
        Some(newest) => newest,
        None => {
            let patience = waiting::patience(waiters);
            Waiter::connect(subject, patience, introduces, deadline).await?
        }
    };
    if waiter.talk.is_greeted(deadline).await? {
        return converse(waiter.talk, subject.authority, check).await;
    }
    waiters.push(waiter);
    Err(talk::silence(talk::GREETING))
}

/// `authority` is the address as configured.
async fn converse(mut talk: Talk, authority: &str, check: &MysqlCheck) -> Result<Finding, Finding> {
    let login = check.login.as_ref();
    if let Some(password) = login.and_then(|login| login.password.as_ref()) {
        talk.conceal(password);
    }
    let greeting = talk.greeting().await?;
    let objection = match &check.tls {
        None => None,
        Some(_) if !greeting.has(greeting::TLS) => {
            Some(Finding::new(CheckCode::L6Response, "the server has no TLS"))
        }
        Some(client) => talk.secure(authority, client).await?,
    };
    match (objection, login) {
        // The secret isn't for this server, but it must be left in order all the same.
        (Some(objection), _) => {
            visit(&mut talk, &greeting).await?;
            Err(objection)
        }
        (None, None) => visit(&mut talk, &greeting).await,
        (None, Some(login)) => {
            log_in(&mut talk, &greeting, login).await?;
            let finding = judge(&mut talk, &greeting, login).await;
            talk.quit().await;
            finding
        }
    }
}

/// Without an account: asks to be let in, and expects a refusal. To leave after the greeting would be quicker, and in the end block
/// this host ([`login`]).
async fn visit(talk: &mut Talk, greeting: &Greeting) -> Result<Finding, Finding> {
    let mut login = Login::new(None, greeting, talk.is_secure());
    match talk.log_in(&mut login, greeting).await? {
        Ok(()) => talk.quit().await,
        Err(refusal) if refusal.is_for_strangers() => {}
        Err(refusal) => return Err(talk.refused(&refusal)),
    }
    let version = plain(&greeting.version, VERSION);
    Ok(Finding::new(CheckCode::L7Ok, format!("{version} greets")))
}

async fn log_in(
    talk: &mut Talk,
    greeting: &Greeting,
    check: &config::Login,
) -> Result<(), Finding> {
    let account = Account {
        user: &check.user,
        password: check.password.as_ref().map_or("", Secret::expose),
    };
    let mut login = Login::new(Some(account), greeting, talk.is_secure());
    let Err(refusal) = talk.log_in(&mut login, greeting).await? else {
        return Ok(());
    };
    let mut finding = talk.refused(&refusal);
    if let Some(reason) = login.declined() {
        finding.detail = reason;
    } else if refusal.is_access_denied() && greeting.has(greeting::TLS) && !talk.is_secure() {
        // MariaDB says no more than this to users who have to come over TLS.
        finding.detail.push_str(", without TLS");
    }
    Err(finding)
}

async fn judge(
    talk: &mut Talk,
    greeting: &Greeting,
    check: &config::Login,
) -> Result<Finding, Finding> {
    let (question, older) = match check.expect {
        Expect::Reachable => {
            let version = plain(&greeting.version, VERSION);
            let detail = format!("{version}, logged in");
            return Ok(Finding::new(CheckCode::L7Ok, detail));
        }
        Expect::Writable => (role::READ_ONLY, None),
        Expect::Replica if greeting.is_mariadb() => role::STATUS_OF_MARIADB,
        Expect::Replica => role::STATUS_OF_MYSQL,
    };
    let answer = match (Table::ask(talk, question).await?, older) {
        (Err(refusal), Some(older)) if refusal.is_of_grammar() => Table::ask(talk, older).await?,
        (answer, _) => answer,
    };
    let table = answer.map_err(|refusal| talk.refused(&refusal))?;
    let finding = match check.expect {
        Expect::Replica => role::judge_replica(&table, check.max_lag),
        _ => role::judge_writable(&table),
    };
    finding.ok_or_else(|| talk.odd("it lacks what was asked"))
}
