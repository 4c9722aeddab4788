//! What the access log says of a request besides, and the line that comes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

use super::Record;
use crate::proxy::message::identity::Identity;
use crate::proxy::request::exchange::Exchange;
use crate::telemetry::access_log::Line;
use crate::zone::ComponentKey;

/// Only there while there is an access log.
pub(super) struct Words {
    /// Not masked yet.
    pub(super) client: IpAddr,
    pub(super) uri: Option<Uri>,
    pub(super) host: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
    /// What is asked for besides.
    pub(super) fields: Vec<(HeaderName, String)>,
    /// The client's own; otherwise it is in the identity.
    pub(super) trace_id: Option<String>,
    pub(super) bytes_in: u64,
    pub(super) connect: Duration,
    pub(super) first_byte: Duration,
    pub(super) held: Duration,
    pub(super) epoch: u64,
    /// How a call of gRPC has ended.
    pub(super) grpc_status: Option<u32>,
}

impl Words {
    pub(super) fn of<B>(state: &Exchange, request: &Request<B>) -> Self {
        let (view, headers) = (state.worker.view(), request.headers());
        let config = &view.snapshot.config;
        let fields = config.access_log.headers.iter();
        Self {
            uri: Some(request.uri().clone()),
            host: headers.get(HOST).cloned(),
            user_agent: headers.get(USER_AGENT).cloned(),
            fields: fields.filter_map(|name| field(headers, name)).collect(),
            ..Self::by(state.client_of(headers, config.upstream.forwarded))
        }
    }

    /// Of whom nothing more is known.
    pub(super) fn by(client: IpAddr) -> Self {
        Self {
            client,
            uri: None,
            host: None,
            user_agent: None,
            fields: Vec::new(),
            trace_id: None,
            bytes_in: 0,
            connect: Duration::ZERO,
            first_byte: Duration::ZERO,
            held: Duration::ZERO,
            epoch: 0,
            grpc_status: None,
        }
    }
}

/// The values of a field, joined as RFC 9110 5.3 allows.
fn field(headers: &HeaderMap, name: &HeaderName) -> Option<(HeaderName, String)> {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| (name.clone(), values.join(", ")))
}

impl Record {
    pub(super) fn write<'a>(&self, words: &'a Words, elapsed: Duration) {
        let text = |value: &'a Option<HeaderValue>| {
            let value = value.as_ref().map(HeaderValue::as_bytes);
            value.unwrap_or_default()
        };
        let request_id = self.identity.as_ref().map(Identity::request_id_text);
        let key: Option<&ComponentKey> = self.upstream.as_ref().map(|upstream| &upstream.key);
        let pool: Option<&Arc<str>> = self.upstream.as_ref().map(|upstream| &upstream.pool);
        self.state.worker.log(&Line {
            time: self.state.worker.calendar(self.begun_at),
            method: if words.uri.is_some() {
                self.method.as_str()
            } else {
                "-"
            },
            scheme: self.state.scheme,
            host: text(&words.host),
            path: words.uri.as_ref().map_or("-", Uri::path),
            query: words.uri.as_ref().and_then(Uri::query),
            status: self.status,
            bytes_in: words.bytes_in + self.state.body_bytes(),
            bytes_out: self.bytes_out,
            duration: elapsed,
            client: words.client,
            user_agent: text(&words.user_agent),
            headers: &words.fields,
            protocol: match self.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                _ => "HTTP/1.1",
            },
            request_id: request_id.as_deref().unwrap_or_default(),
            trace_id: match (&words.trace_id, &self.identity) {
                (Some(id), _) => id,
                (None, Some(identity)) => identity.trace_id(),
                (None, None) => "",
            },
            zone: key.map_or("", |key| &*key.zone),
            pool: pool.map_or("", |pool| &**pool),
            backend: key.map_or("", |key| &*key.name),
            connect: words.connect,
            ttfb: words.first_byte,
            retries: self.retries,
            held: words.held,
            epoch: words.epoch,
            grpc_status: words.grpc_status,
            termination: self.termination,
        });
    }
}
