//! Tunnels: after a backend's 101, and only then, bytes pass both ways as they come. Either side may close its half first.
//!
//! A tunnel doesn't count as a request in flight: a planned flip would otherwise wait for every open WebSocket. It ends
//! `drain_timeout` after its zone was left or the process began to drain, spread by jitter, so that not all clients come
//! back at once.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;

use super::connections::Connection;
use super::downstream::Downstream;
use super::record::Record;
use super::upstream::{InFlight, Upstream};

/// Each direction's buffer, in bytes.
const BUFFER: usize = 16 * 1024;

/// The backend's side of a tunnel.
pub(crate) struct Tunnel {
    stream: TcpStream,
    /// What the backend has sent right behind its 101.
    early: Bytes,
    upstream: Rc<Upstream>,
    record: Box<Record>,
}

impl Tunnel {
    pub(crate) fn new(connection: Box<Connection>, flight: InFlight, record: Box<Record>) -> Self {
        let (stream, early) = connection.into_tunnel();
        Self {
            stream,
            early,
            upstream: Rc::clone(flight.upstream()),
            record,
        }
    }
}

/// Relays until both halves are closed, or the tunnel's time is over. `early`: what the client has sent right behind its request.
pub(crate) async fn relay(
    state: &Rc<Downstream>,
    mut client: TcpStream,
    early: Bytes,
    tunnel: Tunnel,
) {
    let Tunnel {
        mut stream,
        early: answer,
        upstream,
        mut record,
    } = tunnel;
    let ended = {
        let mut copying = pin!(async {
            stream.write_all(&early).await?;
            client.write_all(&answer).await?;
            copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER, BUFFER).await
        });
        let mut ends_at = None;
        let worker = &state.worker;
        poll_fn(|cx| {
            state.register(cx);
            if let Poll::Ready(result) = copying.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            let over = upstream.is_left() || upstream.is_abandoned() || worker.is_draining();
            if !over {
                ends_at = None;
                state.wait_until(0);
                return Poll::Pending;
            }
            let due = *ends_at.get_or_insert_with(|| {
                let due = worker.now() + worker.drain_patience();
                state.wait_until(due);
                due
            });
            if worker.now() >= due {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    };
    note(&mut record, ended);
    record.finish();
}

fn note(record: &mut Record, ended: Option<io::Result<(u64, u64)>>) {
    match ended {
        Some(Ok((received, sent))) => {
            record.received(received);
            record.sent(usize::try_from(sent).unwrap_or(usize::MAX));
        }
        Some(Err(_)) => record.broke_off(),
        // Our own end of it.
        None => record.ended("PD"),
    }
}
