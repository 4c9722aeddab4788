//! One client connection: what its task, its socket and its requests know of each other, and its clock of deadlines. What
//! belongs to one request is in its [`crate::proxy::request::exchange::Exchange`].
//!
//! Deadlines are plain numbers that the worker compares every [`crate::worker::TICK`]; hyper's own timer would cost an
//! allocation and a timer-wheel entry for each request, and has no deadline at all for bodies and writes.

mod clock;
mod parking;
mod streams;

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::certificate::ClientCertificate;
use super::site::Site;
use super::stream::ClientStream;
use super::visitor::Visitor;
use super::window::Window;
use crate::config::{Forwarding, Listener};
use crate::proxy::message::headers;
use crate::proxy::request::redirect;
use crate::proxy::socket::doorbell::Sleeper;
use crate::worker::{Worker, millis};
use parking::Parking;

pub(crate) use clock::Wakeup;

/// The state of one client connection, shared by its task, its socket and its requests.
pub(crate) struct Downstream {
    pub(crate) worker: Rc<Worker>,
    /// The client: whoever has connected, or whom a proxy that we trust has introduced.
    pub(crate) peer: SocketAddr,
    /// Where it has connected to, as far as that is known.
    pub(crate) destination: Option<SocketAddr>,
    /// `peer` as an element of `X-Forwarded-For`.
    pub(crate) client: HeaderValue,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// What the client has shown in its TLS handshake.
    pub(crate) certificate: OnceCell<Box<ClientCertificate>>,
    /// What it has asked for in its TLS handshake, where there is more than one site.
    pub(crate) site: OnceCell<Box<Site>>,
    /// `Strict-Transport-Security`. A copy of this connection's own: a clone of a value shared between workers would write to a
    /// shared cache line.
    hsts: Option<HeaderValue>,
    /// At which port all requests are sent on to, over TLS.
    pub(crate) redirect: Option<u16>,
    /// Since when it shakes hands; 0: it doesn't.
    handshake: Cell<u64>,
    /// Whether what this peer says of its own clients is believed.
    pub(crate) trusted: bool,
    /// Who is trusted besides, if it is.
    trusted_proxies: Vec<IpNet>,
    /// A response has gone out that can't be told from a complete one by its framing: the connection must be reset.
    pub(crate) reset: Cell<bool>,
    phase: Cell<Phase>,
    /// Whether a byte of the current head has come.
    head_begun: Cell<bool>,
    /// For the head, or for the next one. Worker milliseconds; 0 = none.
    due: Cell<u64>,
    parking: Cell<Parking>,
    /// Since when it is served, if it was parked before.
    taken_up_at: Cell<u64>,
    /// It waits for its turn to be woken and parked.
    in_line: Cell<bool>,
    /// What only a connection with HTTP/2 has.
    streams: streams::Streams,
    write: Window,
    /// The client has taken some of what was sent to it.
    taken: Cell<bool>,
    /// Interim responses that are on their way to the client.
    interim_out: RefCell<Vec<u8>>,
    /// hyper has nothing left to send.
    flushed: Cell<bool>,
    /// A request has come whose response isn't out as yet. Not the same as [`Phase::Request`], which ends as soon as hyper has all of the
    /// response. Never with HTTP/2.
    owes: Cell<bool>,
    /// All of the request has come, and it is being answered: what the client says now is about another one. Never with HTTP/2.
    whole: Cell<bool>,
    /// Somebody waits for that.
    breaking: Cell<bool>,
    /// The last response is given before all of its request has come, for which nobody blames the client.
    rest: Cell<bool>,
    cut: Cell<Option<Cut>>,
    sleeper: Sleeper,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is on its way, or the very first one is waited for.
    Head,
    /// Kept alive, nothing on its way.
    Idle,
    /// A request is being answered.
    Request,
    /// HTTP/2, and no request is being answered. What comes need not belong to a request.
    Between,
}

/// Why the connection is ended by its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Cut {
    Head,
    Idle,
    Write,
    /// The worker's drain has come to its deadline.
    Drain,
    /// The client has broken the rules of HTTP/2 where h2 doesn't mind.
    Protocol,
    /// The client makes work and means nothing by it.
    Flood,
}

impl Downstream {
    /// The state for a connection that was just accepted.
    pub(crate) fn new(worker: Rc<Worker>, visitor: Visitor, listener: &Listener) -> Rc<Self> {
        let patience = if worker.is_draining() {
            clock::DRAIN_PATIENCE
        } else {
            millis(worker.view().limits().header_timeout)
        };
        let due = worker.now() + patience;
        Rc::new(Self {
            peer: visitor.address,
            destination: visitor.destination,
            client: headers::client_value(visitor.address.ip()),
            scheme: if listener.tls.is_some() {
                "https"
            } else {
                "http"
            },
            certificate: OnceCell::new(),
            site: OnceCell::new(),
            hsts: listener.hsts.map(redirect::promise),
            redirect: listener.redirect,
            handshake: Cell::new(0),
            trusted: visitor.trusted,
            trusted_proxies: if visitor.trusted {
                listener.trusted_proxies.clone()
            } else {
                Vec::new()
            },
            reset: Cell::new(false),
            phase: Cell::new(Phase::Head),
            head_begun: Cell::new(false),
            due: Cell::new(due),
            parking: Cell::default(),
            taken_up_at: Cell::new(0),
            in_line: Cell::new(false),
            streams: streams::Streams::default(),
            write: Window::default(),
            taken: Cell::new(false),
            interim_out: RefCell::default(),
            flushed: Cell::new(true),
            owes: Cell::new(false),
            whole: Cell::new(false),
            breaking: Cell::new(false),
            rest: Cell::new(false),
            cut: Cell::new(None),
            sleeper: Sleeper::default(),
            worker,
        })
    }

    /// Whether it came over TLS.
    pub(crate) fn is_secured(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether `address` is one that this trusted peer is to be believed about who is behind it.
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    /// Who has made a request with these `headers`: the peer, or whom it names if it is one that is believed. Which fields say so is
    /// what apps are told by.
    pub(crate) fn client_of(&self, headers: &HeaderMap, forwarding: Forwarding) -> IpAddr {
        let peer = self.peer.ip().to_canonical();
        if !self.trusted {
            return peer;
        }
        headers::client_behind(headers, forwarding, peer, |ip| self.trusts(ip))
    }

    /// Whether a request for `host` belongs to the site that the connection was made to.
    pub(crate) fn is_at_home(&self, host: &str) -> bool {
        self.site.get().is_none_or(|site| site.serves(host))
    }

    /// Tells browsers to come over TLS only, unless the app has something to say about it. They may not believe that in cleartext
    /// (RFC 6797 7.2).
    pub(crate) fn promise<S: ClientStream>(&self, headers: &mut HeaderMap) {
        if S::SECURED
            && let Some(hsts) = &self.hsts
            && !headers.contains_key(STRICT_TRANSPORT_SECURITY)
        {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    // === what the socket tells

    /// Its TLS handshake begins, or has come to an end.
    pub(crate) fn set_handshake(&self, under_way: bool) {
        let now = self.worker.now();
        self.handshake.set(if under_way { now } else { 0 });
    }

    pub(crate) fn has_read(&self) {
        self.unpark();
        match self.phase.get() {
            Phase::Idle => self.phase.set(Phase::Head),
            // The drain has left it a moment for its first byte, not for all of its head.
            Phase::Head if !self.head_begun.get() && self.worker.is_draining() => {}
            Phase::Head => return self.head_begun.set(true),
            Phase::Request | Phase::Between => return,
        }
        self.head_begun.set(true);
        let limit = self.worker.limit(|limits| limits.header_timeout);
        self.due.set(self.worker.now() + millis(limit));
    }

    pub(crate) fn has_written(&self, result: &Poll<io::Result<usize>>) {
        self.flushed.set(false);
        match result {
            Poll::Pending => {
                let limit = self.worker.limit(|limits| limits.write_timeout);
                self.write.wait(self.worker.now(), limit);
            }
            Poll::Ready(Ok(bytes)) => {
                self.taken.set(true);
                if self.write.due.get() != 0 {
                    self.write.progress(self.worker.now(), *bytes as u64);
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    /// Whether the client has taken anything since this was last asked.
    pub(in crate::proxy) fn has_taken(&self) -> bool {
        self.taken.take()
    }

    pub(crate) fn has_flushed(&self) {
        self.write.end();
        self.flushed.set(true);
        if self.phase.get() != Phase::Request {
            self.owes.set(false);
        }
        if self.breaking.take() {
            self.wake();
        }
    }

    /// Whether what hyper sends may be part of a response to a request, where there is one at a time.
    pub(crate) fn owes_response(&self) -> bool {
        self.owes.get()
    }

    /// What must go out before anything else that hyper sends.
    pub(crate) fn interim_out(&self) -> Option<RefMut<'_, Vec<u8>>> {
        let out = self.interim_out.borrow_mut();
        (!out.is_empty()).then_some(out)
    }

    // === what a request tells, where there is one at a time

    /// A request begins: the head's deadline is over. `whole`: it has no body.
    pub(in crate::proxy) fn begin_request(&self, whole: bool) {
        self.phase.set(Phase::Request);
        self.owes.set(true);
        self.whole.set(whole);
        self.forbid_parking(!whole);
        self.due.set(0);
    }

    /// The end of its body has come.
    pub(in crate::proxy) fn complete_request(&self) {
        self.whole.set(true);
        self.forbid_parking(false);
    }

    /// Whether a request is being answered that has come from its beginning to its end.
    pub(crate) fn is_request_whole(&self) -> bool {
        self.whole.get()
    }

    /// The last response is given before all of the request has come: the client may go on sending what nobody wants.
    pub(in crate::proxy) fn forgo_rest(&self) {
        self.rest.set(true);
    }

    /// Whether the client may be in the midst of a request that has its response, and is the last.
    pub(in crate::proxy) fn owes_rest(&self) -> bool {
        self.rest.get()
    }

    /// The response has broken off: it ends in an error once hyper has sent what came before.
    pub(in crate::proxy) fn begin_break(&self) {
        self.flushed.set(false);
        self.breaking.set(true);
    }

    pub(in crate::proxy) fn is_flushed(&self) -> bool {
        self.flushed.get()
    }

    /// The response is complete, or nothing more will come of it.
    pub(in crate::proxy) fn end_request(&self) {
        self.phase.set(Phase::Idle);
        self.whole.set(false);
        self.head_begun.set(false);
        let limit = self.worker.limit(|limits| limits.idle_timeout);
        self.due.set(self.worker.now() + millis(limit));
    }

    /// Sends the heads of interim responses on, if now is the time for it.
    pub(in crate::proxy) fn send_interim(&self, heads: &[u8]) {
        if self.flushed.get() {
            self.interim_out.borrow_mut().extend_from_slice(heads);
        }
    }

    /// Lets the task look around.
    pub(crate) fn wake(&self) {
        self.sleeper.wake();
    }

    /// The task that serves this connection.
    pub(crate) fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }

    /// It is the one that is polled with `cx`.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.sleeper.register(cx);
    }
}
