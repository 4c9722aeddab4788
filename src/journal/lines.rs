//! A file of lines in the state directory: appended to, and begun anew when it is full, with the one before kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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
        }
    }

    /// Makes the file if there is none, and cuts off a last line that a crash tore; its length.
    pub(super) fn open(&mut self) -> io::Result<u64> {
        Ok(self.file()?.metadata()?.len())
    }

    /// Appends whole lines. On `Err` the file is as it was before.
    pub(super) fn append(&mut self, lines: &[u8], done: Done) -> io::Result<()> {
        let length = self.open()?;
        let file = self.file()?;
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
        self.file()?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let directory = self.path.parent().unwrap_or(Path::new("."));
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)?;
                past::cut_torn_line(&self.path)?;
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&self.path)?
            }
        };
        Ok(self.file.insert(file))
    }
}
