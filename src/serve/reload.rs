//! Putting a changed configuration file in force: as a whole, or not at all.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::access_log;
use super::acme;
use super::listeners::Listeners;
use crate::config::error::{ConfigError, Problem};
use crate::config::{Admin, Config, LoadError, Server, load};
use crate::health::checker::Refusal;
use crate::health::monitor::MonitorHandle;
use crate::health::report::{Condition, Giver, Order, OrderEnd, Report, Way};
use crate::telemetry::access_log::AccessLog;
use crate::worker::crew::Foreman;

/// To read the file, and those that it names.
const READING: Duration = Duration::from_secs(10);

/// Asks for a reload, and knows how the last one went. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    standing: Arc<ArcSwap<Standing>>,
}

/// Somebody asks for a reload.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) by: Giver,
    pub(crate) reason: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) reply: oneshot::Sender<Result<Reloaded, ReloadError>>,
}

/// What is known of the configuration that is in force.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The file; `None`: there is none (demo).
    pub path: Option<PathBuf>,
    /// When it was read.
    pub loaded_at: Timestamp,
    /// The last reload, by whomever: when it ended, and why it failed.
    pub last_reload: Option<(Timestamp, Option<ReloadError>)>,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The configuration's number.
    pub generation: u64,
    /// In words; also settings that only a restart will apply.
    pub changes: Vec<String>,
}

/// Why the old configuration is still in force.
#[derive(Clone, Debug)]
pub enum ReloadError {
    /// The file has problems, can't be read, or names addresses that can't be bound or an access log that can't be opened.
    Invalid(Box<ConfigError>),
    /// There is no file (demo).
    NoFile,
    /// The process is ending.
    Stopping,
    /// It was ordered in another state of affairs; what has changed since.
    Overtaken(Vec<String>),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::NoFile => f.write_str("there is no configuration file to read again"),
            Self::Stopping => Refusal::Stopping.fmt(f),
            Self::Overtaken(changes) => Refusal::Overtaken(changes.clone()).fmt(f),
        }
    }
}

impl std::error::Error for ReloadError {}

impl ReloadHandle {
    /// A handle, and where its requests come out. The configuration has just been read from `path`.
    pub(crate) fn new(path: Option<PathBuf>) -> (Self, mpsc::Receiver<Request>) {
        let (requests, received) = mpsc::channel(1);
        let standing = Standing {
            path,
            loaded_at: Timestamp::now(),
            last_reload: None,
        };
        let handle = Self {
            requests,
            standing: Arc::new(ArcSwap::from_pointee(standing)),
        };
        (handle, received)
    }

    /// What is known of the configuration that is in force.
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// A reload has ended so.
    pub(crate) fn ended(&self, result: &Result<Reloaded, ReloadError>) {
        let now = Timestamp::now();
        let mut standing = Standing::clone(&self.standing.load());
        if result.is_ok() {
            standing.loaded_at = now;
        }
        standing.last_reload = Some((now, result.as_ref().err().cloned()));
        self.standing.store(Arc::new(standing));
    }

    /// Reads the file again and puts it in force as a whole, or not at all, as ordered by `by` and if `condition` holds.
    pub async fn reload(
        &self,
        by: Giver,
        reason: Option<String>,
        condition: Option<Condition>,
    ) -> Result<Reloaded, ReloadError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            by,
            reason,
            condition,
            reply,
        };
        if self.requests.send(request).await.is_err() {
            return Err(ReloadError::Stopping);
        }
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

/// Owns what a reload changes.
pub(super) struct Reloader {
    pub(super) file: Option<PathBuf>,
    pub(super) config: Arc<Config>,
    /// What the process was started with: only a restart applies another.
    pub(super) started: (Server, Admin),
    pub(super) listeners: Listeners,
    pub(super) foremen: Arc<Vec<Foreman>>,
    pub(super) monitor: MonitorHandle,
    pub(super) access_log: AccessLog,
    pub(super) handle: ReloadHandle,
}

impl Reloader {
    /// Does what somebody asks for.
    pub(super) async fn answer(&mut self, request: Request) {
        let checked = request.condition.map_or(Ok(()), |condition| {
            let checked = condition.check(&self.monitor.stamp());
            checked.map_err(ReloadError::Overtaken)
        });
        let result = match checked {
            Ok(()) => self.reload().await,
            Err(overtaken) => Err(overtaken),
        };
        self.note(request.by, request.reason, &result).await;
        // An error means that the asker has left.
        let _ = request.reply.send(result);
    }

    /// Reloads because of a signal.
    pub(super) async fn obey(&mut self, signal: &'static str) {
        let by = Giver {
            name: None,
            way: Way::Signal(signal),
            token: false,
        };
        let result = self.reload().await;
        self.note(by, None, &result).await;
    }

    async fn note(
        &self,
        by: Giver,
        reason: Option<String>,
        result: &Result<Reloaded, ReloadError>,
    ) {
        let end = match result {
            Ok(_) => OrderEnd::Done,
            Err(error) => OrderEnd::Refused(error.to_string()),
        };
        let what = "reload the configuration".to_owned();
        let order = Order {
            by,
            what,
            reason,
            end,
            left_out: 0,
        };
        self.monitor.note(order).await;
    }

    /// Reloads, and says what came of it.
    async fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        let result = self.replace().await;
        self.handle.ended(&result);
        self.monitor.ledger().reloaded(result.is_ok());
        match &result {
            Ok(done) if done.changes.is_empty() => {
                info!(
                    generation = done.generation,
                    "reloaded: nothing has changed"
                );
            }
            Ok(done) => {
                info!(
                    generation = done.generation,
                    "reloaded: {}",
                    done.changes.join("; ")
                );
            }
            Err(reason) => error!("not reloaded, the old configuration stays in force: {reason}"),
        }
        result
    }

    async fn replace(&mut self) -> Result<Reloaded, ReloadError> {
        let file = self.file.clone().ok_or(ReloadError::NoFile)?;
        let invalid = |problems| {
            ReloadError::Invalid(Box::new(ConfigError {
                file: file.clone(),
                text: String::new(),
                problems,
            }))
        };
        let unreadable = |reason: String| {
            invalid(vec![Problem {
                key: String::new(),
                message: format!("it can't be read: {reason}"),
                hint: None,
                span: None,
            }])
        };
        let path = file.clone();
        let read = move || load(&path).inspect(acme::equip);
        let read = tokio::task::spawn_blocking(read);
        let config = match tokio::time::timeout(READING, read).await {
            Ok(Ok(Ok(config))) => Arc::new(config),
            Ok(Ok(Err(LoadError::Unreadable(_, reason)))) => return Err(unreadable(reason)),
            Ok(Ok(Err(LoadError::Invalid(error)))) => {
                return Err(ReloadError::Invalid(Box::new(error)));
            }
            Ok(Err(error)) => return Err(unreadable(error.to_string())),
            Err(_) => {
                return Err(unreadable(format!(
                    "{READING:?} were not enough for it and the files that it names; \
                     one may be a pipe, or on a disk that hangs"
                )));
            }
        };
        // All that can fail comes before anything changes.
        let bound = self.listeners.bind_new(&config).map_err(invalid)?;
        // The last of it: it makes the file, and a refused reload leaves nothing behind.
        let log = access_log::open_new(&self.config, &config, READING).await;
        let log = log.map_err(|problem| invalid(vec![problem]))?;

        let mut changes = self.differences(&config);
        self.keep_sessions(&config);
        let before = self.monitor.report();
        let generation = self.monitor.reconfigure(Arc::clone(&config)).await;
        changes.extend(self.moved(&before));
        for bind in self.listeners.open(bound, &self.foremen) {
            changes.push(format!("listening on {bind}"));
        }
        for bind in self.listeners.close_gone(&config, &self.foremen) {
            changes.push(format!("no longer listening on {bind}"));
        }
        if let Some(log) = log {
            self.access_log.retarget(log);
        }
        if config != self.config {
            for warning in config.warnings() {
                warn!("{}: {warning}", file.display());
            }
        }
        self.config = config;
        Ok(Reloaded {
            generation,
            changes,
        })
    }

    /// Lets listeners that stay go on understanding the TLS session tickets that they have given out, and showing the certificates
    /// that they have obtained.
    fn keep_sessions(&self, new: &Config) {
        for listener in &new.listeners {
            let mut olds = self.config.listeners.iter();
            let old = olds.find(|old| old.bind == listener.bind);
            if let (Some(tls), Some(old)) = (&listener.tls, old.and_then(|old| old.tls.as_ref())) {
                tls.succeed(old);
            }
        }
    }

    /// Whoever takes the active zone out of the file should hear where the traffic is now.
    fn moved(&self, before: &Report) -> Option<String> {
        let after = self.monitor.report();
        let gone = &before.zones[before.active].name;
        if after.zones.iter().any(|zone| zone.name == *gone) {
            return None;
        }
        let pinned = before.pinned.as_ref().map_or("", |_| " and pinned");
        Some(format!(
            "{gone} was active{pinned}, and is no longer configured: {} is active now, epoch {}",
            after.zones[after.active].name, after.epoch
        ))
    }

    /// What differs, table by table. Components' own changes are in the journal, by name.
    fn differences(&self, new: &Config) -> Vec<String> {
        let old = &*self.config;
        let mut changes = Vec::new();
        let tables = [
            ("[limits]", old.limits == new.limits),
            ("[upstream]", old.upstream == new.upstream),
            ("[failover]", old.failover == new.failover),
            ("[[pool]]", old.pools == new.pools),
            ("[[route]]", old.routes == new.routes),
            ("[[zone]]", old.zones == new.zones),
            ("[[listener]]", old.listeners == new.listeners),
            ("[access_log]", old.access_log == new.access_log),
            ("[[notify]]", old.notify == new.notify),
            ("[tracing]", old.traces == new.traces),
            (
                "drain_timeout",
                old.server.drain_timeout == new.server.drain_timeout,
            ),
        ];
        for (name, same) in tables {
            if !same {
                changes.push(format!("{name} changed"));
            }
        }
        changes.extend(new.other_preference(old));
        // Not with the last file: what waits for a restart waits until it comes, or until the file is as it was.
        let (server, admin) = &self.started;
        let fixed = [
            ("server.workers", server.workers == new.server.workers),
            ("server.state_dir", server.state_dir == new.server.state_dir),
            ("[admin]", *admin == new.admin),
        ];
        for (name, same) in fixed {
            if !same {
                changes.push(format!("{name} changed: only a restart applies it"));
            }
        }
        changes
    }
}
