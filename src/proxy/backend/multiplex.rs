//! HTTP/2 towards backends: connections that several requests share, of one worker.
//!
//! The connection itself is driven by a task of its own ([`driver`]), since it belongs to no request alone. Everything else of a request
//! (its body on the way out, the head and the body that come back) is polled by the request's own task, as with HTTP/1.1: its clocks, the
//! client's slowness and its leaving then work the same way. That is why this is built on h2 and not on hyper's client, which would
//! send bodies from tasks of its own.

mod driver;
pub(crate) mod head;
mod inflow;
mod stream;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, SendRequest};
use http::uri::Scheme;
use tokio::sync::{Notify, oneshot};

use super::backend_stream::BackendStream;
use crate::proxy::socket::intake::Intakes;
use driver::Overheard;

pub(crate) use inflow::Inflow;
pub(crate) use stream::{Stream, Unusable};

/// Requests that share one connection, at most; the backend may allow less.
const STREAMS: usize = 128;
/// How much of one response lies here for a client that reads slowly, in bytes, in however small frames it comes: see [`Intakes`].
const STREAM_WINDOW: u32 = 256 * 1024;
/// As much as all of them together: no client that doesn't read can hold up the others of its connection.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// How much of a request body waits here to be written, in bytes.
const SEND_BUFFER: usize = 128 * 1024;

/// A connection, for as long as it takes new requests or somebody still uses it.
pub(crate) struct Channel {
    sender: RefCell<SendRequest<Bytes>>,
    life: Rc<Life>,
    scheme: Scheme,
    /// It has carried a request before: that it breaks now says little about the backend.
    used: Cell<bool>,
    /// Later ones have higher numbers; 0: nobody else knows of it yet.
    number: Cell<u64>,
    /// The number of the newest when this one failed a request first.
    newest_at_failure: Cell<Option<u64>>,
    /// Worker time in milliseconds; 0: it is not idle, as far as is known.
    idle_since: Cell<u64>,
    /// Since when, in worker milliseconds, a request has been unheard; 0: none is.
    unheard_since: Cell<u64>,
    /// Whether it may be asked for a sign of life.
    may_ping: bool,
    /// Dropped with us, which is how the driver learns that nobody is left.
    _alive: oneshot::Sender<()>,
}

/// What a connection's driver, its socket and its streams know of each other.
#[derive(Default)]
struct Life {
    /// Streams of requests that are under way; these, and those of requests that wait for room; their wakers.
    streams: Cell<usize>,
    lent: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
    /// Whether anything has come over the socket, or to one of the requests, since the driver last looked.
    heard: Cell<bool>,
    answered: Cell<bool>,
    /// A request was sent after all that has come; something has come since the worker last looked.
    unheard: Cell<bool>,
    stirred: Cell<bool>,
    /// Nothing has come for so long that nobody else should rely on it.
    doubtful: Cell<bool>,
    /// The worker wants to know whether anybody is there.
    ping_wanted: Notify,
    over: Cell<bool>,
    /// A newer one has answered meanwhile, so that it is no longer the backend that is silent.
    outlived: Cell<bool>,
    /// It has ended under a request; what it has failed at once has been counted against the backend.
    lost: Cell<bool>,
    blamed: Cell<bool>,
    /// It was us who ended it, for what says nothing against the backend.
    ended_by_us: Cell<bool>,
    /// It has ended for what is not HTTP/2: the rule that was broken.
    nonsense: Cell<Option<Reason>>,
    /// What comes of the responses.
    intakes: Rc<Intakes>,
}

impl Life {
    /// Something has come.
    fn hear(&self) {
        self.heard.set(true);
        self.stirred.set(true);
        self.unheard.set(false);
        self.doubtful.set(false);
        if self.outlived.take() {
            self.blamed.set(false);
        }
    }

    fn wake_waiting(&self) {
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// Opens a connection over `stream`; it is ready once the backend has said how many requests it takes at once, so that none of them is
/// refused for want of knowing that. The caller bounds the time, and lets the future that comes with it run.
///
/// # Errors
/// What came isn't HTTP/2: why, as an operator says it.
pub(crate) async fn open(
    stream: BackendStream,
    max_header_size: usize,
    ping_interval: Duration,
) -> Result<(Rc<Channel>, impl Future<Output = ()> + 'static), String> {
    let scheme = match stream {
        BackendStream::Secured { .. } => Scheme::HTTPS,
        _ => Scheme::HTTP,
    };
    let life = Rc::new(Life::default());
    let socket = Overheard::new(stream, Rc::clone(&life));
    let (sender, mut connection) = Builder::new()
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(max_header_size).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        // What waits in small frames is bounded here (32 MiB at the very most, if nobody reads any of 128 responses), stream by stream. h2's
        // bound ends the connection, with what it carries for everybody, when two clients don't read.
        .data_frame_budget(usize::MAX)
        .enable_push(false)
        .handshake::<_, Bytes>(socket)
        .await
        .map_err(|error| words(&error))?;
    std::future::poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err("the connection closed at once".to_owned())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(words(&error))),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    let (alive, ended) = oneshot::channel();
    let driver = driver::drive(connection, Rc::clone(&life), ended, ping_interval);
    let channel = Channel {
        sender: RefCell::new(sender),
        life,
        scheme,
        used: Cell::new(false),
        number: Cell::new(0),
        newest_at_failure: Cell::new(None),
        idle_since: Cell::new(0),
        unheard_since: Cell::new(0),
        may_ping: !ping_interval.is_zero(),
        _alive: alive,
    };
    Ok((Rc::new(channel), driver))
}

/// What h2's error means for an operator.
fn words(error: &h2::Error) -> String {
    match (error.get_io(), error.reason()) {
        (Some(io), _) if io.kind() == io::ErrorKind::InvalidData => {
            "the answer is not HTTP/2".to_owned()
        }
        (Some(io), _) => crate::outcome::words::of(io),
        (None, Some(reason)) if error.is_remote() => {
            format!("the backend broke off: {}", reason.description())
        }
        (None, _) => "the answer is not HTTP/2".to_owned(),
    }
}

impl Channel {
    /// The rule of HTTP/2 for whose sake it was ended.
    pub(super) fn nonsense(&self) -> Option<Reason> {
        self.life.nonsense.get()
    }

    /// Nothing has come over it for so long, though it owes something, that new requests had better take another.
    pub(super) fn is_doubtful(&self) -> bool {
        self.life.doubtful.get()
    }

    /// Looks at worker time `now` whether it is silent though a request was sent: for `patience` milliseconds, which is unusual, so that it
    /// is asked for a sign of life; or for `limit`, so that it has given none. Slow answers alone are none of this: their connection is heard.
    pub(super) fn listen(&self, now: u64, patience: u64, limit: u64) {
        let life = &self.life;
        let owing = life.unheard.get() && life.streams.get() > 0 && self.may_ping;
        if life.stirred.take() || !owing {
            self.unheard_since.set(0);
        }
        if !owing {
            return;
        }
        if self.unheard_since.get() == 0 {
            self.unheard_since.set(now);
        }
        let silent = now - self.unheard_since.get();
        if silent >= limit.max(2 * patience) {
            life.doubtful.set(true);
        }
        if silent >= patience {
            life.ping_wanted.notify_one();
        }
    }

    /// Its number, if it has answered a request and goes on well.
    pub(super) fn answers(&self) -> Option<u64> {
        let well = self.used.get() && !self.is_doubtful() && self.is_open();
        well.then_some(self.number())
    }

    /// The one of the number `newest` answers.
    pub(super) fn compare(&self, newest: u64) {
        if self.is_doubtful() && newest > self.number() {
            self.life.outlived.set(true);
        }
    }

    /// How many requests it takes at once.
    fn room(&self) -> usize {
        let most = self.sender.borrow().current_max_send_streams();
        most.min(STREAMS)
    }

    /// Whether it takes new requests at all: it is neither broken nor going away.
    pub(crate) fn is_open(&self) -> bool {
        let mut unwoken = Context::from_waker(Waker::noop());
        !self.life.over.get()
            && matches!(
                self.sender.borrow_mut().poll_ready(&mut unwoken),
                Poll::Ready(Ok(()))
            )
    }

    pub(super) fn number(&self) -> u64 {
        self.number.get()
    }

    pub(super) fn set_number(&self, number: u64) {
        self.number.set(number);
    }

    /// Requests that are under way, or wait for room.
    pub(crate) fn load(&self) -> usize {
        self.life.lent.get()
    }

    /// Whether another request would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.load() >= self.room()
    }

    /// Whether it is of use at worker time `now`: open, and not idle for `timeout` milliseconds.
    pub(crate) fn is_fresh(&self, now: u64, timeout: u64) -> bool {
        if self.load() > 0 {
            self.idle_since.set(0);
        } else if self.idle_since.get() == 0 {
            self.idle_since.set(now);
        }
        let since = self.idle_since.get();
        let open = self.is_open();
        if !open || self.life.streams.get() < self.room() {
            // It has closed, or the backend allows more than it did: they look for themselves.
            self.life.wake_waiting();
        }
        open && (since == 0 || since + timeout > now)
    }
}
