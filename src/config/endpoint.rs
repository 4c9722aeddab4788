//! Where firedoor itself sends something by HTTP: spans to a collector, notices to a webhook.

use http::{HeaderName, HeaderValue, Uri};

use super::TlsClient;

/// A URL, and what sending there takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`, with a host.
    pub url: Uri,
    /// There for `https`.
    pub tls: Option<TlsClient>,
    /// What each request carries besides: an API key.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// `[tracing]`
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Where spans go, `/v1/traces` and all. `None`: nowhere; a `traceparent` is passed on as ever.
    pub collector: Option<Endpoint>,
    /// The share of requests that are traced where nobody whom we trust has decided that already, from 0 to 1.
    pub sample: f64,
}
