//! Connections to servers that hang: probe after probe waits on the same one for the greeting.
//!
//! Elsewhere a probe has a connection of its own, since an old one hides a firewall. But whoever leaves a server that hangs stays in
//! its queue, and may count as one who has broken off when it wakes up: a hundred seconds of probes, and it would wake up and
//! block us. So a server that doesn't greet is waited for, and no connection to it is given up. Keepalive ends one within seconds
//! when nothing is on the other side any more. A fresh one is added whenever the time has doubled: there may be somebody
//! between us and the server who would by now choose another server for it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::time::Instant;

use super::talk::Talk;
use crate::health::probe::{Finding, Subject, tcp};
use crate::introduction::Version;
use crate::zone::ComponentKey;

/// How long the first connection is the only one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last ones are the newest.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// As many as within seven hours, and those that a burst of confirming probes adds.
const MOST: usize = 20;
/// Nobody comes back for a connection after this time: its component is no more.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// A connection whose server hasn't greeted yet.
pub(super) struct Waiter {
    pub(super) talk: Talk,
    since: Instant,
    patience: Duration,
}

impl Waiter {
    /// Connects to `subject`.
    pub(super) async fn connect(
        subject: Subject<'_>,
        patience: Duration,
        introduces: Option<Version>,
        deadline: Instant,
    ) -> Result<Self, Finding> {
        let stream = tcp::connect(subject.address, introduces, deadline).await?;
        let second = Duration::from_secs(1);
        let keepalive = TcpKeepalive::new()
            .with_time(second)
            .with_interval(second)
            .with_retries(3);
        SockRef::from(&stream)
            .set_tcp_keepalive(&keepalive)
            .map_err(|error| tcp::no_socket(&error))?;
        Ok(Self {
            talk: Talk::new(stream, deadline),
            since: Instant::now(),
            patience,
        })
    }

    /// Whether there needn't be another one.
    pub(super) fn is_patient(&self) -> bool {
        self.since.elapsed() < self.patience
    }
}

/// How long a connection will be the newest that joins these.
pub(super) fn patience(waiters: &[Waiter]) -> Duration {
    let last = waiters.last().map(|waiter| waiter.patience * 2);
    last.map_or(PATIENCE, |twice| twice.min(LONGEST_PATIENCE))
}

/// The connections, by component.
#[derive(Clone, Default)]
pub(in crate::health::probe) struct Waiting(Arc<Mutex<HashMap<ComponentKey, Queue>>>);

struct Queue {
    address: SocketAddr,
    /// The newest is the last.
    waiters: Vec<Waiter>,
    since: Instant,
}

impl Waiting {
    /// What the last probe of `subject` has left.
    pub(super) fn take(&self, subject: Subject<'_>) -> Vec<Waiter> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| queue.since.elapsed() < FORGOTTEN);
        match queues.remove(subject.component) {
            Some(queue) if queue.address == subject.address => queue.waiters,
            _ => Vec::new(),
        }
    }

    /// Leaves `waiters` to the next probe of `subject`.
    pub(super) fn leave(&self, subject: Subject<'_>, mut waiters: Vec<Waiter>) {
        if waiters.is_empty() {
            return;
        }
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of probes that overlap only the first has found what was there; the others have connected anew.
        if let Some(queue) = queues.remove(subject.component)
            && queue.address == subject.address
        {
            waiters.extend(queue.waiters);
            waiters.sort_by_key(|waiter| waiter.since);
        }
        waiters.drain(..waiters.len().saturating_sub(MOST));
        let queue = Queue {
            address: subject.address,
            waiters,
            since: Instant::now(),
        };
        queues.insert(subject.component.clone(), queue);
    }
}

/// Tells those of `waiters` that their server has greeted meanwhile from those that still wait. The rest is broken.
pub(super) async fn look(waiters: Vec<Waiter>, deadline: Instant) -> (Vec<Talk>, Vec<Waiter>) {
    let (mut greeted, mut waiting) = (Vec::new(), Vec::new());
    for mut waiter in waiters {
        match waiter.talk.is_greeted(Instant::now()).await {
            Ok(true) => {
                waiter.talk.extend(deadline);
                greeted.push(waiter.talk);
            }
            Ok(false) => waiting.push(waiter),
            Err(_) => {}
        }
    }
    (greeted, waiting)
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting(…)")
    }
}
