//! One probe of one component: opens a fresh connection (an old one would hide a firewall), asks, and returns an
//! [`Outcome`]. Judges nothing.

mod http;
mod tcp;

use std::io;
use std::net::SocketAddr;

use tokio::time::Instant;

use crate::config::{Check, CheckKind};
use crate::outcome::{CheckCode, Outcome};

/// Probes `address` once, as `check` says, and answers within `check.timeout`. `authority` is the component's address as
/// configured (`"10.1.0.11:8080"`, `"app.example:8080"`): the `Host` of an HTTP probe unless the check names another.
///
/// # Cancel safety
/// Dropping the future closes the connection; nothing else is left behind.
pub async fn probe(address: SocketAddr, authority: &str, check: &Check) -> Outcome {
    let began = Instant::now();
    let deadline = began + check.timeout;
    let finding = match tcp::connect(address, deadline).await {
        Err(finding) => finding.within(check),
        Ok(stream) => match &check.kind {
            CheckKind::Tcp => Finding::new(CheckCode::L4Ok, "connected"),
            CheckKind::Http(http) => http::ask(stream, authority, http, deadline)
                .await
                .within(check),
        },
    };
    Outcome {
        code: finding.code,
        detail: finding.detail,
        took: began.elapsed(),
        status: finding.status,
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

    fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// Adds the time allowed to what a timeout says.
    fn within(mut self, check: &Check) -> Self {
        if matches!(self.code, CheckCode::L4Timeout | CheckCode::L7Timeout) {
            self.detail
                .push_str(&format!(" within {} ms", check.timeout.as_millis()));
        }
        self
    }
}

/// An error of a socket as an operator says it, without the number that only a manual page explains.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::ConnectionAborted => "connection aborted".into(),
        io::ErrorKind::BrokenPipe => "connection closed by the other side".into(),
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::TimedOut => "connection timed out".into(),
        io::ErrorKind::AddrNotAvailable => "no local port left to connect from".into(),
        _ => error.to_string(),
    }
}
