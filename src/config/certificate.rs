//! A certificate that a listener shows, and the key that belongs to it: whom it is for, and until when.

mod identity;
mod purpose;
mod subject;
mod unfit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use webpki::EndEntityCert;

use super::tls::provider;
pub(crate) use identity::Identity;
pub(super) use purpose::Purpose;
pub(crate) use subject::Subject;
pub use unfit::Unfit;
pub(super) use unfit::certified;

/// A certificate with those that signed it, and its private key.
#[derive(Clone)]
pub struct Certificate {
    names: Vec<String>,
    known_as: Vec<String>,
    validity: Validity,
    certified: Arc<CertifiedKey>,
    /// What was read, to be compared with what is read later.
    key: Arc<PrivateKeyDer<'static>>,
}

/// From when until when a certificate is valid, as far as that can be told; in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub from: Option<i64>,
    /// Its last second.
    pub until: Option<i64>,
}

impl Certificate {
    /// `chain` begins with the certificate itself.
    ///
    /// # Errors
    /// The certificate can't be read, or the key is another one's or of a kind that isn't supported.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Unfit> {
        let private = Arc::new(key.clone_key());
        let certified = certified(chain, key)?;
        let own = certified.cert.first();
        let names = own.map(names).unwrap_or_default();
        let known_as = if names.is_empty() {
            own.map(known_as).unwrap_or_default()
        } else {
            names.clone()
        };
        let validity = own.map(Validity::of).unwrap_or_default();
        Ok(Self {
            names,
            known_as,
            validity,
            certified: Arc::new(certified),
            key: private,
        })
    }

    /// From texts in PEM form, of which others may be in either.
    ///
    /// # Errors
    /// As [`Self::new`], and when there is no certificate or no key.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, String> {
        let chain = self::chain(chain).ok_or("no certificate in PEM form")?;
        let key = private_key(key).ok_or("no private key in PEM form")?;
        Ok(Self::new(chain, key)?)
    }

    /// The DNS names that it is for, in lower case; `*.` stands for any one label.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What people know it by: its DNS names, or else its IP addresses, or else its subject's common name. May be nothing at all.
    pub fn known_as(&self) -> &[String] {
        &self.known_as
    }

    /// From when until when it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What names it among all; `None`: nothing does.
    pub(crate) fn identity(&self) -> Option<Identity> {
        Identity::of(self.certified.cert.first()?)
    }

    /// For rustls.
    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert && self.key == other.key
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Certificate {
    /// `shop.example, *.shop.example, valid until 2027-02-01`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            f.write_str("no name")?;
        }
        f.write_str(&self.names.join(", "))?;
        match self.validity.until {
            Some(until) => write!(f, ", valid until {}", day(until)),
            None => Ok(()),
        }
    }
}

impl Validity {
    /// rustls says it when it is asked to verify the certificate as if it were another time, so no other reader of X.509 is needed.
    /// It looks at that before it looks for a signer, so nobody needs to be trusted.
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let asked = |at| {
            let certificate = ParsedCertificate::try_from(certificate).ok()?;
            let roots = RootCertStore::empty();
            let algorithms = provider().signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], at, algorithms)
                .err()
        };
        let seconds = |time: UnixTime| i64::try_from(time.as_secs()).ok();
        Self {
            from: match asked(UnixTime::since_unix_epoch(Duration::ZERO)) {
                Some(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) => seconds(not_before),
                _ => None,
            },
            until: match asked(END_OF_CALENDAR) {
                Some(Error::InvalidCertificate(CertificateError::ExpiredContext {
                    not_after,
                    ..
                })) => seconds(not_after),
                _ => None,
            },
        }
    }

    /// What is wrong with it at the time `now`, in words that follow "the certificate".
    pub fn flaw(&self, now: Timestamp) -> Option<String> {
        let now = now.as_second();
        if let Some(until) = self.until.filter(|until| *until < now) {
            return Some(format!("expired on {}", day(until)));
        }
        let from = self.from.filter(|from| *from > now)?;
        Some(format!("isn't valid before {}", day(from)))
    }
}

/// The last second of X.509's calendar: no certificate that ends at all is valid beyond it.
const END_OF_CALENDAR: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));

/// The certificates of a PEM file, at least one.
pub(super) fn chain(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty())
}

/// The private key of a PEM file.
pub(super) fn private_key(text: &str) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let names = certificate.valid_dns_names();
    names.map(str::to_ascii_lowercase).collect()
}

/// By what else than DNS names.
fn known_as(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Some(subject) = Subject::of(certificate) else {
        return Vec::new();
    };
    match subject.addresses() {
        [] => subject
            .common_name()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        addresses => addresses.iter().map(ToString::to_string).collect(),
    }
}

fn day(second: i64) -> String {
    match Timestamp::from_second(second) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "a day beyond the calendar".to_owned(),
    }
}
