//! TLS towards a component: whom firedoor trusts there, and who it is itself. Built when the configuration is read, so that a
//! probe has nothing left to fail on but the other side.

pub(super) mod server;

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What a file says about TLS towards a component.
#[derive(Clone)]
pub struct TlsTerms {
    /// Sent as SNI, and what the certificate must be for. `None`: the host of the component's address.
    pub server_name: Option<ServerName<'static>>,
    /// Who may have signed the certificate.
    pub roots: Arc<RootCertStore>,
    /// Without, any certificate will do, so whoever can answer at the address can pose as the component.
    pub verify: bool,
    /// For servers that ask for a certificate.
    pub identity: Option<Identity>,
    /// Application protocols to offer (ALPN); empty: the extension isn't sent.
    pub alpn: &'static [&'static str],
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Ours first, then those that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// Ours.
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// TLS towards a component, ready for use. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    terms: Arc<TlsTerms>,
    config: Arc<ClientConfig>,
    lenient: Arc<ClientConfig>,
    /// `None`: any certificate will do.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl TlsClient {
    /// Fails when the identity's key isn't the key of its certificate, or of a kind that isn't supported, and when nobody is
    /// trusted.
    pub fn new(terms: TlsTerms) -> Result<Self, Error> {
        if !terms.verify {
            let config = configured(&terms, Unjudged::new(false))?;
            return Ok(Self {
                lenient: Arc::clone(&config),
                config,
                verifier: None,
                terms: Arc::new(terms),
            });
        }
        let roots = Arc::clone(&terms.roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::new(provider()))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self {
            config: configured(&terms, Arc::clone(&verifier) as _)?,
            lenient: configured(&terms, Unjudged::new(true))?,
            verifier: Some(verifier),
            terms: Arc::new(terms),
        })
    }

    /// What it was made of.
    pub fn terms(&self) -> &TlsTerms {
        &self.terms
    }

    /// For rustls.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The same, but whose certificate it is remains to be asked: [`Self::verify`] has to be called before anything is said.
    pub fn lenient_config(&self) -> &Arc<ClientConfig> {
        &self.lenient
    }

    /// Whether the certificate that `chain` begins with is in order at the time `at`, and for `name`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
    ) -> Result<(), Error> {
        let Some(verifier) = &self.verifier else {
            return Ok(());
        };
        let (server, signers) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        verifier.verify_server_cert(server, signers, name, &[], at)?;
        Ok(())
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
            && self.roots.roots == other.roots.roots
            && self.verify == other.verify
            && self.identity == other.identity
            && self.alpn == other.alpn
    }
}

impl Eq for TlsTerms {}

impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

impl Eq for TlsClient {}

impl fmt::Debug for TlsTerms {
    /// Neither the key nor a hundred roots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTerms")
            .field("server_name", &self.server_name)
            .field("roots", &self.roots.len())
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
        self.terms.fmt(f)
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
