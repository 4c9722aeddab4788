//! A verifier that takes a certificate of the configuration for what it is, though it may sign others.
//!
//! `openssl req -x509` makes certificates that sign themselves and may sign others. webpki takes no such one for a server's or a
//! client's own, whoever is trusted. But which certificates to trust is for whoever trusts to say (RFC 5280 6.2), and who has its key could
//! sign itself another for any name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::config::certificate::Purpose;

/// Goes by the signer, save for certificates that are trusted themselves.
#[derive(Debug)]
pub(super) struct OrItself<V: ?Sized> {
    named: Arc<[CertificateDer<'static>]>,
    by_signer: Arc<V>,
}

impl<V: ?Sized> OrItself<V> {
    pub(super) fn new(by_signer: Arc<V>, named: &Arc<[CertificateDer<'static>]>) -> Self {
        let named = Arc::clone(named);
        Self { named, by_signer }
    }

    /// Whether `objection` is only that the certificate may sign others, and it is trusted itself.
    ///
    /// webpki looks at the dates before it comes to that objection, and at purposes, names and signers after it.
    fn overrules(
        &self,
        objection: Error,
        certificate: &CertificateDer<'_>,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let Error::InvalidCertificate(CertificateError::Other(other)) = &objection else {
            return Err(objection);
        };
        let other = other.0.downcast_ref::<webpki::Error>();
        if other != Some(&webpki::Error::CaUsedAsEndEntity) || !self.named.contains(certificate) {
            return Err(objection);
        }
        if purpose.is_permitted_by(certificate) {
            Ok(())
        } else {
            Err(CertificateError::InvalidPurpose.into())
        }
    }
}

impl<V: ServerCertVerifier> ServerCertVerifier for OrItself<V> {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        signers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_signer = &self.by_signer;
        by_signer
            .verify_server_cert(server, signers, name, ocsp, now)
            .or_else(|objection| {
                self.overrules(objection, server, Purpose::Server)?;
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_signer = &self.by_signer;
        by_signer.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_signer = &self.by_signer;
        by_signer.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_signer.supported_verify_schemes()
    }
}

impl ClientCertVerifier for OrItself<dyn ClientCertVerifier> {
    fn client_auth_mandatory(&self) -> bool {
        self.by_signer.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.by_signer.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        client: &CertificateDer<'_>,
        signers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let by_signer = &self.by_signer;
        by_signer
            .verify_client_cert(client, signers, now)
            .or_else(|objection| {
                self.overrules(objection, client, Purpose::Client)?;
                Ok(ClientCertVerified::assertion())
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_signer = &self.by_signer;
        by_signer.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_signer = &self.by_signer;
        by_signer.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_signer.supported_verify_schemes()
    }
}
