//! gRPC's standard health service: one call of `grpc.health.v1.Health/Check` on a connection of its own.
//!
//! Of gRPC that is a frame of five bytes and two fields of Protocol Buffers, so nothing is generated for it.
//! Source: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md> and PROTOCOL-HTTP2.md beside it.

use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use percent_encoding::percent_decode;
use tokio::time::{Instant, timeout_at};

use super::stream::Stream;
use super::{Finding, plain, words};
use crate::config::GrpcCheck;
use crate::outcome::CheckCode;

/// How much of an answer's head is read.
pub(super) const HEAD_LIMIT: u32 = 16 * 1024;
/// How much of an answer's body is read; a good one has seven bytes.
const BODY_LIMIT: usize = 1024;
/// How much of what the server says goes into an outcome, in characters.
const SHOWN: usize = 120;

/// `google.rpc.Code`, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Calls the health service and reads its one answer.
pub(super) async fn ask(
    stream: Stream,
    authority: &str,
    check: &GrpcCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let request = request(authority, check, deadline)
        .map_err(|error| Finding::new(CheckCode::L7Response, error.to_string()))?;
    let silence = |_| Finding::new(CheckCode::L7Timeout, "connected, but no answer");
    timeout_at(deadline, call(stream, request, message(&check.service)))
        .await
        .map_err(silence)?
}

async fn call(stream: Stream, request: Request<()>, message: Bytes) -> Result<Finding, Finding> {
    let (sender, connection) = Builder::new()
        .max_header_list_size(HEAD_LIMIT)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(broken)?;
    let mut exchange = std::pin::pin!(exchange(sender, request, message));
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
    message: Bytes,
) -> Result<Finding, Finding> {
    let mut sender = sender.ready().await.map_err(broken)?;
    let (response, mut body) = sender.send_request(request, false).map_err(broken)?;
    body.send_data(message, true).map_err(broken)?;
    let response = response.await.map_err(broken)?;
    let is_grpc = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if response.status() != StatusCode::OK || !is_grpc {
        let status = response.status().as_u16();
        let finding = format!("HTTP {status}, but not gRPC");
        return Ok(Finding::new(CheckCode::L7Status, finding).with_status(status));
    }
    judge(response).await
}

async fn judge(response: Response<RecvStream>) -> Result<Finding, Finding> {
    // A call that fails at once has its status where others have their header fields.
    if let Some(finding) = refusal(response.headers()) {
        return Ok(finding);
    }
    let mut body = response.into_body();
    let mut read = BytesMut::new();
    while let Some(data) = body.data().await {
        read.put(data.map_err(broken)?);
        if read.len() > BODY_LIMIT {
            return Err(odd("it is too long"));
        }
    }
    let trailers = body.trailers().await.map_err(broken)?.unwrap_or_default();
    if let Some(finding) = refusal(&trailers) {
        return Ok(finding);
    }
    if !trailers.contains_key("grpc-status") {
        return Err(odd("it has no grpc-status"));
    }
    let status = serving_status(&read).ok_or_else(|| odd("it has no status in it"))?;
    Ok(match status {
        1 => Finding::new(CheckCode::L7Ok, "SERVING"),
        other => {
            let name = match other {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "something that isn't specified",
            };
            Finding::new(
                CheckCode::L7Status,
                format!("the service is {name}, expected SERVING"),
            )
        }
    })
}

/// A `grpc-status` other than OK, and what it means for a health check.
fn refusal(fields: &HeaderMap) -> Option<Finding> {
    let status = fields.get("grpc-status")?.to_str().ok();
    let code = status.and_then(|status| status.parse::<u16>().ok());
    let code = match code {
        Some(0) => return None,
        Some(code) => code,
        None => return Some(odd("its grpc-status is not a number")),
    };
    let name = CODES.get(usize::from(code)).copied().unwrap_or("unknown");
    let meaning = match name {
        "UNIMPLEMENTED" => "the server has no health service",
        "NOT_FOUND" => "the server knows no such service",
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => "the server doesn't answer this to strangers",
        _ => "the call failed",
    };
    let message = fields
        .get("grpc-message")
        .map_or(&b""[..], |m| m.as_bytes());
    let message = percent_decode(message).decode_utf8_lossy();
    let detail = match plain(&message, SHOWN) {
        said if said.is_empty() => format!("{meaning}: {name}"),
        said => format!("{meaning}: {name} ({said:?})"),
    };
    Some(Finding::new(CheckCode::L7Status, detail).with_status(code))
}

fn request(
    authority: &str,
    check: &GrpcCheck,
    deadline: Instant,
) -> Result<Request<()>, http::Error> {
    let authority = match &check.host {
        Some(host) => host.clone(),
        None => authority.parse::<Authority>()?,
    };
    let scheme = match check.tls {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/grpc.health.v1.Health/Check")
        .build()?;
    let left = deadline.saturating_duration_since(Instant::now());
    Request::post(uri)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(
            USER_AGENT,
            concat!("firedoor/", env!("CARGO_PKG_VERSION"), " (health check)"),
        )
        // So that the server doesn't go on for nobody; at most eight digits are allowed.
        .header(
            "grpc-timeout",
            format!("{}m", left.as_millis().min(99_999_999)),
        )
        .body(())
}

/// `HealthCheckRequest { service = 1 }` in its frame: not compressed, four bytes of length.
fn message(service: &str) -> Bytes {
    let mut field = BytesMut::new();
    if !service.is_empty() {
        field.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            field.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        field.put_u8(length as u8);
        field.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(field.len() as u32);
    frame.put(field);
    frame.freeze()
}

/// `HealthCheckResponse { status = 1 }` out of its frame. A field that is zero isn't sent; none of the known statuses needs
/// more than one byte.
fn serving_status(frame: &[u8]) -> Option<u8> {
    let (compressed, rest) = frame.split_first()?;
    let (length, message) = rest.split_first_chunk::<4>()?;
    if *compressed != 0 || u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, status @ 0..0x80] => Some(*status),
        _ => None,
    }
}

fn odd(what: &str) -> Finding {
    Finding::new(
        CheckCode::L7Response,
        format!("the answer is not one of gRPC's health service: {what}"),
    )
}

/// What h2's error means for the one who asked.
pub(super) fn broken(error: h2::Error) -> Finding {
    let detail = match (error.get_io(), error.reason()) {
        (Some(io), _) => words(io),
        (None, Some(reason)) if error.is_remote() => {
            format!("the server broke off: {}", reason.description())
        }
        (None, _) => "the answer is not HTTP/2".into(),
    };
    Finding::new(CheckCode::L7Response, detail)
}
