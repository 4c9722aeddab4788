//! The task of a connection: moves its bytes, and finds out when nobody is at the other end any more.
//!
//! Pings are for a connection that owes something and is silent: its backend may be frozen, or a firewall may have forgotten it. They become
//! rarer the longer a silence lasts, since gRPC servers take many of them within one silence for an attack (`too_many_pings`): two that are
//! less than five minutes apart are forgiven (gRPC proposal A8, `GRPC_ARG_HTTP2_MAX_PING_STRIKES`). The first of a silence may come early,
//! when the worker finds that it lasts longer than is usual there; then it comes in the place of the one after an interval.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::super::backend_stream::BackendStream;
use super::Life;
use crate::proxy::socket::frame_heads::{FrameHeads, Mark};
use crate::worker::new_turn;

/// How long a connection that nobody uses any more has for its farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// Of how many intervals of silence each one is followed by a ping, before they come every sixtieth.
const EARLY: [u32; 4] = [1, 4, 16, 64];

/// Drives `connection` until it has ended, or nobody is left who could use it, or the other side is gone. `ping_interval` zero: it is
/// never asked.
pub(super) async fn drive(
    mut connection: Connection<Overheard, Bytes>,
    life: Rc<Life>,
    mut left: oneshot::Receiver<()>,
    ping_interval: Duration,
) {
    let _over = Over(Rc::clone(&life));
    let pings = connection.ping_pong();
    let dead = async {
        match pings {
            Some(pings) if !ping_interval.is_zero() => watch(pings, &life, ping_interval).await,
            _ => std::future::pending().await,
        }
    };
    let mut driving = poll_fn(|cx| {
        let driven = Pin::new(&mut connection).poll(cx);
        life.intakes.gather();
        driven
    });
    tokio::select! {
        ended = &mut driving => {
            if let Err(error) = ended
                && error.is_library()
                && !life.ended_by_us.get()
            {
                life.nonsense.set(error.reason().filter(|r| *r != Reason::ENHANCE_YOUR_CALM));
            }
        }
        _ = &mut left => {
            // h2 says goodbye by itself once it is looked at and nobody is left.
            let _in_time = timeout(FAREWELL, driving).await;
        }
        () = dead => {}
    }
    // Dropping the connection fails all of its streams.
}

/// Returns when a ping has remained without any echo for an interval.
async fn watch(mut pings: PingPong, life: &Life, interval: Duration) {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut silent, mut asked, mut early) = (0, false, false);
    loop {
        let wanted = tokio::select! {
            _ = ticks.tick() => false,
            () = life.ping_wanted.notified() => true,
        };
        if wanted {
            if life.answered.take() {
                (silent, early) = (0, false);
            }
            if silent == 0 && !asked && !early {
                early = true;
                life.heard.set(false);
                asked = ping(&mut pings).await;
                // It has a whole interval for its echo.
                ticks.reset();
            }
            continue;
        }
        let heard = life.heard.take();
        if asked && !heard {
            return;
        }
        asked = false;
        if life.answered.take() || life.streams.get() == 0 {
            (silent, early) = (0, false);
            continue;
        }
        silent += 1;
        let due = EARLY.contains(&silent) || (silent > 64 && silent % 60 == 0);
        if due && !heard {
            asked = ping(&mut pings).await;
        }
    }
}

/// Whether one could be sent.
async fn ping(pings: &mut PingPong) -> bool {
    // The last pong has to be taken before another ping can be sent.
    let _taken = poll_fn(|cx| Poll::Ready(pings.poll_pong(cx).map(drop))).await;
    pings.send_ping(Ping::opaque()).is_ok()
}

/// Says that the connection is over, whatever ends the task.
struct Over(Rc<Life>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.set(true);
        self.0.wake_waiting();
    }
}

/// A backend's socket, which notes that something has come.
///
/// h2 forgets with the end of a connection that a response had ended before, if its request hadn't. But whoever answers uploads unread and
/// closes has its kernel send a reset right behind the answer. So those who wait for what has come have their turn before h2 hears of the
/// end, and a write that fails is nothing to h2: the end is told by reading, after all else.
pub(super) struct Overheard {
    stream: BackendStream,
    life: Rc<Life>,
    frames: FrameHeads,
    /// The end that has come, and that h2 hears of next.
    end: Option<io::Result<()>>,
}

impl Overheard {
    pub(super) fn new(stream: BackendStream, life: Rc<Life>) -> Self {
        Self {
            stream,
            life,
            frames: FrameHeads::default(),
            end: None,
        }
    }
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = self.end.take() {
            return Poll::Ready(end);
        }
        if self.life.intakes.pause() {
            return give_way(cx);
        }
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) else {
            return Poll::Pending;
        };
        let new = &buf.filled()[before..];
        if new.is_empty() && buf.remaining() > 0 {
            self.end = Some(read);
            return give_way(cx);
        }
        new_turn();
        self.life.hear();
        let mut small = 0;
        self.frames.pass(new, |mark| {
            small += usize::from(matches!(mark, Mark::Begin(head) if head.is_small_data()));
        });
        self.life.intakes.count(small);
        Poll::Ready(Ok(()))
    }
}

/// Those who want what has come have their turn before the task goes on.
fn give_way(cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let _then = pin!(tokio::task::yield_now()).poll(cx);
    Poll::Pending
}

impl AsyncWrite for Overheard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        written.map(|written| Ok(written.unwrap_or(buf.len())))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write_together(cx, bufs);
        let all = || bufs.iter().map(|buf| buf.len()).sum();
        written.map(|written| Ok(written.unwrap_or_else(|_| all())))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        flushed.map(|_ended| Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
