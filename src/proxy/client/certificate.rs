//! What the app learns of a client's certificate: `Client-Cert` (RFC 9440), its subject for who wants to know a person, and its fingerprint
//! for who only wants to look it up.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;

use crate::config::Subject;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-sha256");

/// The certificate that a client has shown and the listener trusts, as header fields. Made once a connection.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    field: HeaderValue,
    /// `None`: it has none, or one that can't be read.
    subject: Option<HeaderValue>,
    fingerprint: HeaderValue,
}

impl ClientCertificate {
    /// `None` can't be: what all are made of is printable.
    pub(crate) fn new(certificate: &CertificateDer<'_>) -> Option<Self> {
        // RFC 9440 2.1: a byte sequence of RFC 8941, so base64 between colons.
        let field = format!(":{}:", STANDARD.encode(certificate));
        let subject = Subject::of(certificate).and_then(|subject| subject.distinguished());
        Some(Self {
            field: HeaderValue::try_from(field).ok()?,
            subject: subject.and_then(|subject| HeaderValue::try_from(subject).ok()),
            fingerprint: HeaderValue::try_from(fingerprint(certificate)?).ok()?,
        })
    }

    /// Adds them, in place of whatever stands there.
    pub(crate) fn put_into(&self, headers: &mut HeaderMap) {
        headers.insert(CLIENT_CERT, self.field.clone());
        if let Some(subject) = &self.subject {
            headers.insert(SUBJECT, subject.clone());
        }
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
