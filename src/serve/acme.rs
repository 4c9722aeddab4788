//! Certificates by ACME: obtained in the background, stored, renewed when two thirds of their time are over, or when their authority
//! suggests it.
//!
//! Nothing waits for this: listeners serve with what is stored, and until there is anything, clients of a name are refused in the
//! handshake. It runs on the control thread, one order after the other, and touches the data path only by
//! [`crate::config::TlsServer::acquire`] and by what [`Challenges`] answers.

mod account;
mod agenda;
mod agent;
mod book;
mod order;
mod storage;
mod suggestion;
mod trouble;
mod unstored;

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::config::Certificate;
use crate::moment::Moment;
use crate::proxy::client::challenge::Challenges;
use crate::snapshot::Subscriber;

use account::Accounts;
use agenda::{Agenda, Job};
use agent::Agent;
use order::Obtained;
use storage::Storage;
use trouble::Trouble;
use unstored::Unstored;

pub use book::{Entry, OrderBook, Stage};
pub(super) use storage::equip;

/// Between two looks at the configuration and the clock.
const PERIOD: Duration = Duration::from_secs(1);

/// Never ends by itself.
pub(super) async fn keep(snapshot: Subscriber, challenges: Challenges, book: OrderBook) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut agenda, mut accounts) = (Agenda::default(), Accounts::default());
    loop {
        ticks.tick().await;
        // Anew for each order: a reload may have come during the last one.
        loop {
            let config = snapshot.current().config.clone();
            agenda.follow(&config);
            let now = Moment::now();
            let due = agenda.due(now);
            book.write(agenda.entries(now, due.as_ref()));
            let Some(key) = due else { break };
            let state_dir = &config.server.state_dir;
            let Some((account, agent)) = open(&mut accounts, &mut agenda, &key.0, state_dir).await
            else {
                continue;
            };
            let Some(job) = agenda.job(&key) else {
                continue;
            };
            let unknown = attend(job, &account, &agent, state_dir, &challenges).await;
            if unknown {
                let storage = Storage::new(state_dir, &key.0);
                accounts.set_aside(job.acme(), &storage).await;
            }
        }
        let state_dir = snapshot.current().config.server.state_dir.clone();
        ask(&mut agenda, &mut accounts, &state_dir).await;
        store_again(&mut agenda, &state_dir).await;
        accounts.store_again(&state_dir).await;
    }
}

/// The account with an authority. Without one, none of the names that are due there can be ordered.
async fn open(
    accounts: &mut Accounts,
    agenda: &mut Agenda,
    directory: &str,
    state_dir: &Path,
) -> Option<(instant_acme::Account, Agent)> {
    let now = Moment::now();
    let acme = agenda.acme(directory)?.clone();
    let (storage, agent) = (
        Storage::new(state_dir, directory),
        Agent::new(acme.tls.clone()),
    );
    let trouble = match accounts.open(&acme, &storage, &agent).await {
        Ok(account) => return Some((account, agent)),
        Err(trouble) => trouble,
    };
    let dice = fastrand::f64();
    let mut names = Vec::new();
    let mut pause = Duration::ZERO;
    for job in agenda.all_due(directory, now) {
        pause = job.fail(&trouble, agent.told_to_wait(), Moment::now(), dice);
        names.push(format!("{} ({})", job.name(), job.in_force(now.wall)));
    }
    error!(
        "{directory}: {trouble}; trying again in {pause:.0?}. It has to bring certificates for {}",
        names.join(", ")
    );
    None
}

/// Obtains the certificate of one job, or puts it off. Returns whether the authority no longer knows our account.
async fn attend(
    job: &mut Job,
    account: &instant_acme::Account,
    agent: &Agent,
    state_dir: &Path,
    challenges: &Challenges,
) -> bool {
    let name = job.name().to_owned();
    let (acme, storage) = (job.acme(), Storage::new(state_dir, &job.acme().directory));
    info!("certificate for {name}: asking {}", acme.directory);
    let replaces = job.latest().and_then(suggestion::identifier);
    let done = order::obtain(account, &name, replaces, acme.challenge, challenges).await;
    let now = Moment::now();
    let done = done.and_then(|obtained| {
        let certificate = understood(&obtained, &name, now.wall)?;
        Ok((obtained, certificate))
    });
    match done {
        Ok((obtained, certificate)) => {
            info!("certificate for {name}: obtained, in force from now on: {certificate}");
            job.succeed(certificate, now, fastrand::f64());
            store(job, obtained, storage).await;
            false
        }
        Err(trouble) => {
            let in_force = job.in_force(now.wall);
            let pause = job.fail(&trouble, agent.told_to_wait(), now, fastrand::f64());
            error!("certificate for {name}: {trouble}; trying again in {pause:.0?} ({in_force})");
            trouble.is_unknown_account()
        }
    }
}

/// Asks an authority when one of its certificates is to be renewed: one at a time, so that no order waits for more than that.
async fn ask(agenda: &mut Agenda, accounts: &mut Accounts, state_dir: &Path) {
    let now = Moment::now();
    let Some(job) = agenda.curious(now.instant).next() else {
        return;
    };
    job.suggestion.put_off(Duration::ZERO, now, fastrand::f64());
    let Some(latest) = job.latest().cloned() else {
        return;
    };
    let Some(identifier) = suggestion::identifier(&latest) else {
        return;
    };
    let acme = job.acme().clone();
    let agent = Agent::new(acme.tls.clone());
    let storage = Storage::new(state_dir, &acme.directory);
    match accounts.reopen(&acme, &storage, &agent).await {
        None => {}
        Some(Ok(account)) => {
            let answer = account.renewal_info(&identifier).await;
            let dice = [fastrand::f64(), fastrand::f64()];
            let whose = format!("certificate for {}", job.name());
            job.suggestion
                .hear(answer, &whose, latest.validity(), Moment::now(), dice);
        }
        Some(Err(trouble)) => {
            job.suggestion.miss(&trouble, &acme.directory);
            // It isn't there for the others either, and may take its time to say so.
            for job in agenda.curious(now.instant) {
                if job.acme().directory == acme.directory {
                    job.suggestion.put_off(Duration::ZERO, now, fastrand::f64());
                }
            }
        }
    }
}

/// What was obtained, unless nobody could use it.
fn understood(obtained: &Obtained, name: &str, now: Timestamp) -> Result<Certificate, Trouble> {
    let unusable =
        |what: String| Trouble::refused(format!("what the authority sent is of no use: {what}"));
    let certificate =
        storage::certificate(&obtained.chain, &obtained.key, name).map_err(unusable)?;
    if certificate
        .validity()
        .until
        .is_some_and(|until| until < now.as_second())
    {
        let flaw = certificate.validity().flaw(now).unwrap_or_default();
        return Err(unusable(format!("it {flaw}, by the clock of this system")));
    }
    Ok(certificate)
}

/// What can't be stored is in force all the same: a full disk is no reason to show an old certificate, or none.
async fn store(job: &mut Job, obtained: Obtained, storage: Storage) {
    let name = job.name().to_owned();
    let keeping = tokio::task::spawn_blocking(move || {
        let kept = storage.keep(&name, &obtained.chain, &obtained.key);
        (kept, obtained)
    });
    let Ok((kept, obtained)) = keeping.await else {
        return;
    };
    let whose = format!("certificate for {}", job.name());
    let before = job.unstored.take();
    let before = before.as_ref().map(|it| &*it.told);
    job.unstored = Unstored::after(kept, obtained, &whose, before);
}

async fn store_again(agenda: &mut Agenda, state_dir: &Path) {
    for job in agenda.unstored(Instant::now()) {
        if let Some(unstored) = &job.unstored {
            let obtained = unstored.what.clone();
            let storage = Storage::new(state_dir, &job.acme().directory);
            store(job, obtained, storage).await;
        }
    }
}
