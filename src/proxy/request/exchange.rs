//! One request and its response: what its task, its bodies and its worker know of each other, and its deadlines.
//!
//! On a connection with HTTP/1.1 there is one at a time, served by the connection's own task, and they all share one `Exchange`, so that
//! a request costs no allocation for it. With HTTP/2 each stream has its own, and a task of its own.

mod call;
mod clock;
mod upload;

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use super::error::Refusal;
use super::upgrade::Tunnel;
use crate::proxy::client::downstream::Downstream;
use crate::proxy::client::window::Window;
use crate::proxy::socket::doorbell::Sleeper;
use crate::worker::Worker;

/// The state of one request. It knows all that its connection knows.
pub(crate) struct Exchange {
    pub(crate) worker: Rc<Worker>,
    downstream: Rc<Downstream>,
    /// `None`: the connection serves one request after the other.
    stream: Option<Box<Stream>>,
    /// Where a 101 leaves the backend's side of the tunnel.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
    /// Whose trouble ended the request body, if it ended badly.
    pub(crate) body_trouble: Cell<Option<BodyTrouble>>,
    /// Body bytes of the request that have come.
    body_bytes: Cell<u64>,
    /// When the last of a streamed body came, in worker microseconds; 0: it hasn't.
    body_complete_at: Cell<u64>,
    body: Window,
    /// It may take as long as it likes to come.
    unhurried: Cell<bool>,
    /// What the request itself waits for (connect, head, hold) wants to look at its clock then. Worker milliseconds as all of these, but
    /// awake; 0: none.
    request_due: Cell<u64>,
    /// The body wants to look at its clock then.
    body_due: Cell<u64>,
    /// The request wants to know of a new snapshot.
    watches: Cell<bool>,
    /// A place at a backend has become free, and this request is the next in the hold.
    called: Cell<bool>,
    /// The backend has asked for the body that the client holds back.
    continued: Cell<bool>,
    /// The response has begun.
    answering: Cell<bool>,
}

/// What only a stream of HTTP/2 has.
struct Stream {
    /// Worker milliseconds.
    begun_at: u64,
    /// The task that serves it.
    sleeper: Rc<Sleeper>,
    /// What is wrong with the request, found when it was made into one of HTTP/1.1.
    flaw: Cell<Option<Refusal>>,
    /// Its errors are told in gRPC's own way.
    grpc: Cell<bool>,
    /// The client's leave to send more.
    write: Window,
    /// Its time is over.
    cut: Cell<bool>,
    /// When the response may end in an error, awake; 0: it has not broken off.
    breaks_at: Cell<u64>,
    /// Heads of interim responses that are on their way to the client, as HTTP/1.1 writes them.
    interim: RefCell<Vec<u8>>,
}

/// Milliseconds from the last that has come of a response to the error that it ends in: h2 throws away what it has not sent yet.
const BREAK: u64 = 20;

/// Milliseconds of a stream's life in which calling it off is taken for haste. Whoever waits longer has wanted an answer, as a call of gRPC
/// with a deadline has while its zone hangs, and can call off no more than all of its streams in that time: what "rapid reset" gets around
/// is just that limit.
const YOUNG: u64 = 100;

/// How a request body ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyTrouble {
    /// `body_timeout`.
    TooSlow,
    /// `max_body_size`.
    TooLarge,
    /// The client left, or broke the framing.
    Broken,
}

impl Exchange {
    /// For all requests of a connection that serves one after the other.
    pub(crate) fn on(downstream: &Rc<Downstream>) -> Rc<Self> {
        Rc::new(Self::new(downstream, None))
    }

    /// For one stream, which lives as long as this does, and is served by the task `sleeper`.
    pub(crate) fn of_stream(downstream: &Rc<Downstream>, sleeper: &Rc<Sleeper>) -> Rc<Self> {
        downstream.begin_stream();
        let stream = Stream {
            begun_at: downstream.worker.now(),
            sleeper: Rc::clone(sleeper),
            flaw: Cell::new(None),
            grpc: Cell::new(false),
            write: Window::default(),
            cut: Cell::new(false),
            breaks_at: Cell::new(0),
            interim: RefCell::default(),
        };
        Rc::new(Self::new(downstream, Some(Box::new(stream))))
    }

    fn new(downstream: &Rc<Downstream>, stream: Option<Box<Stream>>) -> Self {
        Self {
            worker: Rc::clone(&downstream.worker),
            downstream: Rc::clone(downstream),
            stream,
            tunnel: RefCell::new(None),
            body_trouble: Cell::new(None),
            body_bytes: Cell::new(0),
            body_complete_at: Cell::new(0),
            body: Window::default(),
            unhurried: Cell::new(false),
            request_due: Cell::new(0),
            body_due: Cell::new(0),
            watches: Cell::new(false),
            called: Cell::new(false),
            continued: Cell::new(false),
            answering: Cell::new(false),
        }
    }

    /// A request begins. `whole`: it has no body.
    pub(crate) fn begin_request(&self, whole: bool) {
        if self.stream.is_none() {
            self.downstream.begin_request(whole);
        }
        self.body.end();
        self.unhurried.set(false);
        self.body_due.set(0);
        self.continued.set(false);
        self.answering.set(false);
        self.body_trouble.set(None);
        self.body_bytes.set(0);
        self.body_complete_at.set(0);
    }

    /// The response head is on its way.
    pub(crate) fn begin_answer(&self) {
        self.answering.set(true);
        self.body.renew(self.worker.now());
    }

    /// The response has broken off: it ends in an error once what came before has been sent.
    pub(crate) fn begin_break(&self) {
        match &self.stream {
            None => self.downstream.begin_break(),
            Some(stream) => {
                let at = self.worker.awake() + BREAK;
                stream.breaks_at.set(at);
                self.wait_until(at);
            }
        }
    }

    /// Whether a response that has broken off may end now.
    pub(crate) fn is_flushed(&self) -> bool {
        match &self.stream {
            None => self.downstream.is_flushed(),
            Some(stream) => self.worker.awake() >= stream.breaks_at.get(),
        }
    }

    /// The response is complete, or nothing more will come of it.
    pub(crate) fn end_request(&self) {
        self.body.end();
        self.wait_no_more();
        if self.stream.is_none() {
            self.downstream.end_request();
        }
    }

    /// The backend wants more of the request body, and the client hasn't sent it. `limit`: how long that may last.
    pub(crate) fn body_wait(&self, limit: Duration) {
        self.body.wait(self.worker.now(), limit);
    }

    /// The request goes to a backend now. `shared`: by HTTP/2, where a call of gRPC takes no place from others by being silent, and where
    /// how long one may last is for its two ends to say. A backend with HTTP/1.1 may have one process for each request.
    pub(crate) fn heads_for(&self, shared: bool) {
        self.unhurried.set(shared && self.is_grpc());
    }

    /// Whether the request waits for its own client.
    pub(crate) fn is_waiting_for_body(&self) -> bool {
        self.body.due.get() != 0
    }

    /// The body looks at its clock at `due`.
    pub(crate) fn look_at(&self, due: u64) {
        self.body_due.set(due);
    }

    /// Whether the backend has asked for the body that its client holds back.
    pub(crate) fn is_continued(&self) -> bool {
        self.continued.get()
    }

    /// The backend asks for the body.
    pub(crate) fn set_continued(&self) {
        self.continued.set(true);
    }

    /// Tells a client that holds its body back to send it. hyper does that by itself.
    pub(crate) fn ask_for_body(&self) {
        if let Some(stream) = &self.stream {
            let words = b"HTTP/1.1 100 Continue\r\n\r\n";
            stream.interim.borrow_mut().extend_from_slice(words);
        }
    }

    /// Sends the heads of interim responses on, if now is the time for it.
    pub(crate) fn send_interim(&self, heads: &[u8]) {
        match &self.stream {
            None => self.downstream.send_interim(heads),
            Some(stream) => stream.interim.borrow_mut().extend_from_slice(heads),
        }
    }

    /// Some of the request body has come. Once the response has begun, a slow body is a conversation, not an attack.
    pub(crate) fn body_progress(&self, bytes: usize) {
        self.body_bytes.set(self.body_bytes.get() + bytes as u64);
        if self.answering.get() {
            self.body.end();
        } else {
            self.body.progress(self.worker.now(), bytes as u64);
        }
    }

    /// No more of it is waited for.
    pub(crate) fn body_end(&self) {
        self.body.end();
    }

    /// All of it has come.
    pub(crate) fn body_complete(&self) {
        self.body.end();
        self.body_complete_at.set(self.worker.micros().max(1));
        if self.stream.is_none() {
            self.downstream.complete_request();
        }
    }

    /// When the last of a streamed body came, in worker microseconds, if it has.
    pub(crate) fn body_complete_at(&self) -> Option<u64> {
        Some(self.body_complete_at.get()).filter(|at| *at > 0)
    }

    /// Whether hyper still waits for some of the request's body: if nobody takes that, it ends the connection after the response. Streams do
    /// without theirs.
    pub(crate) fn is_body_due(&self) -> bool {
        self.stream.is_none() && !self.downstream.is_request_whole()
    }

    /// Body bytes of the request that have come.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.get()
    }

    /// Whether its client has been silent for too long. It isn't while it takes the response: then it may have nothing to say.
    pub(crate) fn is_body_overdue(&self) -> bool {
        let now = self.worker.now();
        if self.stream.is_none() && self.answering.get() && self.downstream.has_taken() {
            self.body.renew(now);
        }
        !self.unhurried.get() && self.body.is_over(now)
    }

    /// The request looks at its clock at `due` ([`Worker::awake`]), and at every new snapshot.
    pub(crate) fn wait_until(&self, due: u64) {
        self.request_due.set(due);
        self.watches.set(true);
        self.called.set(false);
    }

    pub(crate) fn wait_no_more(&self) {
        self.request_due.set(0);
        self.watches.set(false);
    }

    /// Lets the task look around.
    pub(crate) fn wake(&self) {
        self.sleeper().wake();
    }

    /// The task that serves this request.
    pub(crate) fn sleeper(&self) -> &Sleeper {
        match &self.stream {
            None => self.downstream.sleeper(),
            Some(stream) => &stream.sleeper,
        }
    }

    /// The task that is polled with `cx` serves this request.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.sleeper().register(cx);
    }

    // === only for streams

    /// Remembers what was found out before the request was begun.
    pub(crate) fn foresee(&self, flaw: Option<Refusal>, grpc: bool) {
        if let Some(stream) = &self.stream {
            stream.flaw.set(flaw);
            stream.grpc.set(grpc);
        }
    }

    /// What is wrong with the request, if that is known already.
    pub(crate) fn flaw(&self) -> Option<Refusal> {
        self.stream.as_ref()?.flaw.take()
    }

    /// Whether its errors are told in gRPC's own way.
    pub(crate) fn is_grpc(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.grpc.get())
    }

    /// The client has called it off. Held against it where it has cost a backend work right before: not where firedoor was what it
    /// waited for, or where nothing has come of it for long.
    pub(crate) fn called_off(&self) {
        if let Some(stream) = &self.stream
            && self.worker.now() < stream.begun_at + YOUNG
            && !self.is_held()
        {
            self.downstream.called_off();
        }
    }

    /// What there is to be sent before the response.
    pub(crate) fn take_interim(&self) -> Option<Vec<u8>> {
        let heads = self.stream.as_ref()?.interim.take();
        (!heads.is_empty()).then_some(heads)
    }

    /// The client keeps us waiting for its leave to send more.
    pub(crate) fn write_wait(&self) {
        if let Some(stream) = &self.stream {
            let limit = self.worker.limit(|limits| limits.write_timeout);
            stream.write.wait(self.worker.now(), limit);
        }
    }

    /// So much of the body is on its way to the client, or in a socket that has a clock of its own.
    pub(crate) fn write_progress(&self, bytes: usize) {
        if let Some(stream) = &self.stream {
            let now = self.worker.now();
            stream.write.progress(now, bytes as u64);
            self.body.renew(now);
        }
        self.downstream.relay(bytes);
    }

    /// Nothing that follows on the connection is taken for a request.
    pub(crate) fn be_last(&self) {
        if self.stream.is_none() {
            self.downstream.leave();
        }
    }

    /// The connection may go on without this one, but the next ones shall go elsewhere.
    pub(crate) fn leave(&self) {
        if self.stream.is_some() {
            self.downstream.leave();
        }
    }
}

impl Deref for Exchange {
    type Target = Downstream;

    fn deref(&self) -> &Downstream {
        &self.downstream
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.downstream.end_stream();
        }
    }
}
