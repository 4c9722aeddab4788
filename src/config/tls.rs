//! TLS towards a component: whom firedoor trusts there, and who it is itself. Built when the configuration is read, so that a
//! probe or a connection has nothing left to fail on but the other side, and again, in its place, when a file changes.

mod anchors;
pub(super) mod server;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate;
pub use anchors::Anchors;
use server::CertificateFiles;

/// What a file says about TLS towards a component.
#[derive(Clone)]
pub struct TlsTerms {
    /// Sent as SNI, and what the certificate must be for. `None`: the host of the component's address.
    pub server_name: Option<ServerName<'static>>,
    /// Who may have signed the certificate.
    pub anchors: Anchors,
    /// Where they come from; `None`: from the system.
    pub ca: Option<PathBuf>,
    /// Without, any certificate will do, so whoever can answer at the address can pose as the component.
    pub verify: bool,
    /// For servers that ask for a certificate.
    pub identity: Option<Identity>,
    /// Application protocols to offer (ALPN); empty: the extension isn't sent.
    pub alpn: &'static [&'static str],
}

impl TlsTerms {
    /// Whether they are what holds where nothing is said.
    pub(super) fn is_plain(&self) -> bool {
        self.server_name.is_none() && self.ca.is_none() && self.verify && self.identity.is_none()
    }
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Ours first, then those that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// Ours.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// Where both come from.
    pub files: CertificateFiles,
}

/// TLS towards a component, ready for use. Cheap to clone; clones share what a changed file changes.
#[derive(Clone)]
pub struct TlsClient(Arc<ArcSwap<Live>>);

/// What the files held when they were last read, and what rustls makes of it.
struct Live {
    terms: Arc<TlsTerms>,
    config: Arc<ClientConfig>,
    lenient: Arc<ClientConfig>,
    /// `None`: any certificate will do.
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl TlsClient {
    /// Fails when the identity's key isn't the key of its certificate, or of a kind that isn't supported, and when nobody is
    /// trusted.
    pub fn new(terms: TlsTerms) -> Result<Self, Error> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(Live::new(terms)?))))
    }

    /// The same for protocols of these names.
    pub(crate) fn speaking(&self, alpn: &'static [&'static str]) -> Option<Self> {
        let terms = TlsTerms {
            alpn,
            ..TlsTerms::clone(&self.terms())
        };
        Self::new(terms).ok()
    }

    /// What it is made of.
    pub fn terms(&self) -> Arc<TlsTerms> {
        Arc::clone(&self.0.load().terms)
    }

    /// For rustls.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.load().config)
    }

    /// The same, but whose certificate it is remains to be asked: [`Self::verify`] has to be called before anything is said.
    pub fn lenient_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.load().lenient)
    }

    /// Whether the certificate that `chain` begins with is in order at the time `at`, and for `name`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
    ) -> Result<(), Error> {
        let live = self.0.load();
        let Some(verifier) = &live.verifier else {
            return Ok(());
        };
        let (server, signers) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        verifier.verify_server_cert(server, signers, name, &[], at)?;
        Ok(())
    }

    /// Whether both are one and the same, and not just equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// All files that it is made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let terms = self.terms();
        let identity = terms.identity.iter().map(|identity| &identity.files);
        let pair = identity.flat_map(|files| [files.cert.clone(), files.key.clone()]);
        terms.ca.clone().into_iter().chain(pair).collect()
    }

    /// Puts what its files hold now in force for the handshakes to come: all of it, or nothing. `texts` are those of
    /// [`Self::files`]. Returns whether that is anything new.
    ///
    /// # Errors
    /// Which file has what wrong with it.
    pub fn renew(&self, texts: &[String]) -> Result<bool, String> {
        let old = self.terms();
        let mut terms = TlsTerms::clone(&old);
        let mut texts = texts.iter();
        if let (Some(file), Some(text)) = (&old.ca, old.ca.as_ref().and(texts.next())) {
            terms.anchors = Anchors::from_pem(text).ok_or_else(|| flaw(file, "no certificates"))?;
        }
        if let (Some(identity), Some(cert), Some(key)) =
            (&mut terms.identity, texts.next(), texts.next())
        {
            let files = &identity.files;
            identity.chain =
                certificate::chain(cert).ok_or_else(|| flaw(&files.cert, "no certificate"))?;
            let private =
                certificate::private_key(key).ok_or_else(|| flaw(&files.key, "no private key"))?;
            certificate::certified(identity.chain.clone(), private.clone_key())
                .map_err(|unfit| format!("{}: {unfit}", files.at_fault(&unfit).display()))?;
            identity.key = Arc::new(private);
        }
        if terms == *old {
            return Ok(false);
        }
        let live = Live::new(terms).map_err(|error| error.to_string())?;
        self.0.store(Arc::new(live));
        Ok(true)
    }
}

fn flaw(file: &Path, what: &str) -> String {
    format!("{}: {what} in PEM form", file.display())
}

impl Live {
    fn new(terms: TlsTerms) -> Result<Self, Error> {
        if !terms.verify {
            let config = configured(&terms, Unjudged::new(false))?;
            return Ok(Self {
                lenient: Arc::clone(&config),
                config,
                verifier: None,
                terms: Arc::new(terms),
            });
        }
        let verifier = terms.anchors.of_servers()?;
        Ok(Self {
            config: configured(&terms, Arc::clone(&verifier))?,
            lenient: configured(&terms, Unjudged::new(true))?,
            verifier: Some(verifier),
            terms: Arc::new(terms),
        })
    }
}

fn configured(
    terms: &TlsTerms,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>, Error> {
    // The provider is named here, never taken from the process's default: that one panics when it has to choose.
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &terms.identity {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = terms.alpn.iter().map(|name| (*name).into()).collect();
    // A resumed session shows no certificate: one that has expired or was replaced since would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The one provider of cryptography.
pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

impl PartialEq for TlsTerms {
    fn eq(&self, other: &Self) -> bool {
        self.server_name == other.server_name
            && self.ca == other.ca
            && self.anchors == other.anchors
            && self.verify == other.verify
            && self.identity == other.identity
            && self.alpn == other.alpn
    }
}

impl Eq for TlsTerms {}

impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.terms() == other.terms()
    }
}

impl Eq for TlsClient {}

impl fmt::Debug for TlsTerms {
    /// Not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTerms")
            .field("server_name", &self.server_name)
            .field("anchors", &self.anchors)
            .field("verify", &self.verify)
            .field("identity", &self.identity.is_some())
            .field("alpn", &self.alpn)
            .finish()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms().fmt(f)
    }
}

/// Takes any certificate, whoever's it is.
#[derive(Debug)]
struct Unjudged {
    provider: CryptoProvider,
    /// Whoever shows it must have its key, so that it can be judged later ([`TlsClient::lenient_config`]). Without that, even one that
    /// can't be read will do (`verify = false`).
    owned: bool,
}

impl Unjudged {
    fn new(owned: bool) -> Arc<Self> {
        let provider = provider();
        Arc::new(Self { provider, owned })
    }
}

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.owned {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.owned {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
