//! Reads a configuration with the real files and variables: the only place in this folder that touches either.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;

use super::Config;
use super::error::ConfigError;
use super::expand::{Environment, NO_TEXT};

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The file can't be read: which, and why.
    Unreadable(PathBuf, String),
    /// It has problems.
    Invalid(ConfigError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, reason) => {
                write!(f, "{}: can't be read: {reason}", file.display())
            }
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// Bytes of a configuration, and of each file that it refers to. All that belong there are far smaller, and `/dev/zero` never ends.
const MAX_FILE: u64 = 16 << 20;

/// Reads and parses `file`. Blocks on the file system: call it before the runtime starts, or on a blocking thread.
pub fn load(file: &Path) -> Result<Config, LoadError> {
    let text = text(file).map_err(|reason| LoadError::Unreadable(file.to_owned(), reason))?;
    Config::parse(&text, file, &Process::default()).map_err(LoadError::Invalid)
}

/// The texts of `files` as they are now, as a configuration would get to see them. Blocks on the file system.
///
/// # Errors
/// Which one can't be read, and why.
pub fn texts<'f>(files: impl Iterator<Item = &'f Path>) -> Result<Vec<String>, String> {
    let environment = Process::default();
    files
        .map(|file| {
            let text = environment.file(file);
            text.map_err(|reason| format!("{}: can't be read: {reason}", file.display()))
        })
        .collect()
}

fn text(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("it is larger than 16MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        format!("line {line} {NO_TEXT}")
    })
}

/// The environment of this process.
#[derive(Default)]
struct Process {
    /// Read once for all that ask, and anew with each configuration.
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let mut text = text(path)?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }

    fn system_roots(&self) -> Arc<RootCertStore> {
        let load = || {
            let mut roots = RootCertStore::empty();
            // What can't be read is passed over: one odd file must not make all the others worthless.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        };
        Arc::clone(self.roots.get_or_init(load))
    }
}
