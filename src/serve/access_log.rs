//! The access log that a new configuration names, opened before anything changes.

use std::io;
use std::time::Duration;

use crate::config::error::Problem;
use crate::config::{Config, LogTarget};
use crate::telemetry::access_log::Sink;

/// Opens what `new` writes to, unless that is what `old` writes to. A disk that hangs has `patience`.
pub(super) async fn open_new(
    old: &Config,
    new: &Config,
    patience: Duration,
) -> Result<Option<Sink>, Problem> {
    let target = new.access_log.target.clone();
    if target == old.access_log.target {
        return Ok(None);
    }
    let wanted = target.clone();
    let opening = tokio::task::spawn_blocking(move || Sink::open(&wanted));
    let opened = match tokio::time::timeout(patience, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{patience:?} were not enough to open it; it may be on a disk that hangs"),
        )),
    };
    let opened = opened.map_err(|error| unopened(&target, &error))?;
    Ok(Some(opened))
}

/// What is wrong with an access log that can't be opened.
pub(super) fn unopened(target: &LogTarget, error: &io::Error) -> Problem {
    let place = match target {
        LogTarget::File(file) => file.display().to_string(),
        LogTarget::Stdout | LogTarget::Off => "standard output".to_owned(),
    };
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "make its directory first, or name another file",
        io::ErrorKind::PermissionDenied => {
            "let the user that firedoor runs as write there, or name another file"
        }
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "name a file that can be written, or \"-\" or \"off\"",
    };
    Problem {
        key: "access_log.path".to_owned(),
        message: format!("access log {place}: {error}"),
        hint: Some(hint.to_owned()),
        span: None,
    }
}
