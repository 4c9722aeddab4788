//! One probe of one component: opens a fresh connection (an old one would hide a firewall) or runs a command, asks, and
//! returns an [`Outcome`]. Judges nothing.

mod command;
mod grpc;
mod http;
mod http2;
mod mysql;
mod postgres;
mod redis;
mod stream;
mod tcp;
mod tls;

use std::io;
use std::net::SocketAddr;

use tokio::time::Instant;

use crate::config::{Check, CheckKind};
use crate::outcome::words::{of as words, plain, tls::afterwards};
use crate::outcome::{CheckCode, Outcome};
use crate::zone::ComponentKey;
use command::Turns;
use mysql::Waiting;

/// What is probed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Who it is.
    pub component: &'a ComponentKey,
    /// Where it is.
    pub address: SocketAddr,
    /// The same as configured (`"10.1.0.11:8080"`, `"app.example:8080"`): the `Host` of an HTTP probe unless the check names
    /// another, and whom a certificate must be for.
    pub authority: &'a str,
}

/// Probes components. Cheap to clone; what one clone has begun, the others know of.
#[derive(Clone, Debug, Default)]
pub struct Prober {
    turns: Turns,
    waiting: Waiting,
}

impl Prober {
    /// Probes `subject` once, as `check` says, and answers within `check.timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection, or kills the command and all that it started; nothing else is left behind.
    pub async fn probe(&self, subject: Subject<'_>, check: &Check) -> Outcome {
        let began = Instant::now();
        let deadline = began + check.timeout;
        let finding = self.find(subject, check, deadline).await;
        let finding = finding.unwrap_or_else(|early| early).within(check);
        Outcome {
            code: finding.code,
            detail: finding.detail,
            took: began.elapsed(),
            status: finding.status,
        }
    }

    /// Waits until no command is left, once all probes are dropped: one that was just being started is killed only when it has
    /// started.
    pub async fn rest(&self) {
        self.turns.over().await;
    }

    /// `Err` is a finding too: one that came before the last question was asked.
    async fn find(
        &self,
        subject: Subject<'_>,
        check: &Check,
        deadline: Instant,
    ) -> Result<Finding, Finding> {
        let Subject {
            address, authority, ..
        } = subject;
        let introduces = check.send_proxy;
        match &check.kind {
            CheckKind::Tcp => {
                tcp::connect(address, introduces, deadline).await?;
                Ok(Finding::new(CheckCode::L4Ok, "connected"))
            }
            CheckKind::Tls(check) => {
                let stream = tcp::connect(address, introduces, deadline).await?;
                tls::ask(stream, authority, check, deadline).await
            }
            CheckKind::Http(check) => {
                let (stream, h2) =
                    stream::open_http(address, authority, check, introduces, deadline).await?;
                if h2 {
                    return http2::ask(stream, authority, check, deadline).await;
                }
                Ok(http::ask(stream, authority, check, deadline).await)
            }
            CheckKind::Postgres(check) => {
                let stream = tcp::connect(address, introduces, deadline).await?;
                postgres::ask(stream, subject, check, deadline).await
            }
            CheckKind::Redis(check) => {
                let stream =
                    stream::open(address, authority, check.tls.as_ref(), introduces, deadline)
                        .await?;
                redis::ask(stream, check, deadline).await
            }
            CheckKind::Mysql(check) => {
                mysql::ask(subject, check, &self.waiting, introduces, deadline).await
            }
            CheckKind::Grpc(check) => {
                let stream =
                    stream::open(address, authority, check.tls.as_ref(), introduces, deadline)
                        .await?;
                grpc::ask(stream, authority, check, deadline).await
            }
            CheckKind::Command(command) => {
                command::run(subject, command, &self.turns, deadline).await
            }
        }
    }
}

/// An outcome that doesn't know its duration yet.
#[derive(Debug)]
struct Finding {
    code: CheckCode,
    detail: String,
    status: Option<u16>,
}

impl Finding {
    fn new(code: CheckCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            status: None,
        }
    }

    /// The connection broke in the middle of the protocol.
    fn broken(error: &io::Error) -> Self {
        match afterwards(error) {
            Some(refusal) => Self::new(CheckCode::L6Response, refusal),
            None => Self::new(CheckCode::L7Response, words(error)),
        }
    }

    fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// Adds the time allowed to what a timeout says.
    fn within(mut self, check: &Check) -> Self {
        if matches!(
            self.code,
            CheckCode::L4Timeout | CheckCode::L6Timeout | CheckCode::L7Timeout
        ) {
            self.detail
                .push_str(&format!(" within {} ms", check.timeout.as_millis()));
        }
        self
    }
}
