//! Hands lines to a thread that writes them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for the writing thread.
const BACKLOG: usize = 4096;
/// For the last lines of a process. A reader that takes nothing must not keep it alive.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    End,
}

/// Takes lines without ever waiting. tracing-subscriber writes each event with one call.
#[derive(Clone)]
pub(super) struct Lines {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Ends the writing thread when dropped, after everything that waits has been written.
#[derive(Debug)]
pub struct Guard {
    sender: SyncSender<Message>,
    ending: Arc<AtomicBool>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// Starts the thread that writes to `target`.
pub(super) fn spawn(target: impl Write + Send + 'static) -> (Lines, Guard) {
    let (sender, receiver) = sync_channel(BACKLOG);
    let dropped = Arc::new(AtomicU64::new(0));
    let ending = Arc::new(AtomicBool::new(false));
    let lines = Lines {
        sender: sender.clone(),
        dropped: Arc::clone(&dropped),
    };
    let (running, ended) = channel();
    let last = Arc::clone(&ending);
    let thread = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write(target, &receiver, &last, &dropped, running));
    if let Err(error) = thread {
        // The proxy itself can still run.
        eprintln!("no log: {error}");
    }
    let guard = Guard {
        sender,
        ending,
        ended,
    };
    (lines, guard)
}

fn write(
    mut target: impl Write,
    lines: &Receiver<Message>,
    ending: &AtomicBool,
    dropped: &AtomicU64,
    _running: Sender<()>,
) {
    let next = || match ending.load(Ordering::SeqCst) {
        false => lines.recv().ok(),
        true => lines.try_recv().ok(),
    };
    while let Some(Message::Line(line)) = next() {
        let lost = dropped.swap(0, Ordering::Relaxed);
        // A log that can't be written can't be complained about either.
        let _unwritten = match lost {
            0 => target.write_all(&line),
            _ => writeln!(target, "{lost} log lines were lost: stderr was too slow")
                .and_then(|()| target.write_all(&line)),
        };
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send(Message::Line(line.to_vec()))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The message wakes a thread that waits for lines. Where there is no room for it, lines wait for the thread, and it
        // comes by the flag.
        self.ending.store(true, Ordering::SeqCst);
        let _sent_or_full = self.sender.try_send(Message::End);
        // Nothing is ever sent here: it ends by closing or by the timeout, and both are fine.
        let _closed_or_late = self.ended.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes nothing until the gate is opened.
    struct Gated {
        gate: Receiver<()>,
        open: bool,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.open {
                self.gate.recv().unwrap();
                self.open = true;
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Gated, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (opener, gate) = channel();
        let written = Arc::default();
        let target = Gated {
            gate,
            open: false,
            written: Arc::clone(&written),
        };
        (target, opener, written)
    }

    #[test]
    fn all_lines_are_written_before_the_guard_is_gone() {
        let (target, opener, written) = gated();
        let (mut lines, guard) = spawn(target);
        for number in 0..100 {
            writeln!(lines, "{number}").unwrap();
        }
        opener.send(()).unwrap();
        drop(guard);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().last(), Some("99"));
    }

    #[test]
    fn a_target_that_takes_nothing_stops_nobody_and_the_loss_is_told() {
        let (target, opener, written) = gated();
        let (mut lines, guard) = spawn(target);
        let many = BACKLOG + 100;
        for _ in 0..many {
            lines.write_all(b"line\n").unwrap();
        }
        assert!(lines.dropped.load(Ordering::Relaxed) > 0);
        opener.send(()).unwrap();
        // The backlog is full to its last place now, and yet it is written.
        drop(guard);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("log lines were lost"), "{text:?}");
        let written = text.lines().filter(|line| *line == "line").count();
        assert!(written >= BACKLOG, "{written}");
    }
}
