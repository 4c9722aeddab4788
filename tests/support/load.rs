//! A steady load of well-behaved clients: keep-alive, an open loop (a slow answer doesn't slow the others down), every
//! request with an id and a record. Never retries by itself: what failed once has failed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What to send, where and how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    pub target: SocketAddr,
    /// Requests a second, over all clients.
    pub rate: u32,
    /// Keep-alive connections; enough that some are free while others wait for a hung backend.
    pub clients: usize,
    /// Every how many-th request is a POST; 0: none.
    pub post_every: u64,
    /// The path of a GET and of a POST; `?id=…` is appended.
    pub paths: (&'static str, &'static str),
    /// A client gives up after this.
    pub patience: Duration,
    /// Over TLS, to `app.example`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Every request on a connection of its own.
    pub fresh: bool,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: String,
    pub method: Method,
    pub sent: SystemTime,
    pub took: Duration,
    /// The status, or in words why there was none.
    pub result: Result<StatusCode, String>,
    /// The answer's `X-Served-By`.
    pub served_by: Option<String>,
}

/// A running load; stops when dropped.
pub struct Load {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    plan: Plan,
    /// Begins every id, so that the records of two loads can't be confused.
    name: u32,
    started: Instant,
    /// The next request's number: its time on the schedule is `number / rate`.
    ticket: AtomicU64,
    stop: AtomicBool,
    records: Mutex<Vec<Record>>,
}

impl Plan {
    /// 60 requests a second, half GET `/`, half POST `/orders`.
    pub fn to(target: SocketAddr) -> Self {
        Self {
            target,
            rate: 60,
            clients: 48,
            post_every: 2,
            paths: ("/", "/orders"),
            patience: Duration::from_secs(10),
            tls: None,
            fresh: false,
        }
    }

    /// Only GETs.
    #[must_use]
    pub fn only_get(mut self) -> Self {
        self.post_every = 0;
        self
    }

    /// Begins.
    pub fn start(self) -> Load {
        let state = Arc::new(State {
            plan: self,
            name: fastrand::u32(..),
            started: Instant::now(),
            ticket: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            records: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || run(shared));
        Load {
            state,
            thread: Some(thread),
        }
    }
}

impl Record {
    /// A 2xx.
    pub fn succeeded(&self) -> bool {
        self.result.as_ref().is_ok_and(StatusCode::is_success)
    }

    /// By its method.
    pub fn idempotent(&self) -> bool {
        self.method != Method::POST
    }
}

impl Load {
    /// How many requests have come to an end.
    pub fn finished(&self) -> usize {
        self.state.records.lock().expect("no client panicked").len()
    }

    /// Those that have come to an end so far.
    pub fn records(&self) -> Vec<Record> {
        self.state
            .records
            .lock()
            .expect("no client panicked")
            .clone()
    }

    /// Waits until `count` more requests have come to an end.
    pub fn wait_for_more(&self, count: usize) {
        let goal = self.finished() + count;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.finished() < goal {
            assert!(
                Instant::now() < deadline,
                "the load stands still at {} of {goal}",
                self.finished()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends nothing new, waits for what is under way, and tells what became of everything.
    pub fn finish(mut self) -> Vec<Record> {
        self.stop();
        std::mem::take(&mut *self.state.records.lock().expect("no client panicked"))
    }

    fn stop(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(state: Arc<State>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let clients: Vec<_> = (0..state.plan.clients)
            .map(|_| tokio::spawn(client(Arc::clone(&state))))
            .collect();
        for client in clients {
            client.await.expect("no client panicked");
        }
    });
}

/// Takes the next number of the schedule, waits for its time, sends it, records it.
async fn client(state: Arc<State>) {
    let mut connection = None;
    loop {
        let number = state.ticket.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_secs(1).mul_f64(number as f64 / f64::from(state.plan.rate));
        tokio::time::sleep_until((state.started + due).into()).await;
        if state.stop.load(Ordering::Acquire) {
            return;
        }
        let record = request(&state, number, &mut connection).await;
        state
            .records
            .lock()
            .expect("no client panicked")
            .push(record);
    }
}

async fn request(
    state: &State,
    number: u64,
    connection: &mut Option<SendRequest<Full<Bytes>>>,
) -> Record {
    let plan = &state.plan;
    let post = plan.post_every != 0 && number % plan.post_every == plan.post_every - 1;
    let mut record = Record {
        id: format!("{:08x}-{number}", state.name),
        method: if post { Method::POST } else { Method::GET },
        sent: SystemTime::now(),
        took: Duration::ZERO,
        result: Err("no answer in time".to_owned()),
        served_by: None,
    };
    let started = Instant::now();
    // A connection goes back only after a complete answer.
    let mut own = connection.take();
    match tokio::time::timeout(plan.patience, exchange(plan, &record, &mut own)).await {
        Ok(Ok((status, served_by))) => {
            record.result = Ok(status);
            record.served_by = served_by;
            *connection = own.filter(|_| !plan.fresh);
        }
        Ok(Err(error)) => record.result = Err(error),
        Err(_) => {}
    }
    record.took = started.elapsed();
    record
}

async fn exchange(
    plan: &Plan,
    record: &Record,
    connection: &mut Option<SendRequest<Full<Bytes>>>,
) -> Result<(StatusCode, Option<String>), String> {
    let ready = match connection {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    if !ready {
        *connection = Some(
            connect(plan)
                .await
                .map_err(|error| format!("connect: {error}"))?,
        );
    }
    let sender = connection.as_mut().expect("just connected");
    let (path, body) = if record.idempotent() {
        (plan.paths.0, Bytes::new())
    } else {
        (plan.paths.1, Bytes::from_static(b"one order"))
    };
    let request = Request::builder()
        .method(record.method.clone())
        .uri(format!("{path}?id={}", record.id))
        .header("host", "app.example")
        .header("x-id", &*record.id)
        .body(Full::new(body))
        .expect("a valid request");
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let served_by = response
        .headers()
        .get("x-served-by")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    // Only a whole body is an answer.
    response
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("body: {error:?}"))?;
    Ok((status, served_by))
}

async fn connect(
    plan: &Plan,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(plan.target).await?;
    stream.set_nodelay(true)?;
    match &plan.tls {
        None => speak(stream).await,
        Some(config) => {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            speak(connector.connect("app.example".try_into()?, stream).await?).await
        }
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with its sender; what breaks it, the sender reports.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}
