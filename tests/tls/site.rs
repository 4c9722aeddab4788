//! A site with certificates of its own, and what its clients need to trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::support::proxy::Builder;
use crate::support::{Origin, Proxy};

/// A directory with certificates: `ca.pem`, and `app.pem` and `app.key` for `app.example`.
pub struct Site {
    pub authority: Authority,
    pub directory: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let site = Self {
            authority: Authority::new("the tests' authority"),
            directory: TempDir::new().unwrap(),
        };
        site.authority.write(site.path());
        site.sign("app", &["app.example"]);
        site
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `NAME.pem` and `NAME.key` for `hosts`.
    pub fn sign(&self, name: &str, hosts: &[&str]) {
        self.authority.sign_for(self.path(), name, hosts, 100);
    }

    /// `[listener.tls]` with the certificate `app` and `extra` lines.
    pub fn terms(&self, extra: &str) -> String {
        let files = self.pair("app");
        format!("[listener.tls]\n{files}\n{extra}")
    }

    /// `[listener.tls]` with several certificates.
    pub fn several(&self, names: &[&str]) -> String {
        let pairs = names.iter().map(|name| self.pair(name));
        pairs
            .map(|pair| format!("[[listener.tls.certificate]]\n{pair}\n"))
            .collect()
    }

    fn pair(&self, name: &str) -> String {
        let folder = self.path().display();
        format!("cert = \"{folder}/{name}.pem\"\nkey = \"{folder}/{name}.key\"")
    }

    pub fn builder(&self) -> Builder {
        Proxy::builder().listener(&self.terms(""))
    }

    pub fn proxy(&self, origin: &Origin) -> Proxy {
        self.builder().zone("fz-1", &[origin]).start()
    }

    /// A client that trusts the site's authority.
    pub fn trust(&self) -> Arc<ClientConfig> {
        self.trust_in(rustls::ALL_VERSIONS, None)
    }

    /// As `trust`, in some versions only, with a certificate of its own.
    pub fn trust_in(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&str>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.file("ca.pem")) {
            roots.add(certificate).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = certificates(&self.file(&format!("{name}.pem")));
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

pub fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(file).unwrap();
    found.map(Result::unwrap).collect()
}
