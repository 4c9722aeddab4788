//! Connections to one backend, of one worker.
//!
//! A connection is polled by the very task whose request uses it, not by a task of its own: no task switch between a request
//! and its backend, and no lock, since nothing here ever leaves its thread. What a sibling worker has idle can't be borrowed
//! that way: each worker opens its own. What that costs an app server with few connections to spare has not been measured.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::doorbell::Doorbell;
use super::io::{Traffic, UpstreamSocket};
use crate::introduction::Announcement;

/// One connection to a backend.
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    /// `None` once it has hung up.
    driver: Option<http1::Connection<TokioIo<UpstreamSocket>, RequestBody>>,
    /// The driver must not be polled after it has finished.
    finished: bool,
    pub(crate) traffic: Rc<Traffic>,
    doorbell: Arc<Doorbell>,
    /// `doorbell`, as hyper and the runtime know it.
    waker: Waker,
    /// Worker time in milliseconds.
    idle_since: u64,
    /// It has carried a request before: that it breaks now says little about the backend.
    pub(crate) reused: bool,
    /// It was opened in the name of this client, and carries nobody else's requests.
    announced: Option<Box<Announcement>>,
}

impl Connection {
    /// Connects, and announces the client in whose name it does, where the backend wants to know. The caller bounds the time.
    pub(crate) async fn open(
        address: SocketAddr,
        announced: Option<Announcement>,
        max_header_size: usize,
    ) -> io::Result<Box<Self>> {
        let mut stream = TcpStream::connect(address).await?;
        // Small requests must not wait for the acknowledgement of the ones before.
        stream.set_nodelay(true)?;
        if let Some(client) = announced {
            // Not among the bytes that decide whether a request was sent: they belong to no request.
            stream.write_all(&client.header()).await?;
        }
        let traffic = Rc::new(Traffic::default());
        let doorbell = Arc::new(Doorbell::default());
        let socket = UpstreamSocket::new(stream, Rc::clone(&traffic), Arc::clone(&doorbell));
        let (sender, driver) = http1::Builder::new()
            .max_header_size(max_header_size)
            // What a client that reads slowly leaves lying here. 128 KiB in all: of 64, 128 and 384 KiB none was
            // clearly better for large bodies, within the noise of the machine.
            .max_buf_size(max_header_size + 64 * 1024)
            // RFC 9112 5.1: a proxy removes such spaces from a response, and forwards it.
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        Ok(Box::new(Self {
            sender,
            driver: Some(driver),
            finished: false,
            traffic,
            waker: Waker::from(Arc::clone(&doorbell)),
            doorbell,
            idle_since: 0,
            reused: false,
            announced: announced.map(Box::new),
        }))
    }

    /// Hands a request to the connection, which wakes `task` from now on. It is sent by [`Self::drive`].
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
        task: &Waker,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.traffic.reset();
        self.doorbell.call(task);
        let Self {
            doorbell, sender, ..
        } = self;
        doorbell.muffled(|| sender.try_send_request(request))
    }

    /// Moves bytes both ways. Whatever this makes ready (response head, body frame) is ready when it returns, so that those
    /// can be polled without a waker of their own.
    pub(crate) fn drive(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        if !self.finished
            && let Some(driver) = &mut self.driver
            && let Poll::Ready(_) = Pin::new(driver).poll(&mut cx)
        {
            // An error also reaches whoever waits for the head or the body, with more to say about it.
            self.finished = true;
        }
    }

    /// Drives the connection, then takes the next frame of `body`, which comes over it.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.drive();
        let mut unwoken = Context::from_waker(Waker::noop());
        self.doorbell
            .muffled(|| Pin::new(body).poll_frame(&mut unwoken))
    }

    /// Gives back a request that the finished connection has not begun to send: hyper returns what is still queued only when the
    /// driver goes, which nobody but us keeps.
    pub(crate) fn hang_up(&mut self) {
        self.driver = None;
    }

    /// Nothing more will come over this connection.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether it can take another request, as far as can be seen without sending one.
    fn is_reusable(&mut self) -> bool {
        self.drive();
        !self.finished && self.sender.is_ready()
    }

    /// Whether it is ready for another request right after the last one. Usually it is without another look.
    fn is_ready(&mut self) -> bool {
        !self.finished && (self.sender.is_ready() || self.is_reusable())
    }

    /// After a 101: the socket, and what the backend has already sent in the new protocol.
    pub(crate) fn into_tunnel(self) -> (TcpStream, Bytes) {
        let driver = self.driver.expect("who hung up never answered");
        let parts = driver.into_parts();
        (parts.io.into_inner().into_stream(), parts.read_buf)
    }
}

/// Idle connections to one backend; the one used last is used next, so that a quiet backend's connections die out.
#[derive(Default)]
pub(crate) struct Idle {
    #[expect(
        clippy::vec_box,
        reason = "a connection moves with every request: eight bytes instead of several hundred"
    )]
    stack: RefCell<Vec<Box<Connection>>>,
}

impl Idle {
    /// Takes the most recently used one of those opened in the name of `announced`, or in nobody's.
    pub(crate) fn pop(&self, announced: Option<&Announcement>) -> Option<Box<Connection>> {
        let mut stack = self.stack.borrow_mut();
        // The topmost one, unless clients are announced.
        let at = stack
            .iter()
            .rposition(|c| c.announced.as_deref() == announced)?;
        Some(stack.remove(at))
    }

    /// Keeps a connection after a clean end, if it is still good and there is room. Whether it is still good.
    pub(crate) fn push(&self, mut connection: Box<Connection>, now: u64, room: usize) -> bool {
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
            connection.doorbell.call_nobody();
            self.stack.borrow_mut().push(connection);
        }
        ready
    }

    /// Drops those that the backend has closed, and those idle for longer than `timeout` milliseconds.
    pub(crate) fn sweep(&self, now: u64, timeout: u64) {
        self.stack
            .borrow_mut()
            .retain_mut(|c| c.idle_since + timeout > now && c.is_reusable());
    }

    /// Drops all: the backend is no longer to be used, or its name has another address.
    pub(crate) fn clear(&self) {
        self.stack.borrow_mut().clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.stack.borrow().len()
    }
}
