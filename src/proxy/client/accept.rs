//! Accepting client connections on one worker's own listening socket.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::downstream::Downstream;
use super::handshake;
use super::session;
use super::vestibule;
use super::visitor::Visitor;
use crate::config::Listener;
use crate::proxy::request::allowance::{self, Excess};
use crate::proxy::request::view::View;
use crate::worker::Worker;

/// How many are let in between two looks at the network: a crowd that comes at once takes turns with those who are there. Not one at a time:
/// where a worker has more to do than it can, there is one look for each sixty polls of tasks, and newcomers would wait for seconds.
const FEW: usize = 8;

/// What all workers' sockets of one listener share.
#[derive(Clone, Debug)]
pub struct Door {
    /// Which `[[listener]]`.
    pub bind: SocketAddr,
    open: Arc<AtomicUsize>,
}

/// A place among the connections of a listener, given up when it is dropped.
pub(in crate::proxy) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Door {
    /// For a listener that nobody has connected to yet.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            open: Arc::default(),
        }
    }
}

/// Accepts until told to `stop`, then takes what the kernel has queued already, so that nobody is refused who was let in.
pub(crate) async fn run(worker: Rc<Worker>, listener: TcpListener, door: Door, stop: Rc<Notify>) {
    let mut taken: usize = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.notified() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let told_to_stop = !wait_for_seat(&worker, &door, &stop).await;
                serve(&worker, &door, stream, peer);
                if told_to_stop {
                    break;
                }
                taken += 1;
                if taken.is_multiple_of(FEW) {
                    // This goes on after a look at the network.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => {
                if let Some(wait) = refuse(&error) {
                    tokio::select! {
                        () = stop.notified() => break,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }
    for (stream, peer) in queued(listener) {
        door.open.fetch_add(1, Ordering::AcqRel);
        serve(&worker, &door, stream, peer);
    }
}

/// Takes a seat for a connection that has been accepted already; the kernel's queue holds those who come after it. When told to
/// stop it waits no longer, and says `false`: nobody is refused who was let in.
async fn wait_for_seat(worker: &Rc<Worker>, door: &Door, stop: &Notify) -> bool {
    loop {
        let max = settings(&worker.view(), door).map_or(usize::MAX, |l| l.max_connections);
        let taken = door
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open < max).then_some(open + 1)
            });
        if taken.is_ok() {
            return true;
        }
        tokio::select! {
            biased;
            () = stop.notified() => {
                door.open.fetch_add(1, Ordering::AcqRel);
                return false;
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

/// What is configured for the listener, or for the first one if a reload has just removed it.
pub(in crate::proxy) fn settings<'v>(view: &'v View, door: &Door) -> Option<&'v Listener> {
    let listeners = &view.snapshot.config.listeners;
    let same = listeners.iter().find(|l| l.bind == door.bind);
    same.or(listeners.first())
}

/// Serves a connection that has its seat.
fn serve(worker: &Rc<Worker>, door: &Door, stream: TcpStream, peer: SocketAddr) {
    let seat = Seat(Arc::clone(&door.open));
    let view = worker.view();
    let Some(settings) = settings(&view, door) else {
        return;
    };
    // A failure here means that the client is gone already; the read will say so.
    let _set = stream.set_nodelay(true);
    worker.counters().connections.add(1);
    if settings.proxy_protocol {
        vestibule::enter(worker, door, stream, peer, settings, seat);
    } else {
        let visitor = Visitor::direct(peer, settings);
        begin(worker, stream, visitor, settings, seat, None);
    }
}

/// Serves the connection of a client that is known. `before` is what it has been until then, whose clock goes on.
pub(in crate::proxy) fn begin(
    worker: &Rc<Worker>,
    stream: TcpStream,
    mut visitor: Visitor,
    settings: &Listener,
    seat: Seat,
    before: Option<&Downstream>,
) {
    let place = match allowance::connection(worker, &visitor) {
        Ok(place) => place,
        Err(excess) => return turn_away(worker, &stream, &visitor, excess),
    };
    if visitor.destination.is_none() && worker.view().announces {
        visitor.destination = stream.local_addr().ok();
    }
    let state = Downstream::new(Rc::clone(worker), visitor, settings);
    if let Some(before) = before {
        state.keep_time_of(before);
    }
    let gone = move || drop((seat, place));
    match &settings.tls {
        None if settings.h2c => {
            worker.admit(
                &state,
                session::serve_either(Rc::clone(&state), stream),
                gone,
            );
        }
        None => worker.admit(
            &state,
            session::http1::serve(Rc::clone(&state), stream),
            gone,
        ),
        Some(tls) => {
            let serving = handshake::serve(Rc::clone(&state), stream, tls.clone());
            worker.admit(&state, serving, gone);
        }
    }
}

/// Ends a connection that is more than its client may have, with as little ado as possible: by a reset, which leaves nothing behind.
fn turn_away(worker: &Worker, stream: &TcpStream, visitor: &Visitor, excess: Excess) {
    let counters = worker.counters();
    match excess {
        Excess::Rate => counters.connections_limited.add(1),
        Excess::Number => counters.connections_crowded.add(1),
    }
    worker.complain(visitor.address, &excess.to_string());
    let _set = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Errors of the one connection (it was reset in the queue) don't count; out of descriptors or memory, accepting again at once
/// would only spin.
fn refuse(error: &io::Error) -> Option<Duration> {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return None;
    }
    tracing::warn!(%error, "can't accept a connection; trying again in 100 ms");
    Some(Duration::from_millis(100))
}

/// Those whom the kernel has let in. Asked of the socket itself: the runtime knows only of those whom it has heard of.
fn queued(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std();
    std::iter::from_fn(move || {
        let (stream, peer) = listener.as_ref().ok()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
}
