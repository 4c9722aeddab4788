//! A firedoor that obtains certificates, and what its clients are shown.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::client::Client;
use crate::pebble::{Pebble, entry};
use crate::support::proxy::Builder;
use crate::support::wait::eventually_some;
use crate::support::{Origin, Proxy, eventually};

/// For an order with its pauses: a machine with other things to do needs a moment for two keys and a dozen signatures.
pub const ORDER: Duration = Duration::from_secs(60);

/// In front of an app, with a cleartext listener and one at the port where pebble asks by TLS.
pub fn builder(pebble: &Pebble, origin: &Origin, names: &[&str], extra: &str) -> Builder {
    Proxy::builder()
        .toml(&pebble.listener(names, extra))
        .zone("fz-1", &[origin])
}

/// As `builder`, with a third listener, without TLS, at the port where pebble asks over HTTP.
pub fn over_http(pebble: &Pebble, origin: &Origin, names: &[&str], extra: &str) -> Builder {
    let listener = format!("[[listener]]\nbind = \"{}\"\n{extra}", pebble.http);
    builder(pebble, origin, names, "challenge = \"http-01\"").toml(&listener)
}

/// The certificate that a client with this trust is shown for `name`.
pub fn shown(
    address: SocketAddr,
    trust: &Arc<ClientConfig>,
    name: &str,
) -> Option<CertificateDer<'static>> {
    let client = Client::try_connect(address, trust, name).ok()?;
    Some(client.server())
}

/// Waits until clients get through to the app by `name`; returns what they are shown.
#[track_caller]
pub fn until_served(proxy: &Proxy, pebble: &Pebble, name: &str) -> CertificateDer<'static> {
    let trust = pebble.trust();
    eventually(
        ORDER,
        &format!("{name} is served:\n{}", proxy.log()),
        || shown(pebble.tls, &trust, name).is_some(),
    );
    let mut client = Client::try_connect(pebble.tls, &trust, name).unwrap();
    client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    client.server()
}

/// Waits until an order for `name` has failed so often.
#[track_caller]
pub fn until_failed(proxy: &Proxy, name: &str, failures: u64) -> String {
    let mut text = String::new();
    eventually(ORDER, "an order has failed", || {
        let status = proxy.status();
        let Some(entry) = entry(&status, name) else {
            return false;
        };
        text = entry["error"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        entry["failures"].as_u64() >= Some(failures)
    });
    text
}

/// A file of what is stored, once it is there: a certificate is in force before.
#[track_caller]
pub fn stored(proxy: &Proxy, file: &str) -> PathBuf {
    let folder = proxy.directory().join("state/acme");
    eventually_some(ORDER, &format!("{file} is stored"), || {
        let mut authorities = std::fs::read_dir(&folder).ok()?;
        let path = authorities.next()?.ok()?.path().join(file);
        path.exists().then_some(path)
    })
}
