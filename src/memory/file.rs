//! `state.json`: written beside, made durable, then renamed over the old one, so that a crash at any point leaves either
//! the old or the new, never half of one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Memory;

const NAME: &str = "state.json";
const LOCK: &str = "lock";
const NOT_UNDERSTOOD: &str = "state.json.broken";

/// The place of a process's memory.
#[derive(Clone, Debug)]
pub struct StateFile {
    directory: PathBuf,
}

impl StateFile {
    /// In the state directory, which is made (0700) when it is first needed.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// What an earlier process stored; `None` if none did. A file that can't be understood is moved aside, so that the next
    /// [`Self::store`] destroys no evidence, and answered with [`io::ErrorKind::InvalidData`].
    pub fn load(&self) -> io::Result<Option<Memory>> {
        let path = self.directory.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice::<Value>(&text)
            .map_err(|error| error.to_string())
            .and_then(|json| Memory::from_json(&json))
            .map(Some)
            .map_err(|problem| {
                let aside = self.directory.join(NOT_UNDERSTOOD);
                let moved = match fs::rename(&path, &aside) {
                    Ok(()) => format!("moved to {}", aside.display()),
                    Err(error) => format!("and it can't be moved aside: {error}"),
                };
                io::Error::new(io::ErrorKind::InvalidData, format!("{problem}; {moved}"))
            })
    }

    /// Replaces the file; on `Ok` the new one survives a power cut.
    pub fn store(&self, memory: &Memory) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&memory.to_json())?;
        text.push(b'\n');
        replace(&self.directory, NAME, &text)
    }
}

/// Puts a file (0600) into `directory`, in the place of an older one of that name; on `Ok` it survives a power cut.
pub(crate) fn replace(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    make_directory(directory)?;
    let beside = directory.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, directory.join(name))?;
    // Without this the rename itself may be lost, and with it the epoch that has been announced.
    File::open(directory)?.sync_all()
}

/// Claims the state directory for as long as the answer is kept: two processes in one would each undo the other's flips.
///
/// The file stays when its process ends, and the claim doesn't: the kernel gives it up, after a SIGKILL too. A successor of a
/// running process can be handed the open file.
pub fn claim(directory: &Path) -> Result<File, Unclaimed> {
    make_directory(directory)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => {
            // On a full disk the message of a second process says less; the claim holds all the same.
            let _unwritten = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // For a message only: whoever has just claimed it may not have written it yet.
            let _unread = file.take(32).read_to_string(&mut owner);
            Err(Unclaimed::Taken(owner.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Why a state directory is not ours.
#[derive(Debug)]
pub enum Unclaimed {
    /// Another process has it; its id, where that is known.
    Taken(Option<u32>),
    /// It can't be used.
    Unusable(io::Error),
}

impl From<io::Error> for Unclaimed {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error)
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::full;
    use super::*;

    #[test]
    fn what_is_stored_is_loaded_and_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("made/when/needed");
        let file = StateFile::new(&inner);
        assert_eq!(file.load().unwrap(), None);
        file.store(&full()).unwrap();
        assert_eq!(file.load().unwrap(), Some(full()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner.join(NAME)), 0o600);
        assert_eq!(mode(&inner), 0o700);
    }

    #[test]
    fn a_crash_between_write_and_rename_leaves_the_old_memory() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path());
        file.store(&full()).unwrap();
        // The crash: half of the new file is there, the rename has not happened.
        fs::write(directory.path().join("state.json.new"), br#"{"epoch": 8, "#).unwrap();
        assert_eq!(file.load().unwrap(), Some(full()));
        // And the left-over doesn't disturb the next one.
        let next = Memory {
            epoch: 9,
            ..Memory::default()
        };
        file.store(&next).unwrap();
        assert_eq!(file.load().unwrap(), Some(next));
    }

    #[test]
    fn a_corrupt_file_is_moved_aside_and_reported() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(NAME), "{ torn").unwrap();
        let file = StateFile::new(directory.path());
        let error = file.load().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            fs::read_to_string(directory.path().join(NOT_UNDERSTOOD)).unwrap(),
            "{ torn"
        );
        assert_eq!(file.load().unwrap(), None);
    }

    #[test]
    fn a_state_directory_is_claimed_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = claim(directory.path()).unwrap();
        let ours = std::process::id();
        assert!(matches!(
            claim(directory.path()),
            Err(Unclaimed::Taken(Some(owner))) if owner == ours
        ));
        drop(first);
        assert!(claim(directory.path()).is_ok());
    }
}
