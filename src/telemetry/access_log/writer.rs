//! The thread that writes lines, and how others hand them to it.

mod sink;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::config::LogTarget;
use crate::telemetry::counters::Counters;

pub(crate) use sink::Sink;

/// Bytes under way to the writing thread. Past that, lines are dropped.
const MOST: usize = 8 << 20;
/// Between two complaints about lines that were lost.
const PAUSE: Duration = Duration::from_secs(10);
/// For the last lines of a process: a pipe that nobody reads must not keep it alive.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Order {
    Write(Vec<u8>),
    Reopen,
    Retarget(Sink),
    End,
}

/// The writer's end that workers and signals hold. Nothing here ever waits for the disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    orders: Sender<Order>,
    under_way: Arc<AtomicUsize>,
}

/// The writing thread, from outside.
#[derive(Debug)]
pub struct Writer {
    orders: Sender<Order>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl AccessLog {
    /// Opens `target` and starts the writing thread, which [`Writer::end`] ends. Lines that can't be written are counted in `counters`.
    ///
    /// # Errors
    /// The target can't be opened.
    pub fn open(target: &LogTarget, counters: Counters) -> io::Result<(Self, Writer)> {
        let sink = Sink::open(target)?;
        let (orders, inbox) = channel();
        let (running, ended) = channel();
        let log = Self {
            orders: orders.clone(),
            under_way: Arc::default(),
        };
        let under_way = Arc::clone(&log.under_way);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                write_all(sink, &inbox, &under_way, &counters);
                drop(running);
            })?;
        Ok((log, Writer { orders, ended }))
    }

    /// Hands a batch of whole lines over. Gives it back if the writer can't keep up.
    pub(crate) fn write(&self, batch: Vec<u8>) -> Result<(), Vec<u8>> {
        let size = batch.len();
        if self.under_way.fetch_add(size, Ordering::AcqRel) + size > MOST {
            self.under_way.fetch_sub(size, Ordering::AcqRel);
            return Err(batch);
        }
        // An error means that the writer has ended, with the process.
        let _ended = self.orders.send(Order::Write(batch));
        Ok(())
    }

    /// Opens the file anew (SIGUSR1, after it was renamed).
    pub fn reopen(&self) {
        let _ended = self.orders.send(Order::Reopen);
    }

    /// Writes to `sink` from now on.
    pub(crate) fn retarget(&self, sink: Sink) {
        let _ended = self.orders.send(Order::Retarget(sink));
    }
}

impl Writer {
    /// Writes what is still under way and ends the thread. If that takes too long, both are left to the end of the process.
    pub fn end(self) {
        let _ended = self.orders.send(Order::End);
        // Nothing is ever sent here: it ends by closing or by the timeout.
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = self.ended.recv_timeout(PATIENCE) {
            tracing::warn!("nobody takes the last access-log lines: they are lost");
        }
    }
}

fn write_all(
    mut sink: Sink,
    inbox: &Receiver<Order>,
    under_way: &AtomicUsize,
    counters: &Counters,
) {
    let mut complaint = Complaint::default();
    for order in inbox {
        match order {
            Order::Write(batch) => {
                let result = sink.write(&batch);
                under_way.fetch_sub(batch.len(), Ordering::AcqRel);
                if let Err((_, lost)) = &result {
                    counters.writer().log_lines_dropped.add(*lost);
                }
                let dropped = counters.totals().log_lines_dropped;
                complaint.consider(result.map_err(|(error, _)| error), dropped, Instant::now());
            }
            Order::Reopen => reopen(&mut sink),
            Order::Retarget(new) => sink = new,
            Order::End => break,
        }
    }
}

fn reopen(sink: &mut Sink) {
    match Sink::open(&sink.target) {
        Ok(new) => *sink = new,
        Err(error) => {
            let target = &sink.target;
            tracing::error!(%error, ?target, "the access log can't be opened; the old one stays open");
        }
    }
}

/// What is told of lines that were lost: the first at once, then now and then how many.
#[derive(Debug, Default)]
struct Complaint {
    told: u64,
    at: Option<Instant>,
}

impl Complaint {
    /// `dropped`: all lines that were lost so far.
    fn consider(&mut self, result: io::Result<()>, dropped: u64, now: Instant) {
        let quiet = self.at.is_some_and(|at| now.duration_since(at) < PAUSE);
        if dropped == self.told || quiet {
            return;
        }
        let lines = dropped - self.told;
        match result {
            Err(error) => {
                tracing::error!(lines, %error, "the access log can't be written: lines are lost");
            }
            Ok(()) => {
                tracing::error!(
                    lines,
                    "access-log lines were lost: they couldn't be written as fast as they came"
                );
            }
        }
        self.told = dropped;
        self.at = Some(now);
    }
}
