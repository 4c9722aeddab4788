//! `firedoor serve`: puts the two worlds together, and takes them apart again. Only this module spawns long-lived tasks.
//!
//! The control thread (this one) runs the monitor, the admin listener and the signals; each worker has a thread of its own.

mod access_log;
pub mod acme;
mod certificates;
mod listeners;
mod reload;
mod signals;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tracing::{error, info, warn};

use crate::admin;
use crate::cli::{FAILED, UNBOUND};
use crate::config::Config;
use crate::demo::Stage;
use crate::health::monitor::Monitor;
use crate::memory::{self, Unclaimed};
use crate::moment::Moment;
use crate::notify;
use crate::proxy::client::challenge::Challenges;
use crate::proxy::request::allowance::Allowances;
use crate::proxy::request::hold::Held;
use crate::proxy::request::shed::Demands;
use crate::shutdown::{Phase, Readiness};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::counters::Counters;
use crate::telemetry::meter::Meter;
use crate::telemetry::trace;
use crate::telemetry::traffic::Sampler;
use crate::worker::crew::{self, Foreman, Order, Parts};

use listeners::Listeners;
use reload::Reloader;
use signals::{Signal, Signals};

pub use reload::{ReloadError, ReloadHandle, Reloaded, Standing};

/// Observations on their way to the monitor; what doesn't fit is news that it has already.
const OBSERVATIONS: usize = 1024;

/// Runs until a signal ends it. Exit codes: 0 fine, 1 failed while running, 4 could not bind.
/// `file` is read again at every reload; `None` (demo) means that the configuration can't be reloaded. `demo` can be broken from the
/// admin listener.
pub(crate) fn run(config: Config, file: Option<PathBuf>, demo: Option<Stage>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = LocalSet::new().block_on(&runtime, serve(Arc::new(config), file, demo));
            // Dropping it would wait for its blocking threads: a DNS look-up that hangs for half a minute, a disk that hangs
            // for good.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            error!("can't start: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Why the process can't start: what to say, and the exit code.
struct Failure(String, u8);

async fn serve(config: Arc<Config>, file: Option<PathBuf>, demo: Option<Stage>) -> ExitCode {
    match start(config, file, demo).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message, code)) => {
            error!("{message}");
            ExitCode::from(code)
        }
    }
}

async fn start(
    config: Arc<Config>,
    file: Option<PathBuf>,
    demo: Option<Stage>,
) -> Result<(), Failure> {
    let started = Moment::now();
    raise_descriptor_limit();
    let workers = worker_count(&config);

    // Everything that can fail comes first, so that a failure leaves nothing behind. The claim is the very first: a second
    // process could bind the listeners of the first, and would take requests away from it.
    let _claim = claim(&config.server.state_dir)?;
    let mut signals =
        Signals::new().map_err(|error| Failure(format!("no signals: {error}"), FAILED))?;
    let mut listeners = Listeners::new(workers);
    let added = listeners.bind_new(&config).map_err(|problems| {
        let said: Vec<String> = problems.into_iter().map(|one| one.message).collect();
        Failure(said.join("; "), UNBOUND)
    })?;
    let admin_listener = admin::Listener::bind(&config.admin.bind).map_err(|error| {
        Failure(
            format!("admin listener {}: {error}", config.admin.bind),
            UNBOUND,
        )
    })?;
    let counters = Counters::new(workers);
    let (access_log, log_writer) = AccessLog::open(&config.access_log.target, counters.clone())
        .map_err(|error| {
            let problem = access_log::unopened(&config.access_log.target, &error);
            Failure(problem.to_string(), FAILED)
        })?;

    // What is stored serves from the first handshake on.
    acme::equip(&config);
    let challenges = Challenges::default();

    let (observations, observed) = mpsc::channel(OBSERVATIONS);
    let (monitor, monitor_handle, subscriber) =
        Monitor::build(Arc::clone(&config), workers, observed);
    let held = Held::default();
    let (traces, exporter) = trace::channel();
    let meter = Meter::new(workers);
    let monitor = monitor.with_counters(counters.clone(), started.instant);
    let foremen = start_workers(
        workers,
        &Parts {
            started: started.instant,
            subscriber: subscriber.clone(),
            observations,
            counters: counters.clone(),
            meter: meter.clone(),
            access_log: access_log.clone(),
            traces: traces.clone(),
            challenges: challenges.clone(),
            held: held.clone(),
            demands: Demands::default(),
            allowances: Allowances::default(),
        },
    )
    .map_err(|error| Failure(format!("can't start a worker: {error}"), FAILED))?;
    let foremen = Arc::new(foremen);

    // Before the monitor runs, so that it misses nothing.
    let events = monitor_handle.entries();
    let readiness = Readiness::default();
    let (reload, reload_requests) = ReloadHandle::new(file.clone());
    let (stop_monitor, monitor_stopped) = oneshot::channel::<()>();
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let monitor_task = tokio::task::spawn_local(monitor.run(async {
        monitor_stopped.await.ok();
    }));
    let certificates = tokio::task::spawn_local(certificates::watch(subscriber.clone()));
    let (stop_exporter, exporter_stopped) = oneshot::channel::<()>();
    let exporter = tokio::task::spawn_local(exporter.run(subscriber.clone(), async {
        exporter_stopped.await.ok();
    }));
    let (sampler, traffic) = Sampler::new(
        meter.clone(),
        counters.clone(),
        held.counter(),
        subscriber.clone(),
    );
    let sampling = tokio::task::spawn_local(sampler.run());
    let orders = acme::OrderBook::default();
    let acme = tokio::task::spawn_local(acme::keep(subscriber.clone(), challenges, orders.clone()));
    let board = notify::Board::default();
    let (stop_notifier, notifier_stopped) = oneshot::channel::<()>();
    let notifier = tokio::task::spawn_local(notify::run(
        monitor_handle.clone(),
        events,
        subscriber.clone(),
        board.clone(),
        async {
            notifier_stopped.await.ok();
        },
    ));
    let context = admin::Context {
        monitor: monitor_handle.clone(),
        snapshot: subscriber,
        readiness: readiness.clone(),
        reload: reload.clone(),
        started,
        token: config.admin.token.clone(),
        held: held.counter(),
        counters: counters.clone(),
        board,
        spans: Arc::clone(traces.progress()),
        meter: meter.clone(),
        traffic,
        orders,
        demo,
    };
    let admin_task = tokio::task::spawn_local(admin::serve(admin_listener, context, async {
        admin_stopped.await.ok();
    }));

    listeners.open(added, &foremen);
    announce(&config, workers);
    readiness.enter(Phase::Ready);

    let drain_timeout = {
        let mut reloader = Reloader {
            file,
            started: (config.server.clone(), config.admin.clone()),
            config,
            listeners,
            foremen: Arc::clone(&foremen),
            monitor: monitor_handle,
            access_log: access_log.clone(),
            handle: reload,
        };
        run_until_told_to_end(&mut signals, reload_requests, &mut reloader, &access_log).await;
        readiness.enter(Phase::Draining);
        reloader.config.server.drain_timeout
    };

    info!("draining: nothing new is accepted, what is in flight has {drain_timeout:?} to finish");
    let forced = drain(&foremen, drain_timeout, &mut signals).await;
    certificates.abort();
    acme.abort();
    sampling.abort();
    stop_admin.send(()).ok();
    stop_monitor.send(()).ok();
    // The workers have ended: what they have told is all there is.
    stop_exporter.send(()).ok();
    let ended = async {
        admin_task.await.ok();
        monitor_task.await.ok();
    };
    if tokio::time::timeout(Duration::from_secs(2), ended)
        .await
        .is_err()
    {
        warn!("the monitor did not end in time");
    }
    // Both end by themselves, within bounds.
    stop_notifier.send(()).ok();
    notifier.await.ok();
    exporter.await.ok();
    log_writer.end();
    info!(requests = meter.requests(), forced, "stopped");
    Ok(())
}

/// Makes the state directory ours alone. One that can't be used doesn't keep us from serving.
fn claim(directory: &Path) -> Result<Option<File>, Failure> {
    let place = directory.display();
    match memory::claim(directory) {
        Ok(claim) => Ok(Some(claim)),
        Err(Unclaimed::Taken(owner)) => {
            let owner = owner.map_or("another process".to_owned(), |id| format!("process {id}"));
            let message = format!(
                "{place} is in use by {owner}: end that one first, or give each its own state_dir"
            );
            Err(Failure(message, FAILED))
        }
        Err(Unclaimed::Unusable(error)) => {
            error!(
                "{place} can't be used, so a restart will forget the active zone, pins and maintenance: {error}"
            );
            Ok(None)
        }
    }
}

async fn run_until_told_to_end(
    signals: &mut Signals,
    mut requests: mpsc::Receiver<reload::Request>,
    reloader: &mut Reloader,
    access_log: &AccessLog,
) {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::End => return,
                Signal::Reload => tokio::select! {
                    () = reloader.obey("HUP") => {}
                    () = signals.end() => return,
                },
                Signal::ReopenLogs => {
                    info!("reopening the access log");
                    access_log.reopen();
                }
                Signal::Unsupported(name) => warn!("{name} has no meaning yet; ignored"),
            },
            // A disk that hangs makes a reload long. It must not keep the process from ending.
            Some(request) = requests.recv() => tokio::select! {
                () = reloader.answer(request) => {}
                () = signals.end() => return,
            },
        }
    }
}

fn start_workers(workers: usize, parts: &Parts) -> io::Result<Vec<Foreman>> {
    (0..workers)
        .map(|index| crew::start(index, parts.clone()))
        .collect()
}

/// Waits until the workers have finished, or until a second signal. Returns whether it was forced.
async fn drain(foremen: &[Foreman], within: Duration, signals: &mut Signals) -> bool {
    for foreman in foremen {
        foreman.orders.send(Order::Drain(within)).ok();
    }
    let finished = async {
        while !foremen.iter().all(|foreman| foreman.thread.is_finished()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = finished => false,
        () = signals.end() => {
            warn!("told to end twice: ending at once");
            true
        }
    }
}

fn worker_count(config: &Config) -> usize {
    config.server.workers.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        |workers| workers.get() as usize,
    )
}

/// A connection costs a descriptor on each side. The soft limit is usually 1024, from a time of `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files stays where it is");
    }
}

fn announce(config: &Config, workers: usize) {
    for listener in &config.listeners {
        info!("listening on {}", listener.bind);
    }
    info!("admin listener on {}", config.admin.bind);
    let zones: Vec<&str> = config.zones.iter().map(|zone| &*zone.name).collect();
    info!(
        workers,
        "firedoor {} serves {}",
        env!("CARGO_PKG_VERSION"),
        zones.join(", ")
    );
}
