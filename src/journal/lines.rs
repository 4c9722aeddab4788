//! A file of lines in the state directory: appended to, and begun anew when it is full, with the one before kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::past;

/// Past this many bytes a new file begins; the one before is kept.
pub(crate) const ROTATE_AT: u64 = 64 * 1024 * 1024;

/// See the module's promise. All of its methods wait for the disk.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    rotated: PathBuf,
    file: Option<File>,
    /// Somebody has taken the file away since it was begun or asked for.
    taken_away: bool,
}

/// When an append is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// When it survives a power cut.
    Durable,
    /// When the system has it: it survives the end of this process only.
    Handed,
}

impl Lines {
    /// The file `name` in `directory`, and `rotated` for the one before.
    pub(super) fn new(directory: &Path, name: &str, rotated: &str) -> Self {
        Self {
            path: directory.join(name),
            rotated: directory.join(rotated),
            file: None,
            taken_away: false,
        }
    }

    /// Makes the file if there is none, and cuts off a last line that a crash tore; its length.
    pub(super) fn open(&mut self) -> io::Result<u64> {
        Ok(self.file()?.metadata()?.len())
    }

    /// Appends whole lines. On `Err` the file is as it was before.
    pub(super) fn append(&mut self, lines: &[u8], done: Done) -> io::Result<()> {
        let file = self.file()?;
        let length = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| match done {
            Done::Durable => file.sync_data(),
            Done::Handed => Ok(()),
        });
        if written.is_err() {
            // Half of a line may be in the file (no space left): what comes next must not be glued to it. If this fails
            // too, opening the file again will find the torn line.
            let _ = file.set_len(length);
            self.file = None;
        }
        written
    }

    /// Begins a new file.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        fs::rename(&self.path, &self.rotated)?;
        self.file().map(drop)
    }

    /// Whether somebody else has taken the file away (by `mv`, `rm`, logrotate), so that it began anew; once.
    pub(super) fn was_taken_away(&mut self) -> bool {
        std::mem::take(&mut self.taken_away)
    }

    /// Looks each time whether it is still the file at its path: what is appended to another one is lost, or where nobody seeks it.
    fn file(&mut self) -> io::Result<&mut File> {
        let file = self.file.take();
        let kept = file.filter(|file| {
            let still = is_at(file, &self.path);
            self.taken_away |= !still;
            still
        });
        let file = match kept {
            Some(file) => file,
            None => {
                let directory = self.path.parent().unwrap_or(Path::new("."));
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)?;
                past::cut_torn_line(&self.path)?;
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&self.path)?;
                // Or a power cut leaves a durable file that has no name.
                File::open(directory)?.sync_all()?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |file: fs::Metadata| (file.dev(), file.ino());
    let open = file.metadata().map(identity);
    let there = fs::metadata(path).map(identity);
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}
