//! Two zones of tiny origins and a monitor over them.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "one test file's own; a test fails by panicking"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firedoor::config::Config;
use firedoor::config::parse::Environment;
use firedoor::health::checker::Command;
use firedoor::health::monitor::{Monitor, MonitorHandle};
use firedoor::health::report::{Giver, Way};
use firedoor::journal::Entry;
use firedoor::outcome::Observation;
use firedoor::snapshot::{Admission, Snapshot, Subscriber};
use firedoor::zone::Verdict;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, lookup_host};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

/// How long anything may take that should take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

pub fn somebody() -> Giver {
    Giver {
        name: Some("anna".into()),
        way: Way::Unix(None),
        token: false,
    }
}

pub fn activate(zone: &str, hold: bool) -> Command {
    Command::Activate {
        zone: zone.into(),
        hold,
        reason: None,
    }
}

/// The zones of a configuration; with the monitor over them once it is built.
pub struct House<M = ()> {
    directory: TempDir,
    pub origins: Vec<Origin>,
    /// `[check]`
    pub check: String,
    /// Appended to the configuration.
    pub more: String,
    monitor: M,
}

pub struct Built {
    monitor: Monitor,
    pub handle: MonitorHandle,
    pub snapshot: Subscriber,
    pub observations: mpsc::Sender<Observation>,
}

pub struct Running {
    task: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
    pub handle: MonitorHandle,
    pub snapshot: Subscriber,
    pub observations: mpsc::Sender<Observation>,
}

impl<M> std::ops::Deref for House<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.monitor
    }
}

impl<M> House<M> {
    pub fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub fn origin(&mut self, index: usize) -> &mut Origin {
        &mut self.origins[index]
    }

    pub fn config(&self) -> Config {
        let [first, second] = [&self.origins[0], &self.origins[1]].map(Origin::address);
        let text = format!(
            "[server]\nstate_dir = 'state'\n[check]\n{}\n[[listener]]\nbind = '127.0.0.1:1'\n\
             [[zone]]\nname = 'fz-1'\nbackend = [{{ address = '{first}' }}]\n\
             [[zone]]\nname = 'fz-2'\nbackend = [{{ address = '{second}' }}]\n{}",
            self.check, self.more
        );
        let file = self.directory.path().join("firedoor.toml");
        match Config::parse(&text, &file, &Nothing) {
            Ok(config) => config,
            Err(error) => panic!("{:#?}", error.problems),
        }
    }

    fn split(self) -> (House, M) {
        let Self {
            directory,
            origins,
            check,
            more,
            monitor,
        } = self;
        let house = House {
            directory,
            origins,
            check,
            more,
            monitor: (),
        };
        (house, monitor)
    }
}

impl House {
    fn with<M>(self, monitor: M) -> House<M> {
        House {
            directory: self.directory,
            origins: self.origins,
            check: self.check,
            more: self.more,
            monitor,
        }
    }

    pub async fn of_two_zones() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            origins: vec![Origin::start().await, Origin::start().await],
            check: "interval = '50ms'\ntimeout = '5s'\nconfirm_interval = '20ms'\nfall = 2".into(),
            more: String::new(),
            monitor: (),
        }
    }

    pub fn build(self) -> House<Built> {
        let (observations, receiver) = mpsc::channel(16);
        let (monitor, handle, snapshot) = Monitor::build(Arc::new(self.config()), 2, receiver);
        self.with(Built {
            monitor,
            handle,
            snapshot,
            observations,
        })
    }

    /// Runs, and waits until all zones serve.
    pub async fn start(self) -> House<Running> {
        let house = self.build().run();
        house
            .until("all zones to serve", |snapshot| {
                let serving =
                    |zone: &firedoor::snapshot::ZoneRouting| zone.verdict == Verdict::Serving;
                snapshot.admission == Admission::Open && snapshot.zones.iter().all(serving)
            })
            .await;
        house
    }
}

impl House<Built> {
    pub fn run(self) -> House<Running> {
        let (shutdown, stopped) = oneshot::channel::<()>();
        let (house, built) = self.split();
        let task = tokio::spawn(built.monitor.run(async {
            let _ = stopped.await;
        }));
        house.with(Running {
            task,
            shutdown,
            handle: built.handle,
            snapshot: built.snapshot,
            observations: built.observations,
        })
    }
}

impl House<Running> {
    /// The first snapshot from now on that `condition` holds for.
    pub async fn until(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let look = async {
            let mut pause = tokio::time::interval(Duration::from_millis(2));
            loop {
                let snapshot = self.snapshot.current();
                if condition(&snapshot) {
                    return snapshot;
                }
                pause.tick().await;
            }
        };
        in_time(what, look).await
    }

    /// The first announced entry that `condition` holds for.
    pub async fn until_told(&self, condition: impl Fn(&Entry) -> bool) -> Arc<Entry> {
        let mut entries = self.handle.entries();
        let told = self.handle.journal(0, usize::MAX).await;
        if let Some(entry) = told.into_iter().find(|entry| condition(entry)) {
            return entry;
        }
        let look = async {
            loop {
                let entry = entries.recv().await.unwrap();
                if condition(&entry) {
                    return entry;
                }
            }
        };
        in_time("the entry", look).await
    }

    /// Ends the monitor in order; the origins and the state directory stay.
    pub async fn stop(self) -> House {
        let (house, running) = self.split();
        running.shutdown.send(()).unwrap();
        in_time("the end", running.task).await.unwrap();
        house
    }
}

/// An app server that answers 200 to everything, until it is stopped.
pub struct Origin {
    address: SocketAddr,
    /// Bound to the same port without listening, so that nobody else gets it when the origin has stopped.
    _reserved: TcpSocket,
    serving: AbortHandle,
    stopped: Option<JoinHandle<()>>,
}

impl Origin {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub async fn start_at(address: &str) -> Self {
        let address = lookup_host(address).await.unwrap().next().unwrap();
        let reserved = bind(address);
        let address = reserved.local_addr().unwrap();
        let listener = bind(address).listen(64).unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                });
            }
        });
        Self {
            address,
            _reserved: reserved,
            serving: serving.abort_handle(),
            stopped: Some(serving),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes its port: connections are refused from now on.
    pub async fn stop(&mut self) {
        self.serving.abort();
        if let Some(stopped) = self.stopped.take() {
            assert!(stopped.await.unwrap_err().is_cancelled());
        }
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4().unwrap(),
        SocketAddr::V6(_) => TcpSocket::new_v6().unwrap(),
    };
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        Err(format!("no file {}", path.display()))
    }
}
