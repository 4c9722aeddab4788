//! Tunnels: after a backend's 101, and only then, bytes pass both ways as they come. Either side may close its half first.
//!
//! A tunnel doesn't count as a request in flight: a planned flip would otherwise wait for every open WebSocket. It ends
//! `drain_timeout` after its zone was left or the process began to drain, spread by jitter, so that not all clients come
//! back at once. The client of a WebSocket is told so by a close frame.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::UPGRADE;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};

use super::exchange::Exchange;
use super::record::Record;
use crate::proxy::backend::backend_stream::BackendStream;
use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::upstream::{InFlight, Upstream};
use crate::proxy::client::session;
use crate::proxy::client::stream::ClientStream;
use crate::proxy::message::websocket::{Frames, RESTART};

/// Each direction's buffer, in bytes.
const BUFFER: usize = 16 * 1024;
/// Milliseconds that a frame under way has for its end, once the tunnel's time is over.
const LAST_FRAME: u64 = 1000;

/// The backend's side of a tunnel.
pub(crate) struct Tunnel {
    stream: BackendStream,
    /// What the backend has sent right behind its 101.
    early: Bytes,
    upstream: Rc<Upstream>,
    record: Box<Record>,
    websocket: bool,
}

impl Tunnel {
    pub(crate) fn new(
        connection: Connection,
        flight: InFlight,
        record: Box<Record>,
        headers: &HeaderMap,
    ) -> Self {
        let protocol = headers
            .get(UPGRADE)
            .map_or(&b""[..], |value| value.as_bytes());
        let (stream, early) = connection.into_tunnel();
        Self {
            stream,
            early,
            upstream: Rc::clone(flight.upstream()),
            record,
            websocket: protocol.eq_ignore_ascii_case(b"websocket"),
        }
    }
}

impl Tunnel {
    /// It is not to be had after all, since the backend's answer is wrong.
    pub(crate) fn refuse(mut self) {
        self.record.broke_off();
    }
}

/// Relays until both halves are closed, or the tunnel's time is over. `early`: what the client has sent right behind its request.
pub(crate) async fn relay<S: TunnelEnd>(
    state: &Rc<Exchange>,
    client: S,
    early: Bytes,
    tunnel: Tunnel,
) {
    let Tunnel {
        mut stream,
        early: answer,
        upstream,
        mut record,
        websocket,
    } = tunnel;
    let mut client = Watched {
        state: Rc::clone(state),
        stream: client,
        frames: websocket.then(Rc::default),
        received: early.len() as u64,
        sent: 0,
        broken: false,
    };
    let frames = client.frames.clone();
    let at_boundary = || frames.as_ref().is_none_or(|f| f.borrow().at_boundary());
    let ended = {
        let mut copying = pin!(async {
            stream.write_all(&early).await?;
            stream.flush().await?;
            client.write_all(&answer).await?;
            // What TLS may have kept of it would otherwise wait for the backend's next word.
            client.flush().await?;
            copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER, BUFFER).await
        });
        let mut ends_at = None;
        let worker = &state.worker;
        poll_fn(|cx| {
            state.register(cx);
            if let Poll::Ready(result) = copying.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if state.is_cut().is_some() {
                return Poll::Ready(None);
            }
            let over = upstream.is_left() || upstream.is_abandoned() || worker.is_draining();
            if !over {
                ends_at = None;
                state.wait_until(0);
                return Poll::Pending;
            }
            let due = *ends_at.get_or_insert_with(|| {
                let due = worker.awake() + worker.drain_patience();
                state.wait_until(due);
                due
            });
            if worker.awake() >= due + LAST_FRAME || (worker.awake() >= due && at_boundary()) {
                return Poll::Ready(None);
            }
            if worker.awake() >= due {
                state.wait_until(due + LAST_FRAME);
            }
            Poll::Pending
        })
        .await
    };
    record.received(client.received);
    record.sent(usize::try_from(client.sent).unwrap_or(usize::MAX));
    let cut = ended.is_none();
    note(&mut record, ended, client.broken, &stream);
    record.finish();
    if cut {
        // The backend sees its client leave; only the client has to be told to come back.
        drop(stream);
        let told = websocket && at_boundary();
        client.stream.part(if told { &RESTART } else { b"" }).await;
    }
}

/// A client's side of a tunnel.
pub(crate) trait TunnelEnd: AsyncRead + AsyncWrite + Unpin {
    /// Says `words`, and that this is the end.
    async fn part(self, words: &[u8]);
}

impl<S: ClientStream> TunnelEnd for S {
    async fn part(mut self, words: &[u8]) {
        if !words.is_empty() {
            // What doesn't fit into the socket's buffer at once is for a client that doesn't read anyway.
            self.bid_farewell(words);
        }
        session::linger(self).await;
    }
}

/// The client's side, with a look at the frames that go to it.
struct Watched<S> {
    state: Rc<Exchange>,
    stream: S,
    /// `None`: not a WebSocket.
    frames: Option<Rc<RefCell<Frames>>>,
    /// Bytes that the client has sent.
    received: u64,
    /// Bytes that it has taken.
    sent: u64,
    /// It was the client's side that failed: a reset, or TLS that breaks off.
    broken: bool,
}

impl<S: TunnelEnd> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.received += (buffer.filled().len() - before) as u64;
        this.broken |= matches!(read, Poll::Ready(Err(_)));
        read
    }
}

impl<S: TunnelEnd> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            this.state.relay(*count);
            this.sent += *count as u64;
            if let Some(frames) = &this.frames {
                frames.borrow_mut().pass(&bytes[..*count]);
            }
        }
        this.broken |= matches!(written, Poll::Ready(Err(_)));
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// `left`: by the client, without a proper end.
fn note(
    record: &mut Record,
    ended: Option<io::Result<(u64, u64)>>,
    left: bool,
    stream: &BackendStream,
) {
    match ended {
        Some(Ok(_)) => {}
        // No fault of the backend's.
        Some(Err(_)) if left => record.ended("CD"),
        Some(Err(_)) => {
            record.broke_off();
            if !stream.takes_blame() {
                record.excuse();
            }
        }
        // Our own end of it.
        None => record.ended("PD"),
    }
}
