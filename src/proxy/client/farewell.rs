//! The last answer on a connection with HTTP/1.1: to what comes instead of a request, or of the end of one. Nobody knows what was
//! asked for, so that there is no route whose fields or pages would apply; all else is as where a request is refused.

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::downstream::Downstream;
use super::stream::ClientStream;
use crate::proxy::message::headers::X_REQUEST_ID;
use crate::proxy::message::identity::Identity;
use crate::proxy::request::error::Refusal;

/// An answer that is made and sent past hyper.
pub(crate) struct Farewell {
    pub(crate) refusal: Refusal,
    /// By which it is found in the log.
    pub(crate) identity: Identity,
    /// Bytes of its body.
    pub(crate) body: usize,
    bytes: Vec<u8>,
    sent: usize,
}

impl Farewell {
    pub(crate) fn new<S: ClientStream>(refusal: Refusal, state: &Downstream) -> Box<Self> {
        let identity = Identity::new(None, false);
        let (kind, words) = refusal.words(false, &identity.request_id_text(), None);
        let body = words.concat();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(X_REQUEST_ID, identity.request_id());
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(DATE, state.worker.date());
        state.promise::<S>(&mut headers);
        let mut bytes = format!("HTTP/1.1 {}\r\n", refusal.status()).into_bytes();
        for (name, value) in &headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        Box::new(Self {
            refusal,
            identity,
            body: body.len(),
            bytes,
            sent: 0,
        })
    }

    /// In place of hyper's `words`; `None`: they are none that hyper has for what it can't read.
    pub(crate) fn instead_of<S: ClientStream>(
        words: &[u8],
        state: &Downstream,
    ) -> Option<Box<Self>> {
        // hyper's version is that of the request before.
        let rest = words.strip_prefix(b"HTTP/1.")?.get(2..)?;
        let refusal = match StatusCode::from_bytes(rest.get(..3)?).ok()? {
            StatusCode::BAD_REQUEST => Refusal::NoHttp,
            StatusCode::URI_TOO_LONG => Refusal::LongTarget,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::LargeHead,
            _ => return None,
        };
        Some(Self::new::<S>(refusal, state))
    }

    /// What is still to go out.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// So much of it has.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }
}
