//! A backend behind TLS, with certificates of its own.

use std::path::Path;

use tempfile::TempDir;

use crate::authority::Authority;
use crate::support::proxy::Builder;
use crate::support::{Origin, Proxy};
use crate::terminator::{Terminator, server_config};

/// Certificates, an origin behind TLS, and where firedoor finds what it needs to trust it.
pub struct Site {
    pub directory: TempDir,
    pub origin: Origin,
    pub tls: Terminator,
}

impl Site {
    /// The backend's certificate is for 127.0.0.1.
    pub fn new(origin: Origin) -> Self {
        Self::with(origin, "127.0.0.1", 100, None)
    }

    /// It is for `host`, ends in `days`, and perhaps clients have to show one that `client_ca` has signed.
    pub fn with(origin: Origin, host: &str, days: i64, client_ca: Option<&str>) -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("the tests' authority");
        authority.write(directory.path());
        authority.sign(directory.path(), "app", host, days);
        authority.sign(directory.path(), "client", "firedoor.example", 100);
        let config = server_config(directory.path(), "app", client_ca);
        Self {
            tls: Terminator::start(config, &origin),
            directory,
            origin,
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The pool's TLS: whom to trust, and `extra`.
    pub fn terms(&self, extra: &str) -> String {
        let ca = self.path().join("ca.pem");
        format!(
            "[[pool]]\nname = \"default\"\ntls = {{ ca = \"{}\"{extra} }}",
            ca.display()
        )
    }

    pub fn builder(&self, terms: &str) -> Builder {
        secured(Proxy::builder().toml(terms), "fz-1", &self.tls)
    }

    pub fn proxy(&self) -> Proxy {
        self.builder(&self.terms("")).start()
    }
}

/// Another zone, whose backend is behind TLS.
pub fn secured(builder: Builder, zone: &str, tls: &Terminator) -> Builder {
    let builder = builder.zone_at(zone, &[]);
    builder.backend_at("app-1", &format!("https://{}", tls.address), "")
}
