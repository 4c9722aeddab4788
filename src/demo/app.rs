//! A tiny app server: says who it is, and counts visits in its zone's database.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::component::Component;
use super::database::Connection;

/// What an app server waits for its database.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// One app server.
#[derive(Debug)]
pub(super) struct App {
    component: Arc<Component>,
    /// Held while one visit is counted; tokio's, since that waits for the network.
    database: Mutex<Connection>,
}

impl App {
    /// At `component`, with its zone's `database`.
    pub(super) fn new(component: Arc<Component>, database: Arc<Component>) -> Self {
        Self {
            component,
            database: Mutex::new(Connection::new(database)),
        }
    }

    /// Serves one connection until its client leaves.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request| {
            let app = Arc::clone(&self);
            async move { Ok::<_, Infallible>(app.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off is nobody's fault here.
        connection.await.ok();
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.component.while_hung().await;
        if request.uri().path() == "/healthz" {
            // About this app server alone: the database has a check of its own, so that a failure names who failed.
            return text(StatusCode::OK, "ok\n".to_owned());
        }
        let header = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or("none")
                .to_owned()
        };
        let (zone, epoch) = (header("firedoor-zone"), header("firedoor-epoch"));
        // Read to its end, so that the connection can be used again.
        request.into_body().collect().await.ok();
        let name = &self.component.name;
        let visit = async { self.database.lock().await.visit().await };
        match tokio::time::timeout(DATABASE_TIMEOUT, visit).await {
            Ok(Some(visits)) => text(
                StatusCode::OK,
                format!(
                    "Hello from {name}. Visit {visits} by this zone's database. \
                     Firedoor-Zone: {zone}, Firedoor-Epoch: {epoch}.\n"
                ),
            ),
            Ok(None) | Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{name} can't reach its database.\n"),
            ),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
