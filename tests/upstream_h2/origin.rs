//! A scripted backend that speaks HTTP/2, over TLS or in cleartext, by what its requests' paths ask of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::support::port;

/// What it does differently.
#[derive(Clone, Default)]
pub struct Options {
    pub tls: Option<Arc<ServerConfig>>,
    pub max_streams: Option<u32>,
    pub websockets: bool,
    pub name: &'static str,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of its connection.
    pub connection: usize,
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// Whether the body came to its end.
    pub complete: bool,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    checks: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    cancelled: AtomicUsize,
    /// How often each path of `/refuse` was refused.
    refused: Mutex<HashMap<String, usize>>,
}

/// A running origin. Dropping it ends it, with its connections.
pub struct Origin {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<watch::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Origin {
    pub fn start(options: Options) -> Self {
        let listener = port::listen();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = watch::channel(());
        let serving = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(accept(listener, options, shared, stopped));
                runtime.shutdown_timeout(Duration::from_secs(1));
            })
        };
        Self {
            address,
            shared,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// In cleartext.
    pub fn named(name: &'static str) -> Self {
        Self::start(Options {
            name,
            ..Options::default()
        })
    }

    /// All requests but the checks.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn saw(&self, path: &str) -> Seen {
        let seen = self.seen();
        let found = seen.iter().find(|seen| seen.uri.ends_with(path));
        found
            .unwrap_or_else(|| panic!("no {path} in {seen:?}"))
            .clone()
    }

    pub fn checks(&self) -> usize {
        self.shared.checks.load(Ordering::SeqCst)
    }

    /// The highest number of requests at once.
    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    pub fn under_way(&self) -> usize {
        self.shared.under_way.load(Ordering::SeqCst)
    }

    /// Requests that were reset by the proxy.
    pub fn cancelled(&self) -> usize {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.serving.take().unwrap().join();
    }
}

async fn accept(
    listener: std::net::TcpListener,
    options: Options,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = stopped.changed() => return,
        };
        let (options, shared) = (options.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match &options.tls {
                None => serve(stream, &options, shared).await,
                Some(config) => {
                    if let Ok(stream) = TlsAcceptor::from(Arc::clone(config)).accept(stream).await {
                        serve(stream, &options, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    options: &Options,
    shared: Arc<Shared>,
) {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    let mut builder = Builder::new();
    if let Some(most) = options.max_streams {
        builder.max_concurrent_streams(most);
    }
    if options.websockets {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    shared.open.fetch_add(1, Ordering::SeqCst);
    let (goaway, mut going) = watch::channel(0);
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { break };
                let (shared, name) = (Arc::clone(&shared), options.name);
                let goaway = goaway.clone();
                tokio::spawn(async move {
                    let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    shared.most_under_way.fetch_max(now, Ordering::SeqCst);
                    answer(request, respond, &shared, number, name, goaway).await;
                    shared.under_way.fetch_sub(1, Ordering::SeqCst);
                });
            }
            _ = going.changed() => match *going.borrow() {
                1 => connection.graceful_shutdown(),
                _ => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
            },
        }
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
    connection: usize,
    name: &str,
    goaway: watch::Sender<u8>,
) {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if path == "/health" {
        shared.checks.fetch_add(1, Ordering::SeqCst);
        let _ = respond.send_response(Response::new(()), true);
        return;
    }
    let at = {
        let mut seen = shared.seen.lock().unwrap();
        seen.push(Seen {
            connection,
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: Vec::new(),
            trailers: None,
            complete: false,
        });
        seen.len() - 1
    };
    let query = parts.uri.query().unwrap_or("").to_owned();
    match path.as_str() {
        "/refuse" => {
            let known = query.split('&').next().unwrap_or("").to_owned();
            let times = {
                let mut refused = shared.refused.lock().unwrap();
                let times = refused.entry(known).or_default();
                *times += 1;
                *times
            };
            if times <= usize::from(query.ends_with("&once")) || query.ends_with("&always") {
                respond.send_reset(Reason::REFUSED_STREAM);
                return;
            }
        }
        "/reset" => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return;
        }
        "/never" => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            if reason.is_ok() {
                shared.cancelled.fetch_add(1, Ordering::SeqCst);
            }
            return;
        }
        "/goaway" => {
            let _ = goaway.send(1);
        }
        "/abrupt" => {
            let _ = goaway.send(2);
            std::future::pending::<()>().await;
        }
        "/early" => {
            let head = Response::builder()
                .status(StatusCode::PAYLOAD_TOO_LARGE)
                .body(())
                .unwrap();
            let _ = respond.send_response(head, true);
            return;
        }
        "/hints" => {
            let hints = Response::builder()
                .status(103)
                .header("link", "</a.css>")
                .body(())
                .unwrap();
            respond.send_informational(hints).unwrap();
        }
        "/chat" if parts.method == http::Method::CONNECT => {
            return talk(parts.headers, body, respond, parts.extensions).await;
        }
        "/both" => {
            // Each piece is answered before the next one comes.
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                let upper = data.to_ascii_uppercase();
                out.send_data(upper.into(), false).unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", 0.into());
            let _ended = out.send_trailers(trailers);
            return;
        }
        _ => {}
    }
    if parts
        .headers
        .get("expect")
        .is_some_and(|e| e == "100-continue")
    {
        let ready = Response::builder().status(100).body(()).unwrap();
        respond.send_informational(ready).unwrap();
    }
    let mut bytes = Vec::new();
    let mut complete = true;
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            complete = false;
            break;
        };
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.ok().flatten();
    if !complete {
        shared.cancelled.fetch_add(1, Ordering::SeqCst);
    }
    let length = bytes.len();
    {
        let mut seen = shared.seen.lock().unwrap();
        seen[at].body.clone_from(&bytes);
        seen[at].trailers = trailers;
        seen[at].complete = complete;
    }
    let status = match path.as_str() {
        "/204" => 204,
        "/304" => 304,
        "/419" => 419,
        _ => 200,
    };
    let head = Response::builder()
        .status(status)
        .header("x-origin", name)
        .header("x-received", length);
    match path.as_str() {
        "/204" if query == "body" => {
            let mut out = respond
                .send_response(head.body(()).unwrap(), false)
                .unwrap();
            out.send_data(Bytes::from_static(b"body"), true).unwrap();
        }
        "/204" | "/304" => {
            let _ = respond.send_response(head.body(()).unwrap(), true);
        }
        "/large" => {
            let size: usize = query.parse().unwrap();
            let head = head.header("content-length", size).body(()).unwrap();
            let Ok(mut out) = respond.send_response(head, false) else {
                return;
            };
            let mut left = size;
            while left > 0 {
                out.reserve_capacity(left.min(16 * 1024));
                let Some(Ok(room)) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else {
                    shared.cancelled.fetch_add(1, Ordering::SeqCst);
                    return;
                };
                let part = room.min(left);
                left -= part;
                if out.send_data(vec![b'x'; part].into(), left == 0).is_err() {
                    return;
                }
            }
        }
        // A call of gRPC that ends with this status, in trailers or in the head.
        "/ends" => {
            let head = head.body(()).unwrap();
            let mut out = respond.send_response(head, false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", query.parse().unwrap());
            out.send_trailers(trailers).unwrap();
        }
        "/ends-at-once" => {
            let head = head.header("grpc-status", query).body(()).unwrap();
            let _ = respond.send_response(head, true);
        }
        "/trailers" => {
            let head = head.header("trailer", "grpc-status").body(()).unwrap();
            let mut out = respond.send_response(head, false).unwrap();
            out.send_data(Bytes::from_static(b"message"), false)
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", 0.into());
            trailers.insert("grpc-message", "fine".parse().unwrap());
            out.send_trailers(trailers).unwrap();
        }
        _ => {
            let text = format!("{} {}\n", parts.method, parts.uri);
            let body = [text.into_bytes(), bytes].concat();
            let head = if query == "unknown" {
                head.body(()).unwrap()
            } else {
                head.header("content-length", body.len()).body(()).unwrap()
            };
            if parts.method == http::Method::HEAD {
                let _ = respond.send_response(head, true);
            } else if let Ok(mut out) = respond.send_response(head, false) {
                let _ = out.send_data(body.into(), true);
            }
        }
    }
}

/// A WebSocket: says everything back in upper case, and `bye` when the other half has ended.
async fn talk(
    headers: HeaderMap,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    extensions: http::Extensions,
) {
    let asked = extensions
        .get::<h2::ext::Protocol>()
        .map(|p| p.as_str().to_owned());
    if asked.as_deref() != Some("websocket") || headers.contains_key("sec-websocket-key") {
        let head = Response::builder().status(400).body(()).unwrap();
        let _ = respond.send_response(head, true);
        return;
    }
    let mut out = respond.send_response(Response::new(()), false).unwrap();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        if out
            .send_data(data.to_ascii_uppercase().into(), false)
            .is_err()
        {
            return;
        }
    }
    let _ = out.send_data(Bytes::from_static(b"bye"), true);
}
