//! TLS towards clients: which certificate whom, and whether clients have to show one. Built when the configuration is read, and
//! again, in its place, when a file changes.

mod site;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Anchors, provider};
use crate::config::Acme;
use crate::config::certificate::{self, Certificate, Unfit};

/// TLS towards the clients of a listener, ready for use. Cheap to clone; clones share what a changed file or ACME changes.
#[derive(Clone)]
pub struct TlsServer(Arc<Inner>);

struct Inner {
    files: Vec<CertificateFiles>,
    client_ca: Option<PathBuf>,
    acme: Option<Acme>,
    live: ArcSwap<Live>,
    /// Held while `live` is replaced: files are read on another thread than certificates arrive on.
    replacing: Mutex<()>,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those that signed it; PEM.
    pub cert: PathBuf,
    /// Its private key; PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// The one of the two that is to be changed.
    pub(super) fn at_fault(&self, unfit: &Unfit) -> &Path {
        if unfit.certificate {
            &self.cert
        } else {
            &self.key
        }
    }
}

/// Whose certificates clients may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// Where `anchors` come from.
    pub file: PathBuf,
    /// Who may have signed them.
    pub anchors: Anchors,
    /// Whether they have to show one.
    pub auth: ClientAuth,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without a valid one there is no handshake.
    #[default]
    Required,
    /// None, or a valid one.
    Optional,
}

/// What the files held when they were last read, what ACME has brought, and what rustls makes of it.
struct Live {
    certificates: Vec<Certificate>,
    acquired: Acquired,
    clients: Option<ClientTrust>,
    config: Arc<ServerConfig>,
}

/// By the name that they were obtained for, and by whose directory.
type Acquired = BTreeMap<(String, String), Certificate>;

impl TlsServer {
    /// The first certificate is for clients that name nobody, or somebody unknown. Without any, there is no handshake until
    /// [`Self::acquire`] brings one.
    ///
    /// # Errors
    /// `clients` trusts nobody, or there is no randomness for session tickets.
    pub fn new(
        certificates: Vec<(CertificateFiles, Certificate)>,
        clients: Option<ClientTrust>,
        acme: Option<Acme>,
    ) -> Result<Self, String> {
        let (files, certificates) = certificates.into_iter().unzip();
        let client_ca = clients.as_ref().map(|trust| trust.file.clone());
        let live = Live::new(certificates, Acquired::new(), clients, None)?;
        Ok(Self(Arc::new(Inner {
            files,
            client_ca,
            acme,
            live: ArcSwap::from_pointee(live),
            replacing: Mutex::default(),
        })))
    }

    /// For the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.live.load().config)
    }

    /// The certificates of its files, in the order of the configuration.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.0.live.load().certificates.clone()
    }

    /// What is to be obtained by ACME.
    pub fn acme(&self) -> Option<&Acme> {
        self.0.acme.as_ref()
    }

    /// What has been obtained for `name` from the authority that is to be asked for it.
    pub fn acquired(&self, name: &str) -> Option<Certificate> {
        let key = (name.to_owned(), self.0.acme.as_ref()?.directory.clone());
        self.0.live.load().acquired.get(&key).cloned()
    }

    /// All that was obtained and is in force: after a change of authority, the old one's until there is a new one.
    pub fn all_acquired(&self) -> Vec<Certificate> {
        self.0.live.load().acquired.values().cloned().collect()
    }

    /// Puts what was obtained for `name` in force for the handshakes to come.
    ///
    /// # Errors
    /// There is no randomness for session tickets.
    pub fn acquire(&self, name: &str, certificate: Certificate) -> Result<(), String> {
        let _replacing = self.replacing();
        let live = self.0.live.load();
        let mut acquired = live.acquired.clone();
        acquired.retain(|(known, _), _| known != name);
        let directory = self.0.acme.as_ref().map(|acme| acme.directory.clone());
        acquired.insert(
            (name.to_owned(), directory.unwrap_or_default()),
            certificate,
        );
        let new = Live::new(
            live.certificates.clone(),
            acquired,
            live.clients.clone(),
            Some(&live),
        )?;
        self.0.live.store(Arc::new(new));
        Ok(())
    }

    /// Whether both are one and the same, and not just equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// All files that it is made of.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let certificates = self.0.files.iter();
        let certificates = certificates.flat_map(|files| [&*files.cert, &*files.key]);
        certificates.chain(self.0.client_ca.as_deref())
    }

    /// Puts what its files hold now in force for the handshakes to come: all of it, or nothing. `texts` are those of
    /// [`Self::files`]. Returns whether that is anything new.
    ///
    /// # Errors
    /// Which file has what wrong with it.
    pub fn renew(&self, texts: &[String]) -> Result<bool, String> {
        let _replacing = self.replacing();
        let live = self.0.live.load();
        let mut certificates = Vec::new();
        for (files, texts) in self.0.files.iter().zip(texts.chunks(2)) {
            let [cert, key] = texts else { continue };
            let chain = certificate::chain(cert)
                .ok_or_else(|| format!("{}: no certificate in PEM form", files.cert.display()))?;
            let key = certificate::private_key(key)
                .ok_or_else(|| format!("{}: no private key in PEM form", files.key.display()))?;
            let certificate = Certificate::new(chain, key)
                .map_err(|unfit| format!("{}: {unfit}", files.at_fault(&unfit).display()))?;
            certificates.push(certificate);
        }
        let clients = match (&live.clients, texts.last()) {
            (Some(trust), Some(text)) => {
                let anchors = Anchors::from_pem(text).ok_or_else(|| {
                    format!("{}: no certificates in PEM form", trust.file.display())
                })?;
                Some(ClientTrust {
                    anchors,
                    ..trust.clone()
                })
            }
            _ => None,
        };
        if certificates == live.certificates && clients == live.clients {
            return Ok(false);
        }
        let new = Live::new(certificates, live.acquired.clone(), clients, Some(&live))?;
        self.0.live.store(Arc::new(new));
        Ok(true)
    }

    /// Takes the place of `old`: goes on understanding its session tickets, and keeps what it has obtained for names that are still
    /// asked for.
    pub fn succeed(&self, old: &Self) {
        let _replacing = self.replacing();
        let (live, old) = (self.0.live.load(), old.0.live.load());
        let mut acquired = live.acquired.clone();
        let names = || self.0.acme.iter().flat_map(|acme| &acme.names);
        for (key, certificate) in &old.acquired {
            // What is stored is as new, if there is anything.
            let there = live.acquired.keys().any(|(name, _)| *name == key.0);
            if names().any(|name| *name == key.0) && !there {
                acquired.insert(key.clone(), certificate.clone());
            }
        }
        let (certificates, clients) = (live.certificates.clone(), live.clients.clone());
        if let Ok(new) = Live::new(certificates, acquired, clients, Some(&old)) {
            self.0.live.store(Arc::new(new));
        }
    }

    /// A panic under it leaves the old one in force.
    fn replacing(&self) -> MutexGuard<'_, ()> {
        let lock = self.0.replacing.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Takes `old`'s key for session tickets over, unless other clients were trusted then: a resumed session shows no certificate.
    fn new(
        certificates: Vec<Certificate>,
        acquired: Acquired,
        clients: Option<ClientTrust>,
        old: Option<&Self>,
    ) -> Result<Self, String> {
        let words = |error: rustls::Error| error.to_string();
        // The provider is named here, never taken from the process's default: that one panics when it has to choose.
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(words)?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(trust) => {
                let verifier = trust.anchors.of_clients(trust.auth).map_err(words)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let resolver = Resolver::new(certificates.iter().chain(acquired.values()));
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        // Where a client offers other protocols only, rustls refuses the handshake (RFC 7301 3.2).
        config.alpn_protocols = [&b"h2"[..], b"http/1.1", b"http/1.0"]
            .map(<[u8]>::to_vec)
            .to_vec();
        // Of the suites that both know, ours decides (they are all good ones): what a client puts first is not always its best, and
        // auditors look for it.
        config.ignore_client_order = true;
        // Tickets rather than a cache: nothing to share among workers, and nothing that a client could fill up.
        config.ticketer = match old.filter(|old| old.clients == clients) {
            Some(old) => Arc::clone(&old.config.ticketer),
            None => ticketer().map_err(words)?,
        };
        Ok(Self {
            certificates,
            acquired,
            clients,
            config: Arc::new(config),
        })
    }

    /// In the order in which they are looked through: those of files first.
    fn all(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().chain(self.acquired.values())
    }
}

fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    Ticketer::new()
}

/// Finds the certificate for the name that a client asks for: an exact one first, then a wildcard, then the first of all.
struct Resolver {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`, which stands for one label and no more (RFC 6125 6.4.3).
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl Resolver {
    fn new<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> Self {
        let mut resolver = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            all: Vec::new(),
        };
        for certificate in certificates {
            let certified = certificate.certified();
            resolver.all.push(Arc::clone(certified));
            for name in certificate.names() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent),
                    None => (&mut resolver.exact, &**name),
                };
                let known = names.entry(name.to_owned()).or_default();
                known.push(Arc::clone(certified));
            }
        }
        resolver
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let parent = name.split_once('.').map_or("", |(_, parent)| parent);
        let exact = self.exact.get(&name).into_iter().flatten();
        exact.chain(self.wildcard.get(parent).into_iter().flatten())
    }
}

impl ResolvesServerCert for Resolver {
    /// Of several for one name (RSA and ECDSA), the first whose signature the client understands.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("");
        let schemes = hello.signature_schemes();
        let mut candidates = self.named(name).chain(&self.all);
        let found = candidates.find(|known| known.key.choose_scheme(schemes).is_some());
        found.cloned()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({} certificates)", self.all.len())
    }
}

impl PartialEq for TlsServer {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.live.load(), other.0.live.load());
        self.0.files == other.0.files
            && self.0.acme == other.0.acme
            && ours.clients == theirs.clients
            && ours.certificates == theirs.certificates
    }
}

impl Eq for TlsServer {}

impl fmt::Debug for TlsServer {
    /// Neither keys nor roots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.0.live.load();
        f.debug_struct("TlsServer")
            .field("certificates", &live.certificates)
            .field("acme", &self.0.acme)
            .field(
                "client_auth",
                &live.clients.as_ref().map(|trust| trust.auth),
            )
            .finish()
    }
}
