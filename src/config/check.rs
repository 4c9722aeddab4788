//! How one component is tested.

use std::num::NonZeroU32;
use std::time::Duration;

use super::TlsClient;

/// A configured test of one component. Equal checks of equal addresses are the same check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// From the start of one probe to the start of the next, jittered by a tenth either way.
    pub interval: Duration,
    /// For one probe, from connecting to the conclusion.
    pub timeout: Duration,
    /// Between probes while a doubt is being confirmed.
    pub confirm_interval: Duration,
    /// Consecutive fails that make a component `Down`.
    pub fall: NonZeroU32,
    /// Consecutive passes that bring a `Down` component back `Up`.
    pub rise: NonZeroU32,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection that is accepted passes.
    Tcp,
    /// A request whose answer is as expected passes.
    Http(HttpCheck),
    /// A TLS handshake with a certificate that is in order passes.
    Tls(TlsCheck),
}

/// An HTTP/1.1 request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// `GET` by default.
    pub method: http::Method,
    /// Path and query.
    pub path: http::uri::PathAndQuery,
    /// The `Host` field; by default the component's address.
    pub host: Option<http::HeaderValue>,
    /// Inclusive ranges of statuses that pass.
    pub expect: Vec<(u16, u16)>,
    /// Text that the body (its first 64 KiB) must contain.
    pub body: Option<String>,
    /// `None`: cleartext.
    pub tls: Option<TlsClient>,
}

/// A TLS handshake and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCheck {
    /// Whom to trust.
    pub tls: TlsClient,
    /// How long before its end a certificate is worth a word. It passes all the same.
    pub expires_within: Duration,
}
