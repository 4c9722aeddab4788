//! `[listener.tls.acme]`: which certificates to obtain by ACME (RFC 8555), from whom, and how to prove that the names are ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Secret, TlsClient};

/// `[listener.tls.acme]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The URL of the authority's directory; https.
    pub directory: String,
    /// Whom the authority may write to: `mailto:` URLs.
    pub contact: Vec<String>,
    /// Whom to obtain certificates for, one each: DNS names in lower case, none twice, at least one.
    pub names: Vec<String>,
    /// How to prove that they are ours.
    pub challenge: Challenge,
    /// TLS towards the directory.
    pub tls: TlsClient,
    /// An account elsewhere that ours is bound to, for authorities that want that.
    pub external: Option<ExternalAccount>,
}

/// How the authority is convinced that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// It connects to port 443 of the name, and finds its question answered in the TLS handshake (RFC 8737).
    #[default]
    TlsAlpn01,
    /// It asks port 80 of the name for a file (RFC 8555 8.3).
    Http01,
}

/// External account binding (RFC 8555 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// What the authority calls the account.
    pub id: String,
    /// The key that it shares with us, in URL-safe base64 without padding.
    pub key: Secret,
}

impl ExternalAccount {
    /// `None`: the key isn't base64.
    pub fn mac_key(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.key.expose()).ok()
    }
}
