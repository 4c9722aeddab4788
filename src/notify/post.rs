//! One attempt to post a notice.
//!
//! A webhook can know by the signature that it is from us, by the timestamp that it isn't an old one played back, and by the delivery's id
//! that it has had it already: an answer that was lost is asked for again.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use tokio::time::timeout;

use super::notice::Notice;
use crate::config::{Endpoint, Secret};
use crate::errand;

/// What has happened: `flip`.
const EVENT: HeaderName = HeaderName::from_static("firedoor-event");
/// The same at each attempt.
const DELIVERY: HeaderName = HeaderName::from_static("firedoor-delivery");
/// Of the attempt, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("firedoor-timestamp");
/// `v1=` and the hexadecimal HMAC-SHA256 of timestamp, `.` and body.
const SIGNATURE: HeaderName = HeaderName::from_static("firedoor-signature");

/// How it was not taken.
pub(super) enum Failed {
    /// It may be another time, at the earliest after so long.
    ForNow(String, Option<Duration>),
    ForGood(String),
}

pub(super) async fn post(
    endpoint: &Endpoint,
    secret: Option<&Secret>,
    notice: &Notice,
    id: &str,
    patience: Duration,
) -> Result<(), Failed> {
    let request = request(endpoint, secret, notice, id, Timestamp::now())
        .map_err(|error| Failed::ForGood(error.to_string()))?;
    let answer = errand::run(endpoint.tls.as_ref(), request, None);
    match timeout(patience, answer).await {
        Ok(Ok(answer)) => judge(&answer),
        Ok(Err(problem)) => Err(Failed::ForNow(problem, None)),
        Err(_) => Err(Failed::ForNow(
            format!("no answer within {patience:?}"),
            None,
        )),
    }
}

fn request(
    endpoint: &Endpoint,
    secret: Option<&Secret>,
    notice: &Notice,
    id: &str,
    now: Timestamp,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let agent = concat!("firedoor/", env!("CARGO_PKG_VERSION"));
    let timestamp = now.as_second().to_string();
    let mut request = Request::post(&endpoint.url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, agent)
        .header(EVENT, notice.occasion.as_str())
        .header(DELIVERY, id)
        .header(TIMESTAMP, &timestamp);
    if let Some(secret) = secret {
        request = request.header(SIGNATURE, signature(secret, &timestamp, &notice.body));
    }
    let mut request = request.body(Full::new(notice.body.clone()))?;
    for (name, value) in &endpoint.headers {
        request
            .headers_mut()
            .insert(name, HeaderValue::clone(value));
    }
    Ok(request)
}

fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut signing = hmac::Context::with_key(&key);
    signing.update(timestamp.as_bytes());
    signing.update(b".");
    signing.update(body);
    let mut text = "v1=".to_owned();
    for byte in signing.sign().as_ref() {
        // Writing to a string can't fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Taken is 2xx and nothing else: a redirect would lead the signed event to somebody whom the configuration doesn't name.
fn judge(answer: &Response<Bytes>) -> Result<(), Failed> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let problem = format!("it answers {status}");
    let passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if !passing {
        return Err(Failed::ForGood(problem));
    }
    let wait = errand::retry_after(answer.headers(), Timestamp::now());
    Err(Failed::ForNow(problem, wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let expected = "v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        let secret = Secret::new("key");
        assert_eq!(signature(&secret, "1700000000", b"{\"a\":1}"), expected);
    }
}
