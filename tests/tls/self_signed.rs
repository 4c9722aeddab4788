//! Clients whose certificate has signed itself, trusted where `client_ca` holds that very one.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::ClientConfig;
use rustls::HandshakeKind::{Full, Resumed};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::authority::{self_signed, self_signed_by_openssl};
use crate::client::Client;
use crate::identity::{ask, fields, fingerprint};
use crate::site::{Site, certificates};
use crate::support::wait::within;
use crate::support::{Origin, Proxy, behaviour};

/// Several of the two seconds between two looks at the files.
const LOOKS: Duration = Duration::from_secs(10);

/// `clients.pem` holds those of `trusted`. The others: `twin` says the same as `carol`, by another key.
fn site(trusted: &[&str]) -> (Origin, Site, Proxy) {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let path = site.path();
    self_signed_by_openssl(path, "openssl", "carol.example");
    self_signed(path, "carol", "carol.example", 100, &[ClientAuth]);
    self_signed(path, "twin", "carol.example", 100, &[ClientAuth]);
    self_signed(path, "expired", "carol.example", -3, &[]);
    self_signed(path, "server", "carol.example", 100, &[ServerAuth]);
    trust(path, trusted);
    let extra = format!("client_ca = \"{}\"", site.file("clients.pem").display());
    let builder = Proxy::builder().listener(&site.terms(&extra));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    (origin, site, proxy)
}

fn trust(path: &Path, names: &[&str]) {
    let files = names.iter().map(|name| path.join(format!("{name}.pem")));
    let texts: String = files.map(|f| fs::read_to_string(f).unwrap()).collect();
    fs::write(path.join("clients.pem"), texts).unwrap();
}

#[test]
fn those_that_are_trusted_themselves_get_through_and_no_others() {
    let (origin, site, proxy) = site(&["openssl", "carol", "expired", "server"]);
    for name in ["openssl", "carol"] {
        let response = ask(&proxy, &site, Some(name), "").unwrap();
        let expected = fingerprint(&site.file(&format!("{name}.pem")));
        assert_eq!(fields(&response.body, "X-Client-Cert-SHA256"), [expected]);
    }
    let served = origin.count();
    for name in ["twin", "expired", "server"] {
        let refused = ask(&proxy, &site, Some(name), "");
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    assert!(ask(&proxy, &site, None, "").is_err());
    assert_eq!(origin.count(), served);
}

/// The certificate is no secret: anybody can show it.
#[test]
fn who_shows_one_without_its_key_is_refused() {
    let (origin, site, proxy) = site(&["carol"]);
    for version in rustls::ALL_VERSIONS {
        let mut config = ClientConfig::clone(&site.trust_in(&[version], Some("carol")));
        let key = PrivateKeyDer::from_pem_file(site.file("twin.key")).unwrap();
        let chain = certificates(&site.file("carol.pem"));
        let pair = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        let answer = Client::try_connect(proxy.address, &Arc::new(config), "app.example").and_then(
            |mut client| {
                client.try_send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")?;
                client.try_response()
            },
        );
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn their_sessions_resume_until_another_one_is_trusted() {
    let (_origin, site, proxy) = site(&["openssl"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = site.trust_in(&[version], Some("openssl"));
        for handshake in [Full, Resumed, Resumed] {
            let mut client = Client::connect(proxy.address, &config);
            assert_eq!(client.get("/").status, 200);
            assert_eq!(client.tls().handshake_kind(), Some(handshake));
        }
    }
    // Issued anew for the same key: the old one is trusted no more, and neither are its sessions.
    let config = site.trust_in(rustls::ALL_VERSIONS, Some("openssl"));
    assert_eq!(Client::connect(proxy.address, &config).get("/").status, 200);
    self_signed_by_openssl(site.path(), "openssl", "carol.example");
    trust(site.path(), &["openssl"]);
    assert!(within(LOOKS, || {
        ask(&proxy, &site, Some("openssl"), "").is_ok_and(|response| response.status == 200)
    }));
    let answer =
        Client::try_connect(proxy.address, &config, "app.example").and_then(|mut client| {
            client.try_send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")?;
            client.try_response()
        });
    assert!(answer.is_err(), "{answer:?}");
}
