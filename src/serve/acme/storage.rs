//! What was obtained, in the state directory: `acme/AUTHORITY/account.json`, and a file for each name with its certificate, those
//! that signed it, and its key. One file, so that no crash leaves a certificate with the key of another.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::{Certificate, Config, TlsServer, texts};
use crate::memory::replace;

const ACCOUNT: &str = "account.json";

/// Larger than any chain of certificates.
const LIMIT: u64 = 1 << 20;

/// The files of one authority.
#[derive(Clone, Debug)]
pub(super) struct Storage(PathBuf);

impl Storage {
    /// Below `state_dir`, for the authority with this directory.
    pub(super) fn new(state_dir: &Path, directory: &str) -> Self {
        let url = directory.strip_prefix("https://").unwrap_or(directory);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        let folder = url.chars().map(|c| if plain(c) { c } else { '_' });
        Self(
            state_dir
                .join("acme")
                .join(folder.take(200).collect::<String>()),
        )
    }

    /// The account's file; `None`: there is none. Blocks on the disk, as all here does. All errors name the place and what to do.
    pub(super) fn account(&self) -> Result<Option<String>, String> {
        let path = self.0.join(ACCOUNT);
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
        match read.map_err(|error| (error.kind(), error)) {
            Ok(_) => Ok(Some(text)),
            Err((io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _)) => Ok(None),
            Err((kind, error)) => {
                let remedy = match kind {
                    io::ErrorKind::PermissionDenied => {
                        "; firedoor's user has to be allowed to read it"
                    }
                    _ => "",
                };
                Err(format!("{}: {error}{remedy}", shown(&path).display()))
            }
        }
    }

    pub(super) fn keep_account(&self, text: &str) -> Result<(), String> {
        self.replace(ACCOUNT, text)
    }

    /// Moves an account that is of no use aside: its key may still be wanted.
    pub(super) fn set_account_aside(&self) -> Result<(), String> {
        let path = self.0.join(ACCOUNT);
        fs::rename(&path, path.with_extension("json.old"))
            .map_err(|error| format!("{}: {error}", shown(&path).display()))
    }

    /// Keeps what was obtained for `name`.
    pub(super) fn keep(&self, name: &str, chain: &str, key: &str) -> Result<(), String> {
        let text = format!("{}\n{}", chain.trim_end(), key);
        self.replace(&format!("{name}.pem"), &text)
    }

    fn replace(&self, file: &str, text: &str) -> Result<(), String> {
        replace(&self.0, file, text.as_bytes()).map_err(|error| self.unwritable(file, &error))
    }

    /// Why a file can't be written, with the place that is to blame and what to do there.
    fn unwritable(&self, file: &str, error: &io::Error) -> String {
        // Folders are made when they are first needed: what is there stands in the way.
        let there = |path: &&Path| path.symlink_metadata().is_ok();
        let folder = shown(&self.0);
        let place = folder.ancestors().find(there).unwrap_or(&folder).display();
        let path = folder.join(file);
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                format!("{place} is no folder: it has to be moved away")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("{path}: {error}; firedoor's user has to be allowed to write in {place}")
            }
            io::ErrorKind::IsADirectory => {
                format!("{path}, or the same with .new, is a folder: it has to be moved away")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("{path}: {error}; there has to be room in {place}")
            }
            _ => format!("{path}: {error}"),
        }
    }

    /// What was obtained for `name`; `None`: nothing, or nothing that can be used any more, which is said.
    fn found(&self, name: &str) -> Option<Certificate> {
        let path = self.0.join(format!("{name}.pem"));
        if !path.exists() {
            return None;
        }
        let read =
            texts([&*path].into_iter()).and_then(|texts| certificate(&texts[0], &texts[0], name));
        read.map_err(|error| warn!("{}: not used: {error}", path.display()))
            .ok()
    }
}

/// Where operators find it, whatever directory they are in.
fn shown(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A certificate for `name`, from texts with its chain and its key.
pub(super) fn certificate(chain: &str, key: &str, name: &str) -> Result<Certificate, String> {
    let certificate = Certificate::from_pem(chain, key)?;
    if certificate.names().iter().any(|known| known == name) {
        Ok(certificate)
    } else {
        Err(format!("it is a certificate for {certificate}"))
    }
}

/// Puts what is stored for the listeners of `config` in force, where they have nothing for a name yet. Blocks on the disk.
pub(in crate::serve) fn equip(config: &Config) {
    let servers = config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    for server in servers {
        equip_server(server, &config.server.state_dir);
    }
}

fn equip_server(server: &TlsServer, state_dir: &Path) {
    let Some(acme) = server.acme() else { return };
    let storage = Storage::new(state_dir, &acme.directory);
    for name in &acme.names {
        if server.acquired(name).is_none()
            && let Some(certificate) = storage.found(name)
            && let Err(error) = server.acquire(name, certificate)
        {
            warn!("certificate for {name}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_with_the_place_to_mend() {
        let directory = tempfile::tempdir().unwrap();
        let (place, storage) = (
            directory.path().display(),
            Storage::new(directory.path(), "https://ca.example/dir"),
        );
        let told = |kind: io::ErrorKind| storage.unwritable(ACCOUNT, &kind.into());
        assert_eq!(
            told(io::ErrorKind::PermissionDenied),
            format!(
                "{place}/acme/ca.example_dir/account.json: permission denied; \
                 firedoor's user has to be allowed to write in {place}"
            )
        );
        fs::write(directory.path().join("acme"), "").unwrap();
        let error = storage.keep_account("{}").unwrap_err();
        let blamed = format!("{place}/acme is no folder: it has to be moved away");
        assert_eq!(error, blamed);
        assert_eq!(storage.account(), Ok(None));
        fs::remove_file(directory.path().join("acme")).unwrap();
        fs::create_dir_all(
            directory
                .path()
                .join("acme/ca.example_dir/account.json.new"),
        )
        .unwrap();
        let error = storage.keep_account("{}").unwrap_err();
        assert!(
            error.ends_with("is a folder: it has to be moved away"),
            "{error}"
        );
    }
}
