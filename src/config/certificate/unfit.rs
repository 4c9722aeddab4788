//! Why a certificate and a key are of no use together, and what is to be done about it.

use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::config::tls::provider;

/// In words that end a sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Whether the certificate is at fault, or else the key.
    pub(in crate::config) certificate: bool,
    message: String,
    /// What is to be done.
    pub(in crate::config) remedy: &'static str,
}

/// For rustls, if both are of use. `chain` begins with the certificate itself.
pub(in crate::config) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Unfit> {
    let at = |certificate, message: String, remedy| Unfit {
        certificate,
        message,
        remedy,
    };
    let Some(own) = chain.first() else {
        let remedy = "it must have \"-----BEGIN CERTIFICATE-----\" in it";
        return Err(at(true, "there is no certificate".to_owned(), remedy));
    };
    match EndEntityCert::try_from(own) {
        Ok(_) => {}
        Err(webpki::Error::UnsupportedCertVersion) => {
            let message = "the certificate is of an old version of X.509, in which it can't say whom it is for";
            let remedy = "make one of version 3: openssl x509 -req does with -extfile, openssl req -x509 does anyway";
            return Err(at(true, message.to_owned(), remedy));
        }
        Err(error) => {
            let message = format!("the certificate can't be read as X.509, version 3 ({error:?})");
            let remedy = "openssl x509 -text shows what there is in it";
            return Err(at(true, message, remedy));
        }
    }
    let Ok(signing) = provider().key_provider.load_private_key(key) else {
        let message = "the key is too short or too long, or of a kind that isn't supported";
        let remedy =
            "possible: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, and Ed25519";
        return Err(at(false, message.to_owned(), remedy));
    };
    let belongs = |certificate: &CertificateDer<'static>| {
        let pair = CertifiedKey::new(vec![certificate.clone()], signing.clone());
        pair.keys_match().is_ok()
    };
    if belongs(own) {
        return Ok(CertifiedKey::new(chain, signing));
    }
    Err(match chain.iter().position(belongs) {
        Some(place) => at(
            true,
            format!("the key belongs to certificate {} of the file", place + 1),
            "put that one first, then those that signed it",
        ),
        None => at(
            false,
            "the key belongs to another certificate".to_owned(),
            "cert and key must be the two files of one certificate",
        ),
    })
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Unfit> for String {
    fn from(unfit: Unfit) -> Self {
        unfit.message
    }
}
