//! TLS towards one backend, of one worker: whom to expect there, and the sessions that can be resumed.
//!
//! Sessions are kept per backend and worker. rustls keeps them by server name, and the backends of a pool often share one: each would get
//! the others' tickets, and refuse them.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::TlsClient;

/// Sessions that are kept; a server usually gives two tickets in a handshake, and each is used once.
const SESSIONS: usize = 8;

/// See the module's promise.
pub(crate) struct Security {
    client: RefCell<TlsClient>,
    name: ServerName<'static>,
    ours: RefCell<Ours>,
}

/// The settings in force, and what this worker has made of them.
struct Ours {
    common: Arc<ClientConfig>,
    own: Arc<ClientConfig>,
}

impl Security {
    /// `name`: whom the certificate must be for.
    pub(crate) fn new(client: &TlsClient, name: &ServerName<'static>) -> Self {
        Self {
            client: RefCell::new(client.clone()),
            name: name.clone(),
            ours: RefCell::new(Ours::of(client.config())),
        }
    }

    /// Whether it is by these settings.
    pub(crate) fn is_by(&self, client: &TlsClient, name: &ServerName<'static>) -> bool {
        self.name == *name && *self.client.borrow() == *client
    }

    /// Goes by `client` from now on, which says the same: only its files are looked at any more.
    pub(crate) fn adopt(&self, client: &TlsClient) {
        if !self.client.borrow().is(client) {
            *self.client.borrow_mut() = client.clone();
        }
    }

    /// Shakes hands over `stream`. The caller bounds the time.
    pub(crate) async fn secure(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.config());
        connector.connect(self.name.clone(), stream).await
    }

    /// Whether nothing but HTTP/2 will do. A server that knows nothing of ALPN would otherwise be spoken to in HTTP/1.1.
    pub(crate) fn needs_h2(&self) -> bool {
        self.client.borrow().terms().alpn == ["h2"]
    }

    fn config(&self) -> Arc<ClientConfig> {
        let common = self.client.borrow().config();
        let mut ours = self.ours.borrow_mut();
        if !Arc::ptr_eq(&common, &ours.common) {
            // A file has changed. Sessions of before aren't resumed: they show no certificate, which may not be trusted any more.
            *ours = Ours::of(common);
        }
        Arc::clone(&ours.own)
    }
}

impl Ours {
    fn of(common: Arc<ClientConfig>) -> Self {
        let mut own = ClientConfig::clone(&common);
        own.resumption = Resumption::in_memory_sessions(SESSIONS);
        Self {
            own: Arc::new(own),
            common,
        }
    }
}
