//! The workers from outside: what they are made of, how they are started, what they may be told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use super::Worker;
use crate::outcome::Observation;
use crate::proxy::client::accept::Door;
use crate::proxy::client::challenge::Challenges;
use crate::proxy::request::allowance::Allowances;
use crate::proxy::request::hold::Held;
use crate::proxy::request::shed::Demands;
use crate::snapshot::Subscriber;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::counters::Counters;
use crate::telemetry::meter::Meter;
use crate::telemetry::trace::Traces;

/// What a worker is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// When everybody's clock was at 0, so that workers can compare times.
    pub started: Instant,
    /// Where requests may go.
    pub subscriber: Subscriber,
    /// Where trouble with backends is reported.
    pub observations: mpsc::Sender<Observation>,
    /// Everybody's counters.
    pub counters: Counters,
    /// What everybody counts of requests.
    pub meter: Meter,
    /// The access log's writer.
    pub access_log: AccessLog,
    /// Where spans of requests go.
    pub traces: Traces,
    /// What authorities may ask, to see that a name is ours.
    pub challenges: Challenges,
    /// The requests that wait, over all workers.
    pub held: Held,
    /// The requests of pools that not everybody is let into, over all workers.
    pub demands: Demands,
    /// What each client has taken, over all workers.
    pub allowances: Allowances,
}

/// What a worker may be told.
#[derive(Debug)]
pub enum Order {
    /// Accept on this socket, which is listening already.
    Listen(TcpListener, Door),
    /// Stop accepting for this `[[listener]]`; its connections stay.
    Unlisten(SocketAddr),
    /// Stop accepting, finish what is in flight, end within this time.
    Drain(Duration),
}

/// The one who gives orders to a worker, and waits for its end.
#[derive(Debug)]
pub struct Foreman {
    /// Gives orders.
    pub orders: mpsc::UnboundedSender<Order>,
    /// Ends with the worker.
    pub thread: JoinHandle<()>,
}

/// Starts worker `index` on a thread of its own.
///
/// # Errors
/// The thread can't be started.
pub fn start(index: usize, parts: Parts) -> io::Result<Foreman> {
    // Unbounded: a handful of orders in a process's life, none of which may be lost or waited for.
    let (orders, inbox) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(super::new_turn)
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(Worker::new(index, parts).run(inbox)),
                Err(error) => tracing::error!(%error, "worker {index} can't start"),
            }
        })?;
    Ok(Foreman { orders, thread })
}
