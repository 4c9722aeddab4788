//! Connections to one backend, of one worker: made, lent to requests, kept.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http_body::Frame;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::backend_stream::BackendStream;
use super::exclusive::Exclusive;
use super::inflow::Inflow;
use super::multiplex::{self, Channel, Stream};
use super::upstream::Upstream;
use crate::config;
use crate::introduction::Announcement;
use crate::outcome::{Trouble, words};
use crate::worker::Worker;

/// What a request is sent over.
pub(crate) enum Connection {
    /// All of a connection: HTTP/1.1.
    Exclusive(Box<Exclusive>),
    /// A part of one: HTTP/2.
    Shared(Box<Stream>),
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// TCP's reason.
    Unconnected(io::Error),
    /// Connected, but not in the protocol that is needed: in which, and why, as an operator says it.
    Unfit(&'static str, String),
}

/// A backend that has so many connections of one worker, all of them full, gets no more of them: requests wait for room instead.
const CHANNELS: usize = 16;

impl Connection {
    /// Connects to `upstream`, and announces the client in whose name it does, where the backend wants to know. The caller bounds the
    /// time.
    pub(crate) async fn open(
        worker: &Worker,
        upstream: &Upstream,
        address: SocketAddr,
        announced: Option<Announcement>,
        settings: &config::Upstream,
        max_header_size: usize,
    ) -> Result<Self, Unopened> {
        let connect = async {
            let mut stream = TcpStream::connect(address).await?;
            // Small requests must not wait for the acknowledgement of the ones before.
            stream.set_nodelay(true)?;
            if let Some(client) = announced {
                // Not among the bytes that decide whether a request was sent: they belong to no request.
                stream.write_all(&client.header()).await?;
            }
            Ok(stream)
        };
        let stream = connect.await.map_err(Unopened::Unconnected)?;
        let mut shares = upstream.shares();
        let stream = match &upstream.security {
            None => BackendStream::Plain {
                stream,
                _open: worker.opened(),
            },
            Some(security) => match security.secure(stream).await {
                Ok(stream) => {
                    shares = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    if !shares && security.needs_h2() {
                        let why = "the backend doesn't offer it (ALPN)".to_owned();
                        return Err(Unopened::Unfit("HTTP/2", why));
                    }
                    upstream.set_shares(shares);
                    BackendStream::Secured {
                        stream: Box::new(stream),
                        _open: worker.opened(),
                    }
                }
                Err(error) => return Err(Unopened::Unfit("TLS", words::tls::of(&error))),
            },
        };
        let head = max_header_size.max(64 * 1024);
        if !shares {
            let opened = Exclusive::open(stream, announced, head).await;
            return opened.map(Self::Exclusive).map_err(Unopened::Unconnected);
        }
        let opened = multiplex::open(stream, head, settings.ping_interval).await;
        let (channel, driver) = opened.map_err(|why| Unopened::Unfit("HTTP/2", why))?;
        worker.carry(driver);
        let stream = Stream::new(&channel);
        upstream.idle.share(channel);
        Ok(Self::Shared(Box::new(stream)))
    }

    /// The next frame of `body`, which comes over it; what is left of the request's body is sent meanwhile. Only HTTP/2 makes use of
    /// `cx`: see [`Exclusive::drive`].
    #[inline]
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Inflow,
    ) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match (self, body) {
            (Self::Exclusive(connection), Inflow::Exclusive(body)) => connection
                .poll_frame(body)
                .map(|frame| frame.map(|frame| frame.map_err(|_| Trouble::Reset))),
            (Self::Shared(stream), Inflow::Shared(body)) => {
                stream.drive(cx);
                body.poll_frame(cx)
            }
            _ => Poll::Ready(None),
        }
    }

    /// Nothing more will come over it.
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Self::Exclusive(connection) => connection.is_finished(),
            // Its streams say so by themselves.
            Self::Shared(_) => false,
        }
    }

    /// Whether it takes other requests yet, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Exclusive(connection) => !connection.is_finished(),
            Self::Shared(stream) => stream.is_open(),
        }
    }

    /// It has carried a request before: that it breaks now says little about the backend.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Exclusive(connection) => connection.reused,
            Self::Shared(stream) => stream.reused,
        }
    }

    /// Whether it was firedoor that has ended it, for what says nothing against the backend.
    pub(crate) fn is_ended_by_us(&self) -> bool {
        match self {
            Self::Exclusive(_) => false,
            Self::Shared(stream) => stream.is_ended_by_us(),
        }
    }

    /// The number of the connection that it was a part of, if that has ended with all that it carried.
    pub(crate) fn lost(&self) -> Option<u64> {
        match self {
            Self::Exclusive(_) => None,
            Self::Shared(stream) => stream.lost(),
        }
    }

    /// Whether it counts against the backend that it has failed a request: not if it has failed it with others, of which one has counted.
    pub(crate) fn takes_blame(&self) -> bool {
        match self {
            Self::Exclusive(_) => true,
            Self::Shared(stream) => stream.takes_blame(),
        }
    }

    /// Whether a request that was lost was never begun by the backend, so that it may go elsewhere, whatever its method.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            // hyper had taken it, but the kernel has taken none of it.
            Self::Exclusive(connection) => connection.traffic.written.get() == 0,
            Self::Shared(stream) => stream.is_unsent(),
        }
    }

    /// After a 101: the backend's side of the tunnel, and what it has already sent in the new protocol.
    pub(crate) fn into_tunnel(self) -> (BackendStream, Bytes) {
        match self {
            Self::Exclusive(connection) => connection.into_tunnel(),
            Self::Shared(mut stream) => {
                let tunnel = stream.take_tunnel().expect("it has answered with one");
                let tunnel = BackendStream::Tunnel {
                    tunnel: Box::new(tunnel),
                    place: stream,
                };
                (tunnel, Bytes::new())
            }
        }
    }
}

/// Connections to one backend that can take another request. Of idle ones the one used last is used next, so that a quiet backend's
/// connections die out.
#[derive(Default)]
pub(crate) struct Idle {
    #[expect(
        clippy::vec_box,
        reason = "a connection moves with every request: eight bytes instead of several hundred"
    )]
    stack: RefCell<Vec<Box<Exclusive>>>,
    channels: RefCell<Vec<Rc<Channel>>>,
    /// How many channels have been opened; each has the number that this was then.
    opened: Cell<u64>,
}

impl Idle {
    /// Takes the most recently used one of those opened in the name of `announced`, or in nobody's; or a part of the first that has room.
    /// `newer_than`: one of this number has just failed the request, so that none which was used before will do, and no older part.
    #[inline]
    pub(crate) fn pop(
        &self,
        announced: Option<&Announcement>,
        newer_than: Option<u64>,
    ) -> Option<Connection> {
        if newer_than.is_none() {
            let mut stack = self.stack.borrow_mut();
            // The topmost one, unless clients are announced.
            let mut connections = stack.iter();
            if let Some(at) = connections.rposition(|c| c.announced.as_deref() == announced) {
                return Some(Connection::Exclusive(stack.remove(at)));
            }
        }
        if announced.is_some() {
            return None;
        }
        self.part(newer_than.unwrap_or(0))
    }

    /// Fills one connection before the next, so that those which a peak has brought die out too.
    fn part(&self, newer_than: u64) -> Option<Connection> {
        let channels = self.channels.borrow();
        let open = channels.iter().filter(|channel| channel.is_open());
        let roomy = open
            .clone()
            .find(|c| c.number() > newer_than && !c.is_doubtful() && !c.is_full());
        let channel = match roomy {
            Some(channel) => channel,
            None if channels.len() >= CHANNELS && open.clone().count() >= CHANNELS => {
                open.min_by_key(|c| (c.number() <= newer_than || c.is_doubtful(), c.load()))?
            }
            None => return None,
        };
        Some(Connection::Shared(Box::new(Stream::new(channel))))
    }

    /// A part of one that is silent, for want of a better one.
    pub(crate) fn doubtful(&self, newer_than: Option<u64>) -> Option<Connection> {
        let channels = self.channels.borrow();
        let mut usable = channels.iter().filter(|c| c.is_open() && !c.is_full());
        let channel = usable.find(|c| c.number() > newer_than.unwrap_or(0))?;
        Some(Connection::Shared(Box::new(Stream::new(channel))))
    }

    /// Listens to those that several requests share: see [`Channel::listen`].
    pub(crate) fn listen(&self, now: u64, patience: u64, limit: u64) {
        let channels = self.channels.borrow();
        for channel in channels.iter() {
            channel.listen(now, patience, limit);
        }
        if channels.iter().any(|channel| channel.is_doubtful()) {
            let newest = channels.iter().filter_map(|c| c.answers()).max();
            channels.iter().for_each(|c| c.compare(newest.unwrap_or(0)));
        }
    }

    /// Lets others have a part of `channel`.
    fn share(&self, channel: Rc<Channel>) {
        self.opened.set(self.opened.get() + 1);
        channel.set_number(self.opened.get());
        self.channels.borrow_mut().push(channel);
    }

    /// The number of the newest channel at the time when `connection` failed the first of its requests: all of them can use those opened
    /// since, one of which the first of them brings about.
    pub(crate) fn newest_at_failure(&self, connection: &Connection) -> u64 {
        match connection {
            Connection::Exclusive(_) => self.opened.get(),
            Connection::Shared(stream) => stream.newest_at_failure(self.opened.get()),
        }
    }

    /// Keeps a connection after a clean end, if it is still good and there is room. Whether it is still good.
    pub(crate) fn push(&self, connection: Connection, now: u64, room: usize) -> bool {
        let mut connection = match connection {
            Connection::Exclusive(connection) => connection,
            // It has never been taken out.
            Connection::Shared(stream) => return stream.is_open(),
        };
        let ready = connection.is_ready();
        if ready && connection.announced.is_some() && room > 0 {
            // Most of these wait for a client that has left: they must not keep the others from being kept.
            let mut stack = self.stack.borrow_mut();
            if stack.len() >= room {
                stack.remove(0);
            }
        }
        if ready && self.stack.borrow().len() < room {
            connection.idle_since = now;
            connection.reused = true;
            connection.rest();
            self.stack.borrow_mut().push(connection);
        }
        ready
    }

    /// Drops those that the backend has closed, and those idle for longer than `timeout` milliseconds. What one of them has ended for, if
    /// that was nonsense.
    pub(crate) fn sweep(&self, now: u64, timeout: u64) -> Option<Reason> {
        self.stack
            .borrow_mut()
            .retain_mut(|c| c.idle_since + timeout > now && c.is_reusable());
        let mut nonsense = None;
        self.channels.borrow_mut().retain(|channel| {
            let fresh = channel.is_fresh(now, timeout);
            if !fresh {
                nonsense = nonsense.or(channel.nonsense());
            }
            fresh
        });
        nonsense
    }

    /// Drops all: the backend is no longer to be used, or its name has another address.
    pub(crate) fn clear(&self) {
        self.stack.borrow_mut().clear();
        // Those that are in use live until their last request has ended. What has ended for nonsense waits to be told of.
        let mut channels = self.channels.borrow_mut();
        channels.retain(|channel| channel.nonsense().is_some());
    }

    /// Those that carry no request.
    pub(crate) fn unused(&self) -> usize {
        let channels = self.channels.borrow();
        let unused = channels.iter().filter(|channel| channel.load() == 0);
        self.stack.borrow().len() + unused.count()
    }

    pub(crate) fn len(&self) -> usize {
        self.stack.borrow().len() + self.channels.borrow().len()
    }
}
