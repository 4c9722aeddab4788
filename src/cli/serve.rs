//! `firedoor serve`: finds the configuration, then hands over to [`crate::serve`].

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tracing::warn;

use super::terminal::coloured;
use super::{Failure, INVALID, LogArgs};
use crate::config::{LoadError, load};

/// Where a configuration is looked for, in this order, if none is named.
const PLACES: [&str; 2] = ["firedoor.toml", "/etc/firedoor/firedoor.toml"];

/// `firedoor serve`
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The configuration; by default ./firedoor.toml, then /etc/firedoor/firedoor.toml
    #[arg(long, short, value_name = "FILE", env = "FIREDOOR_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let file = self.config.or_else(find).ok_or_else(|| {
            Failure::new(format!(
                "no configuration: neither {} exists; name one with --config FILE",
                PLACES.join(" nor ")
            ))
            .with_code(INVALID)
        })?;
        let config = load(&file).map_err(|error| complaint(&error))?;
        let _log = self.log.start();
        for warning in config.warnings() {
            warn!("{}: {warning}", file.display());
        }
        Ok(crate::serve::run(config, Some(file), None))
    }
}

/// What to print about a configuration that can't be used; already marked as an error where it has its own marks.
pub(super) fn rendered(error: &LoadError, colour: bool) -> String {
    match error {
        LoadError::Unreadable(..) => format!("error: {error}"),
        LoadError::Invalid(error) => error.render(colour),
    }
}

/// The failure of a command whose configuration can't be used; what is wrong with it is printed.
pub(super) fn complaint(error: &LoadError) -> Failure {
    eprintln!("{}", rendered(error, coloured(&std::io::stderr())));
    Failure::new("").with_code(INVALID)
}

fn find() -> Option<PathBuf> {
    PLACES
        .iter()
        .map(Path::new)
        .find(|place| place.exists())
        .map(Path::to_owned)
}
