//! Watches the files of TLS, towards clients, backends and whom else is checked: what has changed comes into force for the
//! handshakes to come, without a reload, and without touching a connection.
//!
//! The files are read, not watched by the kernel: that knows nothing of a file behind a symbolic link that moves (Kubernetes), nor of one
//! on a network file system, and a few kilobytes every two seconds cost nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::config::{Config, TlsClient, TlsServer, texts};
use crate::snapshot::Subscriber;

/// Between two looks. A change counts once two looks have seen the same, so that nothing half-written is judged.
const PERIOD: Duration = Duration::from_secs(2);

/// Never ends by itself.
pub(super) async fn watch(snapshot: Subscriber) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watches: Vec<Watch> = Vec::new();
    loop {
        ticks.tick().await;
        watches = of_now(&snapshot.current().config, watches);
        if watches.is_empty() {
            continue;
        }
        // The disk may hang; then so does this, and nothing else.
        let looking = tokio::task::spawn_blocking(move || {
            watches.iter_mut().for_each(Watch::look);
            watches
        });
        watches = looking.await.unwrap_or_default();
    }
}

/// A watch for whatever is made of files: one of those `known`, unless a reload has changed it.
fn of_now(config: &Config, mut known: Vec<Watch>) -> Vec<Watch> {
    let listeners = config.listeners.iter();
    let servers = listeners.filter_map(|listener| {
        let server = listener.tls.clone()?;
        Some((format!("listener {}", listener.bind), Side::Server(server)))
    });
    let clients = config.renewable_clients().into_iter();
    let clients = clients.map(|(label, client)| (label, Side::Client(client)));
    let watches = servers.chain(clients).map(|(label, side)| {
        let at = known.iter().position(|watch| watch.side.is(&side));
        match at {
            Some(at) => known.swap_remove(at),
            None => Watch::new(label, side),
        }
    });
    watches.collect()
}

/// Which end of TLS we are.
enum Side {
    Server(TlsServer),
    Client(TlsClient),
}

impl Side {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server(ours), Self::Server(theirs)) => ours.is(theirs),
            (Self::Client(ours), Self::Client(theirs)) => ours.is(theirs),
            _ => false,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Server(server) => server.files().map(PathBuf::from).collect(),
            Self::Client(client) => client.files(),
        }
    }

    fn renew(&self, texts: &[String]) -> Result<bool, String> {
        match self {
            Self::Server(server) => server.renew(texts),
            Self::Client(client) => client.renew(texts),
        }
    }
}

/// What has been seen of its files.
struct Watch {
    label: String,
    side: Side,
    /// At the last look; a hash of all that was read, or of why it couldn't be.
    seen: Option<u64>,
    /// What was put in force or refused last.
    judged: Option<u64>,
    failing: bool,
}

impl Watch {
    fn new(label: String, side: Side) -> Self {
        Self {
            label,
            side,
            seen: None,
            judged: None,
            failing: false,
        }
    }

    fn look(&mut self) {
        let files = self.side.files();
        let texts = texts(files.iter().map(PathBuf::as_path));
        let seen = Some(hash(&texts));
        let settled = self.seen == seen;
        self.seen = seen;
        if !settled || self.judged == seen {
            return;
        }
        self.judged = seen;
        let renewed = texts.and_then(|texts| self.side.renew(&texts));
        let label = &self.label;
        match &renewed {
            Ok(true) => self.announce(),
            Ok(false) if self.failing => {
                info!("{label}: its certificate files are in order again")
            }
            Ok(false) => {}
            Err(error) => error!(
                "{label}: its certificate files have changed, but the old certificates stay in force: {error}"
            ),
        }
        self.failing = renewed.is_err();
    }

    fn announce(&self) {
        let label = &self.label;
        let Side::Server(server) = &self.side else {
            info!("{label}: its certificate files have changed, and are in force from now on");
            return;
        };
        for certificate in server.certificates() {
            info!(
                "{label}: its certificate files have changed; in force from now on: {certificate}"
            );
            if let Some(flaw) = certificate.validity().flaw(Timestamp::now()) {
                warn!("{label}: the certificate {flaw}");
            }
        }
    }
}

fn hash(texts: &Result<Vec<String>, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}
