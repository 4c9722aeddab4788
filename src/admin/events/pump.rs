//! One stream: what is put into it, in which order, and when it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};
use tokio::time::{Instant, interval_at, timeout};

use super::feed::Told;
use super::{Outlet, frame};
use crate::admin::WRITE_TIMEOUT;
use crate::admin::seats::Lasting;
use crate::health::monitor::MonitorHandle;
use crate::journal::Entry;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events on their way into the socket. Whoever is slower finds the others in the journal, and of statuses only the newest.
const QUEUE: usize = 16;

/// Fills a stream. Must be run beside the connection that sends its [`Stream`].
#[derive(Debug)]
pub(in crate::admin) struct Pump {
    out: mpsc::Sender<Bytes>,
    journal: broadcast::Receiver<Told>,
    closing: watch::Receiver<bool>,
    /// What comes first.
    backlog: Vec<Bytes>,
    /// The number of the last entry that was put in, or is in the backlog.
    last: u64,
    status: Option<watch::Receiver<Bytes>>,
    traffic: Option<watch::Receiver<Bytes>>,
    _seat: OwnedSemaphorePermit,
}

/// How a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum End {
    /// The listener ends, or the client has left.
    Over,
    /// The client doesn't read, or is too slow: what it has missed is in the journal.
    Cut,
}

/// The body of a stream.
#[derive(Debug)]
pub(in crate::admin) struct Stream {
    frames: mpsc::Receiver<Bytes>,
    _lasting: Lasting,
}

impl Pump {
    pub(super) fn new(seat: OwnedSemaphorePermit, outlet: &Outlet) -> (Self, Stream) {
        let (out, frames) = mpsc::channel(QUEUE);
        let pump = Self {
            out,
            journal: outlet.feed.journal(),
            closing: outlet.closing.clone(),
            backlog: Vec::new(),
            last: 0,
            status: None,
            traffic: None,
            _seat: seat,
        };
        let stream = Stream {
            frames,
            _lasting: outlet.manners.last(),
        };
        (pump, stream)
    }

    /// Puts the entries after number `after` in front; without a number, only tells where it begins.
    pub(super) async fn resume(&mut self, monitor: &MonitorHandle, after: Option<u64>) {
        let kept = monitor.journal(0, usize::MAX).await;
        let newest = kept.last().map_or(0, |entry| entry.number);
        self.last = newest;
        let Some(after) = after else {
            self.backlog.push(frame::greeting(newest));
            return;
        };
        // A number that isn't there yet is one of a journal that was lost.
        let after = if after > newest { 0 } else { after };
        self.backlog.push(frame::greeting(after));
        let begin = kept.partition_point(|entry| entry.number <= after);
        self.backlog.extend(missing(after, &kept[begin..]));
        self.backlog
            .extend(kept[begin..].iter().map(|entry| frame::entry(entry)));
    }

    /// Puts the newest status in front, and later ones in when they come.
    pub(super) fn add_status(&mut self, mut status: watch::Receiver<Bytes>) {
        let newest = status.borrow_and_update().clone();
        self.backlog.insert(1, newest);
        self.status = Some(status);
    }

    /// The same for the traffic; `newest` is the last second's.
    pub(super) fn add_traffic(&mut self, newest: Bytes, traffic: watch::Receiver<Bytes>) {
        self.backlog.insert(1, newest);
        self.traffic = Some(traffic);
    }

    pub(in crate::admin) async fn run(mut self) -> End {
        let mut closing = self.closing.clone();
        tokio::select! {
            // An error means that the listener has ended.
            _ = closing.wait_for(|closing| *closing) => End::Over,
            end = self.fill() => end,
        }
    }

    async fn fill(&mut self) -> End {
        for frame in std::mem::take(&mut self.backlog) {
            if let Err(end) = self.put(frame).await {
                return end;
            }
        }
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            let frame = tokio::select! {
                biased;
                () = self.out.closed() => return End::Over,
                told = self.journal.recv() => match told {
                    // It is in the backlog.
                    Ok(told) if told.number <= self.last => continue,
                    // The feed itself has missed some.
                    Ok(told) if told.number > self.last + 1 => return End::Cut,
                    Ok(told) => {
                        self.last = told.number;
                        told.frame
                    }
                    Err(RecvError::Lagged(_)) => return End::Cut,
                    Err(RecvError::Closed) => return End::Over,
                },
                frame = newest(&mut self.status) => frame,
                frame = newest(&mut self.traffic) => frame,
                _ = heartbeat.tick() => frame::heartbeat(),
            };
            if let Err(end) = self.put(frame).await {
                return end;
            }
        }
    }

    async fn put(&self, frame: Bytes) -> Result<(), End> {
        match timeout(WRITE_TIMEOUT, self.out.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Over),
            Err(_) => Err(End::Cut),
        }
    }
}

/// What to say where entries after `after` are no longer kept.
fn missing(after: u64, kept: &[Arc<Entry>]) -> Option<Bytes> {
    let next = kept.first()?.number;
    let gap = after > 0 && next > after + 1;
    gap.then(|| frame::event("gap", &json!({"after": after, "next": next})))
}

/// The next value; never ready where there is nothing to wait for.
async fn newest(value: &mut Option<watch::Receiver<Bytes>>) -> Bytes {
    if let Some(value) = value
        && value.changed().await.is_ok()
    {
        return value.borrow_and_update().clone();
    }
    std::future::pending().await
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = self.frames.poll_recv(cx);
        frame.map(|frame| frame.map(|frame| Ok(Frame::data(frame))))
    }
}
