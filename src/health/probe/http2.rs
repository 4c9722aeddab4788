//! Layer 7: the request of an `http` check over HTTP/2, on a connection of its own.

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::{ACCEPT, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use tokio::time::{Instant, timeout_at};

use super::Finding;
use super::grpc::{HEAD_LIMIT, broken};
use super::http::{Search, judge_body, judge_status};
use super::stream::Stream;
use crate::config::HttpCheck;
use crate::outcome::CheckCode;

/// Sends the request of `check` and compares the answer.
pub(super) async fn ask(
    stream: Stream,
    authority: &str,
    check: &HttpCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let request = request(authority, check)
        .map_err(|error| Finding::new(CheckCode::L7Response, error.to_string()))?;
    let silence = |_| Finding::new(CheckCode::L7Timeout, "connected, but no answer");
    let handshake = Builder::new()
        .max_header_list_size(HEAD_LIMIT)
        .enable_push(false)
        .handshake::<_, Bytes>(stream);
    let (sender, connection) = timeout_at(deadline, handshake)
        .await
        .map_err(silence)?
        .map_err(broken)?;
    let mut exchange = std::pin::pin!(exchange(sender, request, check, deadline));
    // As with HTTP/1.1: the connection's own future moves the bytes, and isn't spawned, so that it ends with the probe.
    tokio::select! {
        biased;
        finding = &mut exchange => finding,
        _ = connection => exchange.await,
    }
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    check: &HttpCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let head = async {
        let mut sender = sender.ready().await.map_err(broken)?;
        let (response, _) = sender.send_request(request, true).map_err(broken)?;
        response.await.map_err(broken)
    };
    let silence = |_| Finding::new(CheckCode::L7Timeout, "connected, but no answer");
    let response = timeout_at(deadline, head).await.map_err(silence)??;
    let status = response.status().as_u16();
    let finding = match judge_status(status, check) {
        Ok(finding) => finding,
        Err(text) => {
            let found = contains(response.into_body(), text.as_bytes());
            judge_body(status, text, timeout_at(deadline, found).await)
        }
    };
    Ok(finding.with_status(status))
}

async fn contains(mut body: RecvStream, text: &[u8]) -> Result<bool, Finding> {
    let mut search = Search::new(text);
    while !search.is_over() {
        let Some(data) = body.data().await else {
            return Ok(text.is_empty());
        };
        let data = data.map_err(broken)?;
        let _released = body.flow_control().release_capacity(data.len());
        if search.finds(&data) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn request(authority: &str, check: &HttpCheck) -> Result<Request<()>, http::Error> {
    let authority = match &check.host {
        Some(host) => Authority::try_from(host.as_bytes())?,
        None => authority.parse::<Authority>()?,
    };
    let scheme = match check.tls {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(check.path.clone())
        .build()?;
    Request::builder()
        .method(check.method.clone())
        .uri(uri)
        .header(
            USER_AGENT,
            concat!("firedoor/", env!("CARGO_PKG_VERSION"), " (health check)"),
        )
        .header(ACCEPT, "*/*")
        .body(())
}
