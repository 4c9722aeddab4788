//! Whom to trust: who may have signed a certificate, and which ones are trusted themselves.

mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore};

use super::provider;
use super::server::ClientAuth;
use crate::config::certificate;
use verifier::OrItself;

/// The certificates of those who sign others'. Cheap to clone.
#[derive(Clone)]
pub struct Anchors {
    roots: Arc<RootCertStore>,
    /// Those of a file, which are trusted as themselves too.
    named: Arc<[CertificateDer<'static>]>,
}

impl Anchors {
    /// Those that this system trusts. None of them is any server's or client's own.
    pub(in crate::config) fn system(roots: Arc<RootCertStore>) -> Self {
        let named = Arc::default();
        Self { roots, named }
    }

    /// Those of a file. `None`: one can't be read.
    pub(in crate::config) fn named(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).ok()?;
        }
        Some(Self {
            roots: Arc::new(roots),
            named: certificates.into(),
        })
    }

    /// Those of a PEM file. `None`: it has none, or one that can't be read.
    pub(in crate::config) fn from_pem(text: &str) -> Option<Self> {
        Self::named(certificate::chain(text)?)
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// For rustls: those who sign others'.
    pub fn roots(&self) -> &RootCertStore {
        &self.roots
    }

    /// Judges servers. Fails when nobody is trusted.
    pub(super) fn of_servers(&self) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let (roots, provider) = (Arc::clone(&self.roots), Arc::new(provider()));
        let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
        let by_signer = builder.build().map_err(general)?;
        Ok(Arc::new(OrItself::new(by_signer, &self.named)))
    }

    /// Judges clients. Fails when nobody is trusted.
    pub(super) fn of_clients(
        &self,
        auth: ClientAuth,
    ) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let (roots, provider) = (Arc::clone(&self.roots), Arc::new(provider()));
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match auth {
            ClientAuth::Required => builder,
            ClientAuth::Optional => builder.allow_unauthenticated(),
        };
        let by_signer = builder.build().map_err(general)?;
        Ok(Arc::new(OrItself::new(by_signer, &self.named)))
    }
}

fn general(error: impl fmt::Display) -> Error {
    Error::General(error.to_string())
}

impl PartialEq for Anchors {
    /// Of a certificate that was issued anew the root may be the same: its name and its key.
    fn eq(&self, other: &Self) -> bool {
        self.named == other.named
            && (Arc::ptr_eq(&self.roots, &other.roots) || self.roots.roots == other.roots.roots)
    }
}

impl Eq for Anchors {}

impl fmt::Debug for Anchors {
    /// Not a hundred roots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.roots.len())
    }
}
