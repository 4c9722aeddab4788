//! A connection that one request at a time has for itself: HTTP/1.1.
//!
//! It is polled by the very task whose request uses it, not by a task of its own: no task switch between a request and its backend, and
//! no lock, since nothing here ever leaves its thread. What a sibling worker has idle can't be borrowed that way: each worker opens
//! its own. What that costs an app server with few connections to spare has not been measured.
//!
//! hyper's halves (the one that takes requests and gives bodies, the one that moves bytes) wake each other through channels. Here one
//! task polls both, one right after the other, so they get a waker that wakes nobody: of four looks at a request, two came of such
//! wakes. Only the socket and the request's body know the task.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::task::unconstrained;

use super::backend_stream::BackendStream;
use crate::introduction::Announcement;
use crate::proxy::backend::upstream_socket::{Traffic, UpstreamSocket};
use crate::proxy::request::body::RequestBody;
use crate::proxy::socket::doorbell::{Doorbell, SleeperId};

/// hyper gives way after 16 rounds of reading, writing and flushing. A client's half has no known way to get there: one or two are usual. From
/// here on it is looked at again in any case.
const MANY_ROUNDS: u32 = 8;

/// One connection to a backend.
pub(crate) struct Exclusive {
    sender: http1::SendRequest<RequestBody>,
    /// `None` once it has hung up.
    driver: Option<http1::Connection<TokioIo<UpstreamSocket>, RequestBody>>,
    /// The driver must not be polled after it has finished.
    finished: bool,
    pub(crate) traffic: Rc<Traffic>,
    doorbell: Arc<Doorbell>,
    /// Worker time in milliseconds.
    pub(crate) idle_since: u64,
    /// It has carried a request before: that it breaks now says little about the backend.
    pub(crate) reused: bool,
    /// It was opened in the name of this client, and carries nobody else's requests.
    pub(crate) announced: Option<Box<Announcement>>,
}

impl Exclusive {
    /// Over `stream`, which has just been connected, in the name of the `announced` client if there is one.
    pub(crate) async fn open(
        stream: BackendStream,
        announced: Option<Announcement>,
        max_header_size: usize,
    ) -> io::Result<Box<Self>> {
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
            doorbell,
            idle_since: 0,
            reused: false,
            announced: announced.map(Box::new),
        }))
    }

    /// Hands a request to the connection, which wakes `sleeper` from now on. It is sent by [`Self::drive`].
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
        sleeper: SleeperId,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.traffic.reset();
        self.doorbell.call(sleeper);
        self.sender.try_send_request(request)
    }

    /// Nobody waits for it any more.
    pub(crate) fn rest(&self) {
        self.doorbell.call_nobody();
    }

    /// Moves bytes both ways. Whatever this makes ready (response head, body frame) is ready when it returns, so that those
    /// can be polled without a waker of their own.
    ///
    /// Two things would wake the waker that wakes nobody, and wait for it: the runtime, to have a busy task give way, wherefore the
    /// driver is unconstrained (the client's own connection does give way); and hyper itself, after several rounds in one go.
    pub(crate) fn drive(&mut self) {
        if self.finished {
            return;
        }
        let Some(driver) = &mut self.driver else {
            return;
        };
        self.traffic.rounds.set(0);
        let mut driver = pin!(unconstrained(poll_fn(|cx| Pin::new(&mut *driver).poll(cx))));
        match driver
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            // An error also reaches whoever waits for the head or the body, with more to say about it.
            Poll::Ready(_) => self.finished = true,
            Poll::Pending if self.traffic.rounds.get() >= MANY_ROUNDS => self.doorbell.ring(),
            Poll::Pending => {}
        }
    }

    /// Takes the next frame of `body`, which comes over the connection. Drives that first, unless a frame is there already, as one
    /// is that has come with the head.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let cx = &mut Context::from_waker(Waker::noop());
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => {
                self.drive();
                Pin::new(body).poll_frame(cx)
            }
        }
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
    pub(crate) fn is_reusable(&mut self) -> bool {
        self.drive();
        !self.finished && self.sender.is_ready()
    }

    /// Whether it is ready for another request right after the last one. Usually it is without another look.
    pub(crate) fn is_ready(&mut self) -> bool {
        !self.finished && (self.sender.is_ready() || self.is_reusable())
    }

    /// After a 101: the socket, and what the backend has already sent in the new protocol.
    pub(crate) fn into_tunnel(self) -> (BackendStream, Bytes) {
        let driver = self.driver.expect("who hung up never answered");
        let parts = driver.into_parts();
        (parts.io.into_inner().into_stream(), parts.read_buf)
    }
}
