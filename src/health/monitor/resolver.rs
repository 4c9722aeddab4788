//! DNS names of components: looked up in the background, again and again; nothing ever waits for it but a probe of a name
//! that has not been answered for once.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::{Address, Config};

/// Between two look-ups of a name that resolves. `getaddrinfo` doesn't tell a record's own time to live.
const REFRESH: Duration = Duration::from_secs(10);
/// Between two look-ups of a name that has never resolved.
const RETRY: Duration = Duration::from_secs(1);

/// Every name of the configuration with its last good answer.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    names: HashMap<Name, Known>,
    /// At most one for each name: a name server that doesn't answer blocks a thread per look-up for up to half a minute, and
    /// there must be no more of these than names.
    lookups: JoinSet<(Name, io::Result<Vec<SocketAddr>>)>,
}

/// A host and a port.
type Name = (Arc<str>, u16);

#[derive(Debug)]
struct Known {
    answer: watch::Sender<Answer>,
    /// When to look it up next; `None` while that is under way.
    next: Option<Instant>,
}

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The last good answer: kept when a later look-up fails, since an address that served a minute ago is a better guess
    /// than none, and the checks will tell.
    address: Option<SocketAddr>,
    /// Why the last look-up failed.
    problem: Option<String>,
}

/// Where a probe shall go.
#[derive(Debug)]
pub(super) enum Target {
    Ip(SocketAddr),
    Name(Arc<str>, watch::Receiver<Answer>),
}

impl Resolver {
    /// Takes up the names of `config` and forgets all others.
    pub(super) fn configure(&mut self, config: &Config, now: Instant) {
        let mut known = std::mem::take(&mut self.names);
        for address in config.zones.iter().flat_map(|zone| {
            let backends = zone.backends.iter().map(|backend| &backend.address);
            backends.chain(
                zone.dependencies
                    .iter()
                    .map(|dependency| &dependency.address),
            )
        }) {
            let Address::Name(host, port) = address else {
                continue;
            };
            let name = (Arc::clone(host), *port);
            let entry = known.remove(&name).unwrap_or_else(|| Known {
                answer: watch::Sender::default(),
                next: Some(now),
            });
            self.names.entry(name).or_insert(entry);
        }
    }

    /// The address to route to now.
    pub(super) fn address(&self, address: &Address) -> Option<SocketAddr> {
        match address {
            Address::Ip(address) => Some(*address),
            Address::Name(host, port) => {
                let known = self.names.get(&(Arc::clone(host), *port))?;
                known.answer.borrow().address
            }
        }
    }

    /// The address to probe, which may have to be waited for.
    pub(super) fn target(&self, address: &Address) -> Target {
        match address {
            Address::Ip(address) => Target::Ip(*address),
            Address::Name(host, port) => {
                let known = self.names.get(&(Arc::clone(host), *port));
                let answer = known.map_or_else(
                    // Removed since the probe became due: its outcome won't count.
                    || watch::channel(Answer::default()).1,
                    |known| known.answer.subscribe(),
                );
                Target::Name(Arc::clone(host), answer)
            }
        }
    }

    /// When [`Self::look_up`] wants to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.names.values().filter_map(|known| known.next).min()
    }

    /// Begins what is due.
    pub(super) fn look_up(&mut self, now: Instant) {
        for (name, known) in &mut self.names {
            if known.next.is_some_and(|next| next <= now) {
                known.next = None;
                let name = name.clone();
                self.lookups.spawn(async move {
                    let found = lookup_host((&*name.0, name.1)).await.map(Iterator::collect);
                    (name, found)
                });
            }
        }
    }

    /// Waits for the next look-up that ends, and takes in what it found. Never ready while none is under way.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn answered(&mut self) {
        match self.lookups.join_next().await {
            None => std::future::pending().await,
            Some(Ok((name, found))) => self.take(&name, found, Instant::now()),
            // A panic inside of the look-up. Its name is unknown here: all that wait are looked up again.
            Some(Err(error)) => {
                warn!("a DNS look-up ended badly: {error}");
                if self.lookups.is_empty() {
                    let again = Instant::now() + RETRY;
                    for known in self.names.values_mut() {
                        known.next.get_or_insert(again);
                    }
                }
            }
        }
    }

    fn take(&mut self, name: &Name, found: io::Result<Vec<SocketAddr>>, now: Instant) {
        let Some(known) = self.names.get_mut(name) else {
            return;
        };
        let before = known.answer.borrow().clone();
        let after = before.after(found);
        let (host, _) = name;
        match (&before, &after) {
            _ if before == after => {}
            (
                _,
                Answer {
                    address: None,
                    problem: Some(problem),
                },
            ) => {
                warn!("{host} does not resolve: {problem}");
            }
            (
                _,
                Answer {
                    address: Some(kept),
                    problem: Some(problem),
                },
            ) => {
                warn!("{host} does not resolve any more, {kept} is kept: {problem}");
            }
            (
                Answer {
                    address: Some(old), ..
                },
                Answer {
                    address: Some(new), ..
                },
            ) if old != new => {
                info!("{host} resolves to {new} now, was {old}");
            }
            (
                _,
                Answer {
                    address: Some(new), ..
                },
            ) => info!("{host} resolves to {new}"),
            _ => {}
        }
        let pause = if after.address.is_some() {
            REFRESH
        } else {
            RETRY
        };
        known.next = Some(now + pause);
        known.answer.send_if_modified(|answer| {
            let changed = *answer != after;
            *answer = after;
            changed
        });
    }
}

impl Answer {
    /// The old address stays as long as it is among the found ones: name servers rotate their answers, and each change
    /// costs connections and flips statuses for nothing.
    fn after(&self, found: io::Result<Vec<SocketAddr>>) -> Self {
        let found = found.map_err(|error| {
            let words = error.to_string();
            let lead = "failed to lookup address information: ";
            words.strip_prefix(lead).unwrap_or(&words).to_owned()
        });
        match found {
            Ok(addresses) => {
                let kept = self.address.filter(|address| addresses.contains(address));
                match kept.or_else(|| addresses.first().copied()) {
                    Some(address) => Self {
                        address: Some(address),
                        problem: None,
                    },
                    None => Self {
                        address: self.address,
                        problem: Some("the name has no address".into()),
                    },
                }
            }
            Err(problem) => Self {
                address: self.address,
                problem: Some(problem),
            },
        }
    }
}

impl Target {
    /// The address; a name that has not been looked up yet is waited for, up to `patience`. The error is a sentence.
    pub(super) async fn address(self, patience: Duration) -> Result<SocketAddr, String> {
        let (host, mut answer) = match self {
            Self::Ip(address) => return Ok(address),
            Self::Name(host, answer) => (host, answer),
        };
        let first = answer.wait_for(|answer| *answer != Answer::default());
        let problem = match tokio::time::timeout(patience, first).await {
            Err(_) => format!("no answer from DNS within {} ms", patience.as_millis()),
            Ok(Err(_)) => "it is not looked up any more".into(),
            Ok(Ok(answer)) => match (answer.address, &answer.problem) {
                (Some(address), _) => return Ok(address),
                (None, problem) => problem.clone().unwrap_or_default(),
            },
        };
        Err(format!("name {host:?} does not resolve: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 80).into()
    }

    #[test]
    fn the_address_stays_while_it_is_among_the_answers() {
        let first = Answer::default().after(Ok(vec![address(1), address(2)]));
        assert_eq!(first.address, Some(address(1)));
        let rotated = first.after(Ok(vec![address(2), address(1)]));
        assert_eq!(rotated.address, Some(address(1)));
        let moved = rotated.after(Ok(vec![address(3), address(2)]));
        assert_eq!(moved.address, Some(address(3)));
    }

    #[test]
    fn the_last_good_answer_outlives_failures() {
        let good = Answer::default().after(Ok(vec![address(1)]));
        let failed = good.after(Err(io::Error::other("no route to the name server")));
        assert_eq!(failed.address, Some(address(1)));
        assert_eq!(
            failed.problem.as_deref(),
            Some("no route to the name server")
        );
        let empty = failed.after(Ok(vec![]));
        assert_eq!(empty.address, Some(address(1)));
        assert_eq!(empty.after(Ok(vec![address(1)])), good);
    }

    #[tokio::test]
    async fn a_name_that_is_never_answered_is_given_up_in_time_and_in_words() {
        let (_sender, receiver) = watch::channel(Answer::default());
        let target = Target::Name("db.example".into(), receiver);
        let problem = target.address(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(
            problem,
            "name \"db.example\" does not resolve: no answer from DNS within 20 ms"
        );
    }
}
