//! The admin listener: health, status, journal, operator actions. Runs on the control thread and shares nothing with the data
//! path but the bridge, so that an operator gets an answer however busy the workers are.

mod api;
mod certificates;
mod dashboard;
mod demo;
mod drill;
mod endpoint;
mod events;
mod guard;
mod health;
mod journal;
mod listener;
mod metrics;
mod openapi;
mod order;
mod plan;
mod problem;
mod seats;
mod status;
#[cfg(test)]
mod tests;
mod traffic;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::config::Secret;
use crate::demo::Stage;
use crate::health::monitor::MonitorHandle;
use crate::moment::Moment;
use crate::notify::Board;
use crate::serve::ReloadHandle;
use crate::serve::acme::OrderBook;
use crate::shutdown::Readiness;
use crate::snapshot::Subscriber;
use crate::telemetry::counters::Counters;
use crate::telemetry::meter::Meter;
use crate::telemetry::trace::Progress;
use crate::telemetry::traffic::Feed;

pub(crate) use drill::length_of;
use events::{End, Outlet, Pump};
pub(crate) use guard::{Caller, check_origin};
pub use listener::Listener;
pub(crate) use order::OPERATOR;
use seats::Seats;

/// What the admin listener knows and may do.
#[derive(Debug)]
pub struct Context {
    /// The state of everything, and the ear for operator commands.
    pub monitor: MonitorHandle,
    /// What the data path routes by.
    pub snapshot: Subscriber,
    /// What `/readyz` answers by.
    pub readiness: Readiness,
    /// Puts the configuration file in force again.
    pub reload: ReloadHandle,
    /// When the process started.
    pub started: Moment,
    /// Required of every request but `/livez` and `/readyz`, where configured.
    pub token: Option<Secret>,
    /// Requests that wait for a zone now, over all workers.
    pub held: Arc<AtomicUsize>,
    /// What the workers have counted.
    pub counters: Counters,
    /// How it stands with those who are told of events.
    pub board: Board,
    /// What has become of all spans.
    pub spans: Arc<Progress>,
    /// What they have counted of requests.
    pub meter: Meter,
    /// What of it has happened within the last second; whoever wants each sample clones it.
    pub traffic: Feed,
    /// How it stands with certificates by ACME.
    pub orders: OrderBook,
    /// What can be broken, where this is a demo.
    pub(crate) demo: Option<Stage>,
}

/// For a request head, and for an idle connection to send one: nobody can sit on a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// For a client that doesn't read its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes on their way to a client.
const SEND_BUFFER: usize = 128 * 1024;
/// Bytes of a request head.
const MAX_HEAD: usize = 16 * 1024;
/// For answers that are on their way when the listener ends.
const GRACE: Duration = Duration::from_secs(1);

/// Answers requests on `listener` until `shutdown` is ready. The answers under way then get a second to end.
///
/// Must run in a tokio runtime with IO and time.
pub async fn serve(listener: Listener, context: Context, shutdown: impl Future<Output = ()>) {
    let context = Arc::new(context);
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let feed = Arc::new(events::Feed::new());
    connections.spawn(Arc::clone(&feed).keep(Arc::clone(&context), closing.subscribe()));
    let mut seats = Seats::default();
    let mut shutdown = pin!(shutdown);
    let acceptor = match listener.into_acceptor() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            warn!(%error, "admin listener can't be used");
            return;
        }
    };
    loop {
        // One more waits in the kernel's queue.
        let full = seats.are_taken();
        tokio::select! {
            () = &mut shutdown => break,
            () = tokio::time::sleep(seats::PATIENCE), if full => seats.make_room(),
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = acceptor.accept(), if !full => match accepted {
                Ok(listener::Accepted::Tcp(stream, caller, peer)) => {
                    // hyper has no timeout for writes; the kernel's own cuts a peer whose window stays shut.
                    if let Err(error) =
                        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT))
                    {
                        debug!(%error, "admin connection without a write timeout");
                    }
                    // By itself it grows to megabytes for each client that doesn't read.
                    if let Err(error) = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER) {
                        debug!(%error, "admin connection without a bound on what is under way");
                    }
                    let (outlet, streams) = Outlet::new(&feed, peer, closing.subscribe());
                    let manners = outlet.manners.clone();
                    let served = connection(stream, caller, Arc::clone(&context), outlet, streams);
                    seats.take(manners, connections.spawn(served));
                }
                Ok(listener::Accepted::Unix(stream, peer)) => {
                    let (outlet, streams) = Outlet::new(&feed, peer, closing.subscribe());
                    let manners = outlet.manners.clone();
                    let served = connection(stream, Caller::Unix, Arc::clone(&context), outlet, streams);
                    seats.take(manners, connections.spawn(served));
                }
                Err(error) => {
                    // Mostly "too many open files": accepting again at once would spin.
                    warn!(%error, "admin listener can't accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(acceptor);
    closing.send_replace(true);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_gone).await.is_err() {
        debug!("admin connections cut at the end of the process");
    }
}

async fn connection<S>(
    stream: S,
    caller: Caller,
    context: Arc<Context>,
    outlet: Outlet,
    streams: mpsc::Receiver<Pump>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut closing = outlet.closing.clone();
    let outlet = Arc::new(outlet);
    let service = service_fn(|request| {
        let (context, outlet) = (Arc::clone(&context), Arc::clone(&outlet));
        let asking = outlet.manners.ask();
        async move {
            let _asking = asking;
            Ok::<_, Infallible>(api::answer(request, caller, &context, &outlet).await)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut filling = pin!(fill(streams));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = &mut filling => {
            debug!("admin connection cut: its stream isn't read");
            return;
        }
        () = async { closing.wait_for(|closing| *closing).await.ok(); } => {
            connection.as_mut().graceful_shutdown();
            // A stream ends by itself now, if it is let.
            tokio::select! {
                ended = connection => ended,
                () = filling => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "admin connection broke off");
    }
}

/// Fills the streams of a connection, one after the other, until one has to be cut.
async fn fill(mut streams: mpsc::Receiver<Pump>) {
    while let Some(pump) = streams.recv().await {
        if pump.run().await == End::Cut {
            return;
        }
    }
    std::future::pending().await
}
