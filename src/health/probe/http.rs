//! Layer 7: one HTTP/1.1 request on a connection of its own.

use std::error::Error;
use std::io;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use super::stream::Stream;
use crate::config::HttpCheck;
use crate::outcome::CheckCode;

/// How much of an answer's head is read: room for any real one, while a backend gone mad can't fill our memory.
const HEAD_LIMIT: usize = 64 * 1024;
/// How much of a body is searched for the expected text.
const BODY_LIMIT: usize = 64 * 1024;

/// Sends the request of `check` and compares the answer.
pub(super) async fn ask(
    stream: Stream,
    authority: &str,
    check: &HttpCheck,
    deadline: Instant,
) -> Finding {
    let request = match request(authority, check) {
        Ok(request) => request,
        Err(error) => return Finding::new(CheckCode::L7Response, error.to_string()),
    };
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = match handshake.await {
        Ok(both) => both,
        Err(error) => return broken(&error),
    };

    let exchange = async {
        let response = match timeout_at(deadline, sender.send_request(request)).await {
            Err(_) => {
                return Finding::new(CheckCode::L7Timeout, "connected, but no answer");
            }
            Ok(Err(error)) => return broken(&error),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        judge(response.into_body(), status, check, deadline)
            .await
            .with_status(status)
    };
    // The connection's own future moves the bytes. That it has ended says nothing by itself: the answer, or the reason why
    // there is none, has been handed to the exchange by then. Not spawned, so that dropping a probe closes its connection.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        finding = &mut exchange => finding,
        _ = connection => exchange.await,
    }
}

async fn judge(body: Incoming, status: u16, check: &HttpCheck, deadline: Instant) -> Finding {
    let text = match judge_status(status, check) {
        Ok(finding) => return finding,
        Err(text) => text,
    };
    let found = timeout_at(deadline, contains(body, text.as_bytes())).await;
    judge_body(
        status,
        text,
        found.map(|found| found.map_err(|error| broken(&error))),
    )
}

/// `Err`: the status is as expected, and the body must have this text.
pub(super) fn judge_status(status: u16, check: &HttpCheck) -> Result<Finding, &str> {
    let expected = check
        .expect
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&status));
    if !expected {
        return Ok(Finding::new(
            CheckCode::L7Status,
            format!("HTTP {status}, expected {}", ranges(&check.expect)),
        ));
    }
    // Without an expected text the head is the whole answer: a body that never ends must not fail a check that doesn't ask
    // about it.
    let ok = || Finding::new(CheckCode::L7Ok, format!("HTTP {status}"));
    check.body.as_deref().map_or_else(|| Ok(ok()), Err)
}

/// Outer `Err`: it has not come in time.
pub(super) fn judge_body(
    status: u16,
    text: &str,
    found: Result<Result<bool, Finding>, Elapsed>,
) -> Finding {
    match found {
        Err(_) => Finding::new(
            CheckCode::L7Timeout,
            format!("HTTP {status}, but the body did not come"),
        ),
        Ok(Err(broken)) => broken,
        Ok(Ok(true)) => Finding::new(
            CheckCode::L7Ok,
            format!("HTTP {status}, the body has {text:?}"),
        ),
        Ok(Ok(false)) => Finding::new(
            CheckCode::L7Status,
            format!("HTTP {status}, expected {text:?} in the body's first 64 KiB"),
        ),
    }
}

/// Whether `text` stands in the first [`BODY_LIMIT`] bytes; reads no further than it must.
async fn contains(mut body: Incoming, text: &[u8]) -> Result<bool, hyper::Error> {
    let mut search = Search::new(text);
    while !search.is_over() {
        let Some(frame) = body.frame().await else {
            return Ok(text.is_empty());
        };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if search.finds(&data) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The search for a text in the first [`BODY_LIMIT`] bytes of a body that comes in pieces.
pub(super) struct Search<'a> {
    text: &'a [u8],
    read: Vec<u8>,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let read = Vec::new();
        Self { text, read }
    }

    /// Whether so much has been read that no more counts.
    pub(super) fn is_over(&self) -> bool {
        self.read.len() >= BODY_LIMIT
    }

    /// Whether the text is there, with `data` as the next piece.
    pub(super) fn finds(&mut self, data: &[u8]) -> bool {
        let Self { text, read } = self;
        // Only the new bytes, and as many old ones as a match may begin with.
        let from = read.len().saturating_sub(text.len().saturating_sub(1));
        let room = (BODY_LIMIT - read.len()).min(data.len());
        read.extend_from_slice(&data[..room]);
        text.is_empty() || read[from..].windows(text.len()).any(|part| part == *text)
    }
}

fn request(authority: &str, check: &HttpCheck) -> Result<Request<Empty<Bytes>>, http::Error> {
    let host = match &check.host {
        Some(host) => host.clone(),
        None => HeaderValue::from_str(authority)?,
    };
    Request::builder()
        .method(check.method.clone())
        .uri(check.path.as_str())
        .header(HOST, host)
        .header(
            USER_AGENT,
            concat!("firedoor/", env!("CARGO_PKG_VERSION"), " (health check)"),
        )
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::new())
}

/// What hyper's error means for the one who asked.
fn broken(error: &hyper::Error) -> Finding {
    let cause = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let detail = match cause {
        _ if error.is_parse_too_large() => {
            format!("the answer's head is larger than {} KiB", HEAD_LIMIT / 1024)
        }
        _ if error.is_parse() => format!("the answer is not HTTP/1.1 ({error})"),
        _ if error.is_incomplete_message() => {
            "the connection closed before the answer was complete".into()
        }
        Some(cause) => return Finding::broken(cause),
        None => error.to_string(),
    };
    Finding::new(CheckCode::L7Response, detail)
}

/// `200-399, 401`
fn ranges(expect: &[(u16, u16)]) -> String {
    let ranges: Vec<String> = expect
        .iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    ranges.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_statuses_read_as_they_are_configured() {
        assert_eq!(ranges(&[(200, 399), (401, 401)]), "200-399, 401");
    }
}
