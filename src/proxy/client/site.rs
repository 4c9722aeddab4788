//! The site that a client has asked for in its TLS handshake. A connection to it may be used for whatever the same certificate is
//! for, as browsers do with HTTP/2 (RFC 9113 9.1.1), and for nothing else: that is told with 421 (RFC 9110 15.5.20).

use std::cell::RefCell;

use crate::config::TlsServer;
use crate::proxy::request::route::bare;

/// See the module's promise.
pub(crate) struct Site {
    name: String,
    tls: TlsServer,
    /// Another host that was found to be served here.
    other: RefCell<String>,
}

impl Site {
    /// `None`: there is only one, and it serves all hosts.
    pub(crate) fn new(name: &str, tls: TlsServer) -> Option<Self> {
        (!tls.is_one_site()).then(|| Self {
            name: name.to_owned(),
            tls,
            other: RefCell::default(),
        })
    }

    /// Whether `host`, with or without port, belongs to it.
    pub(crate) fn serves(&self, host: &str) -> bool {
        let host = bare(host);
        if host.eq_ignore_ascii_case(&self.name) || *self.other.borrow() == *host {
            return true;
        }
        let served = self.tls.serves_together(&self.name, &host);
        if served {
            *self.other.borrow_mut() = host.into_owned();
        }
        served
    }
}
