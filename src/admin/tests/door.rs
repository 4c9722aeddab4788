//! A monitor with two zones of listeners, and an admin listener in front of it.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::super::{Context, Listener, serve};
use crate::config::error::ConfigError;
use crate::config::parse::Environment;
use crate::config::{AdminBind, Config, Secret};
use crate::health::monitor::Monitor;
use crate::moment::Moment;
use crate::notify::Board;
use crate::serve::acme::OrderBook;
use crate::serve::{ReloadError, ReloadHandle, Reloaded};
use crate::shutdown::{Phase, Readiness};
use crate::telemetry::counters::Counters;
use crate::telemetry::meter::Meter;
use crate::telemetry::traffic::Sampler;

/// For anything that a test waits for.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) readiness: Readiness,
    components: HashMap<&'static str, StdTcpListener>,
    reloaded: Arc<Mutex<Result<Reloaded, ReloadError>>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    _state: tempfile::TempDir,
}

impl Door {
    /// With every component up.
    pub(super) async fn open(token: Option<&str>) -> Self {
        let any = AdminBind::Tcp("127.0.0.1:0".parse().unwrap());
        Self::open_at(Listener::bind(&any).unwrap(), token).await
    }

    pub(super) async fn open_at(listener: Listener, token: Option<&str>) -> Self {
        let state = tempfile::tempdir().unwrap();
        let components: HashMap<_, _> =
            ["fz-1:app-1", "fz-1:database", "fz-2:app-1", "fz-2:database"]
                .map(|name| (name, StdTcpListener::bind("127.0.0.1:0").unwrap()))
                .into();
        let config = Arc::new(parse(&configuration(state.path(), &components)).unwrap());
        let (_, observations) = mpsc::channel(1);
        let (monitor, handle, snapshot) = Monitor::build(config, 1, observations);
        tokio::spawn(monitor.run(std::future::pending()));

        let readiness = Readiness::default();
        readiness.enter(Phase::Ready);
        let reloaded = Arc::new(Mutex::new(Err(ReloadError::NoFile)));
        let (stop, stopped) = oneshot::channel();
        let address = listener
            .local_addr()
            .unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let (meter, counters, held) = (Meter::new(1), Counters::new(1), Arc::default());
        let (_, traffic) = Sampler::new(
            meter.clone(),
            counters.clone(),
            Arc::clone(&held),
            snapshot.clone(),
        );
        let context = Context {
            monitor: handle.clone(),
            snapshot,
            readiness: readiness.clone(),
            reload: reload_handle(Arc::clone(&reloaded)),
            started: Moment::now(),
            token: token.map(Secret::new),
            board: Board::default(),
            spans: Arc::default(),
            held,
            counters,
            meter,
            traffic,
            orders: OrderBook::default(),
            demo: None,
        };
        let serving = tokio::spawn(serve(listener, context, async {
            stopped.await.ok();
        }));
        let deadline = Instant::now() + DEADLINE;
        while super::super::health::Health::of(&handle.report()).grade
            != super::super::health::Grade::Pass
        {
            assert!(Instant::now() < deadline, "{:#?}", handle.report());
            tokio::task::yield_now().await;
        }
        Self {
            address,
            readiness,
            components,
            reloaded,
            stop,
            serving,
            _state: state,
        }
    }

    /// Its connections are refused from now on.
    pub(super) fn break_component(&mut self, name: &str) {
        self.components.remove(name).unwrap();
    }

    /// What every reload comes to from now on.
    pub(super) fn reloads_answer(&self, answer: Result<Reloaded, ReloadError>) {
        *self.reloaded.lock().unwrap() = answer;
    }

    pub(super) async fn ask(&self, request: &str) -> Answer {
        exchange(TcpStream::connect(self.address).await.unwrap(), request).await
    }

    /// Asks for `path` until the answer is as it should be.
    pub(super) async fn until(&self, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.ask(&get(path)).await;
            if good(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "still: {}", answer.body);
        }
    }

    /// Posts what must be accepted.
    pub(super) async fn order(&self, path: &str, body: &str) -> Value {
        let answer = self.ask(&post(path, body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub(super) async fn close(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

fn reload_handle(answer: Arc<Mutex<Result<Reloaded, ReloadError>>>) -> ReloadHandle {
    let (handle, mut reloads) = ReloadHandle::new(Some("firedoor.toml".into()));
    let ended = handle.clone();
    tokio::spawn(async move {
        while let Some(asker) = reloads.recv().await {
            let answer = answer.lock().unwrap().clone();
            ended.ended(&answer);
            asker.reply.send(answer).unwrap();
        }
    });
    handle
}

fn configuration(state: &Path, components: &HashMap<&str, StdTcpListener>) -> String {
    let address = |name: &str| components[name].local_addr().unwrap();
    let zone = |zone: &str| {
        format!(
            r#"
            [[zone]]
            name = "{zone}"
            backend = [{{ name = "app-1", address = "{}" }}]
            [[zone.dependency]]
            name = "database"
            check = {{ kind = "tcp", address = "{}" }}
            "#,
            address(&format!("{zone}:app-1")),
            address(&format!("{zone}:database")),
        )
    };
    format!(
        r#"
        [server]
        state_dir = "{}"
        [[listener]]
        bind = "127.0.0.1:8080"
        [check]
        kind = "tcp"
        interval = "50ms"
        timeout = "40ms"
        fall = 1
        rise = 1
        {}{}"#,
        state.display(),
        zone("fz-1"),
        zone("fz-2"),
    )
}

pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("firedoor.toml"), &Nothing)
}

/// No variable is set, no file is there.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("not here".into())
    }
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

pub(super) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends `request` and reads one answer; the connection is not used again.
pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Answer {
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let head_end = loop {
            if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert_ne!(
                stream.read_buf(&mut received).await.unwrap(),
                0,
                "no answer"
            );
        };
        let head = String::from_utf8(received[..head_end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length: usize = match request.starts_with("HEAD ") {
            true => 0,
            false if status == 304 => 0,
            false => answer.header("content-length").unwrap().parse().unwrap(),
        };
        while received.len() < head_end + 4 + length {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "cut off");
        }
        answer.body = String::from_utf8(received[head_end + 4..].to_vec()).unwrap();
        answer
    };
    tokio::time::timeout(DEADLINE, exchange).await.unwrap()
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A complete RFC 9457 problem of this status.
    pub(super) fn is_problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].is_string() && problem["title"].is_string());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem
    }
}
