//! Watches the files of `[listener.tls]`: what has changed comes into force for the handshakes to come, without a reload, and
//! without touching a connection.
//!
//! The files are read, not watched by the kernel: that knows nothing of a file behind a symbolic link that moves (Kubernetes), nor of one
//! on a network file system, and a few kilobytes every two seconds cost nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::config::{Config, TlsServer, texts};
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

/// A watch for each listener with TLS: one of those `known`, unless a reload has changed it.
fn of_now(config: &Config, mut known: Vec<Watch>) -> Vec<Watch> {
    let listeners = config.listeners.iter();
    let servers = listeners.filter_map(|listener| Some((listener.bind, listener.tls.as_ref()?)));
    let watches = servers.map(|(bind, server)| {
        let at = known.iter().position(|watch| watch.server.is(server));
        match at {
            Some(at) => known.swap_remove(at),
            None => Watch::new(bind, server.clone()),
        }
    });
    watches.collect()
}

/// What has been seen of a listener's files.
struct Watch {
    bind: SocketAddr,
    server: TlsServer,
    /// At the last look; a hash of all that was read, or of why it couldn't be.
    seen: Option<u64>,
    /// What was put in force or refused last.
    judged: Option<u64>,
    failing: bool,
}

impl Watch {
    fn new(bind: SocketAddr, server: TlsServer) -> Self {
        Self {
            bind,
            server,
            seen: None,
            judged: None,
            failing: false,
        }
    }

    fn look(&mut self) {
        let texts = texts(self.server.files());
        let seen = Some(hash(&texts));
        let settled = self.seen == seen;
        self.seen = seen;
        if !settled || self.judged == seen {
            return;
        }
        self.judged = seen;
        let renewed = texts.and_then(|texts| self.server.renew(&texts));
        let bind = self.bind;
        match &renewed {
            Ok(true) => self.announce(),
            Ok(false) if self.failing => {
                info!("listener {bind}: its certificate files are in order again")
            }
            Ok(false) => {}
            Err(error) => error!(
                "listener {bind}: its certificate files have changed, but the old certificates stay in force: {error}"
            ),
        }
        self.failing = renewed.is_err();
    }

    fn announce(&self) {
        let bind = self.bind;
        for certificate in self.server.certificates() {
            info!(
                "listener {bind}: its certificate files have changed; in force from now on: {certificate}"
            );
            if let Some(flaw) = certificate.validity().flaw(Timestamp::now()) {
                warn!("listener {bind}: the certificate {flaw}");
            }
        }
    }
}

fn hash(texts: &Result<Vec<String>, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}
