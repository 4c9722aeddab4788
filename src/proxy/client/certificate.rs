//! What the app learns of a client's certificate: `Client-Cert` (RFC 9440), and its fingerprint for who only wants to look it up.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-sha256");

/// The certificate that a client has shown and the listener trusts, as header fields. Made once a connection.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    field: HeaderValue,
    fingerprint: HeaderValue,
}

impl ClientCertificate {
    /// `None` can't be: what both are made of is printable.
    pub(crate) fn new(certificate: &CertificateDer<'_>) -> Option<Self> {
        // RFC 9440 2.1: a byte sequence of RFC 8941, so base64 between colons.
        let field = format!(":{}:", STANDARD.encode(certificate));
        Some(Self {
            field: HeaderValue::try_from(field).ok()?,
            fingerprint: HeaderValue::try_from(fingerprint(certificate)?).ok()?,
        })
    }

    /// Adds both, in place of whatever stands there.
    pub(crate) fn put_into(&self, headers: &mut HeaderMap) {
        headers.insert(CLIENT_CERT, self.field.clone());
        headers.insert(FINGERPRINT, self.fingerprint.clone());
    }
}

/// SHA-256 in hex, as `openssl x509 -fingerprint -sha256` without its colons, in lower case.
fn fingerprint(certificate: &[u8]) -> Option<String> {
    // rustls' own hash, so that no other crate is needed for it.
    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let hash = suite.common.hash_provider.hash(certificate);
    let mut hex = String::with_capacity(64);
    for byte in hash.as_ref() {
        write!(hex, "{byte:02x}").ok()?;
    }
    Some(hex)
}
