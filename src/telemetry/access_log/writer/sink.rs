//! Where the lines go in the end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::config::LogTarget;

/// An open target.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(super) target: LogTarget,
    file: Option<File>,
    /// The last line that was written isn't whole.
    torn: bool,
}

impl Sink {
    /// Opens `target`, and makes the file if it isn't there. Blocks on the file system.
    pub(crate) fn open(target: &LogTarget) -> io::Result<Self> {
        let file = match target {
            LogTarget::Off => None,
            // Not as `io::Stdout`, whose buffer would keep what couldn't be written.
            LogTarget::Stdout => Some(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            LogTarget::File(path) => Some(open(path)?),
        };
        Ok(Self {
            target: target.clone(),
            file,
            torn: false,
        })
    }

    /// Writes `batch`, which holds whole lines. `Err`: why it couldn't, and how many of the lines are lost.
    pub(super) fn write(&mut self, batch: &[u8]) -> Result<(), (io::Error, u64)> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        write(file, &mut self.torn, batch).map_err(|(error, written)| {
            let ours = matches!(self.target, LogTarget::File(_));
            if self.torn && ours && mend(file, &batch[..written]) {
                self.torn = false;
            }
            (error, lines(&batch[written..]))
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // Opening a named pipe for writing alone waits for somebody who reads, and with it the start of the whole proxy would.
    let pipe = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    options.read(pipe).open(path)
}

/// `Err`: how many bytes of `batch` were written all the same.
fn write(out: &mut impl Write, torn: &mut bool, batch: &[u8]) -> Result<(), (io::Error, usize)> {
    if *torn {
        // What is there of a line becomes a line of its own, rather than the beginning of a whole one.
        out.write_all(b"\n").map_err(|error| (error, 0))?;
        *torn = false;
    }
    let mut written = 0;
    let mut failed = None;
    while written < batch.len() && failed.is_none() {
        match out.write(&batch[written..]) {
            Ok(0) => failed = Some(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => failed = Some(error),
        }
    }
    let result = failed.map_or_else(|| out.flush(), Err);
    result.map_err(|error| {
        *torn = written > 0 && batch[written - 1] != b'\n';
        (error, written)
    })
}

/// Takes the line that `written` ends in the middle of off the end of a file again. Not possible with pipes and devices.
fn mend(file: &File, written: &[u8]) -> bool {
    let begun = written.rsplit(|&byte| byte == b'\n').next();
    let begun = begun.map_or(0, <[u8]>::len) as u64;
    let found = file.metadata();
    let Some(whole) = found.ok().filter(Metadata::is_file) else {
        return false;
    };
    let rest = whole.len().checked_sub(begun);
    rest.is_some_and(|rest| file.set_len(rest).is_ok())
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then nothing.
    struct Small(Vec<u8>, usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_torn_never_swallows_the_next_one() {
        let mut out = Small(Vec::new(), 8);
        let mut torn = false;
        let (_, written) = write(&mut out, &mut torn, b"one\ntwo three\nfour\n").unwrap_err();
        assert_eq!((written, torn), (8, true));
        write(&mut out, &mut torn, b"five\n").unwrap_err();
        assert!(torn, "still");
        out.1 = 100;
        write(&mut out, &mut torn, b"six\n").unwrap();
        assert_eq!(out.0, b"one\ntwo \nsix\n");
    }

    #[test]
    fn a_file_keeps_only_whole_lines() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\ntwo ").unwrap();
        assert!(mend(&file, b"one\ntwo "));
        assert_eq!(file.metadata().unwrap().len(), 4);
    }
}
