//! TLS in front of an origin, with certificates of all kinds of wrong: whatever an origin can do, it can then do over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::support::{Origin, port};

/// One handshake that was finished.
#[derive(Clone, Debug)]
pub struct Shaken {
    pub resumed: bool,
    pub sni: Option<String>,
    pub client_certificate: bool,
    pub alpn: Option<String>,
}

/// A TLS server. Dropping it ends it, with its connections.
pub struct Terminator {
    pub address: SocketAddr,
    shaken: Arc<Mutex<Vec<Shaken>>>,
    closed: Arc<AtomicUsize>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    stop: Option<watch::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

pub fn chain(file: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(file).unwrap();
    found.map(Result::unwrap).collect()
}

/// `NAME.pem` and `NAME.key` of `directory` for a server; with `client_ca`, clients have to show a certificate.
pub fn server_config(directory: &Path, name: &str, client_ca: Option<&str>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let read = |file: String| chain(&directory.join(file));
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in read(format!("{ca}.pem")) {
                roots.add(certificate).unwrap();
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let mut config = builder
        .with_single_cert(read(format!("{name}.pem")), key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

impl Terminator {
    /// Passes what comes over TLS on to `origin`.
    pub fn start(config: ServerConfig, origin: &Origin) -> Self {
        let listener = port::listen();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shaken = Arc::<Mutex<Vec<Shaken>>>::default();
        let closed = Arc::<AtomicUsize>::default();
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let (stop, stopped) = watch::channel(());
        let serving = {
            let told = (Arc::clone(&shaken), Arc::clone(&closed));
            let (config, origin) = (Arc::clone(&config), origin.address());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(serve(listener, config, origin, told, stopped));
                runtime.shutdown_timeout(Duration::from_secs(1));
            })
        };
        Self {
            address,
            shaken,
            closed,
            config,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// From now on with another certificate.
    pub fn show(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }

    /// The handshakes so far; those of the checks are among them.
    pub fn shaken(&self) -> Vec<Shaken> {
        self.shaken.lock().unwrap().clone()
    }

    /// Connections that have been closed on this side.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    origin: SocketAddr,
    (shaken, closed): (Arc<Mutex<Vec<Shaken>>>, Arc<AtomicUsize>),
    mut stopped: watch::Receiver<()>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = stopped.changed() => return,
        };
        let config = Arc::clone(&config.lock().unwrap());
        let (shaken, closed) = (Arc::clone(&shaken), Arc::clone(&closed));
        tokio::spawn(async move {
            let Ok(mut secured) = TlsAcceptor::from(config).accept(stream).await else {
                return;
            };
            let tls = secured.get_ref().1;
            shaken.lock().unwrap().push(Shaken {
                resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
                sni: tls.server_name().map(str::to_owned),
                client_certificate: tls.peer_certificates().is_some(),
                alpn: tls
                    .alpn_protocol()
                    .map(|name| String::from_utf8_lossy(name).into_owned()),
            });
            let mut clear = TcpStream::connect(origin).await.unwrap();
            let _ = copy_bidirectional(&mut secured, &mut clear).await;
            let _ = secured.shutdown().await;
            closed.fetch_add(1, Ordering::Relaxed);
            // Whoever is at the other end may still have something to say; a reset would overtake our last words.
            let _ =
                tokio::time::timeout(Duration::from_secs(1), secured.read_to_end(&mut Vec::new()))
                    .await;
        });
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.serving.take().unwrap().join();
    }
}
