//! Backends whose certificate has signed itself, trusted where `ca` holds that very one.

use std::fs;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::authority::{self_signed, self_signed_by_openssl};
use crate::renewal::LOOKS;
use crate::site::Site;
use crate::support::wait::within;
use crate::support::{Origin, Proxy, behaviour, eventually};
use crate::terminator::{chain, server_config};
use crate::trust::{refused, says};

/// `app.pem` is by openssl, and `ca.pem` the same.
fn site() -> Site {
    let origin = Origin::start(behaviour::answer(200, &["Connection: close"], "x"));
    let site = Site::new(origin);
    fs::remove_file(site.path().join("app.key")).unwrap();
    self_signed_by_openssl(site.path(), "app", "127.0.0.1");
    trust(&site);
    show(&site);
    site
}

fn trust(site: &Site) {
    let (own, ca) = (site.path().join("app.pem"), site.path().join("ca.pem"));
    fs::copy(own, ca).unwrap();
}

fn show(site: &Site) {
    site.tls.show(server_config(site.path(), "app", None));
}

fn is_up(proxy: &Proxy) -> bool {
    proxy.status()["zones"][0]["components"][0]["status"] == "up"
}

#[test]
fn requests_and_checks_go_there_and_later_handshakes_resume_the_session() {
    let site = site();
    let builder = site.builder(&site.terms("")).server("workers = 1");
    let proxy = builder.start();
    proxy.until_all_up();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").status, 200);
    }
    let shaken = site.tls.shaken();
    assert!(shaken.iter().any(|s| s.resumed), "{shaken:?}");
}

#[test]
fn others_get_no_request_and_the_log_says_why() {
    let site = site();
    self_signed(site.path(), "app", "127.0.0.1", 100, &[]);
    show(&site);
    let words = "one for signing others, and isn't itself among those of the ca file";
    says(&refused(&site, &site.terms("")), words);
    self_signed(site.path(), "app", "127.0.0.1", -3, &[]);
    trust(&site);
    show(&site);
    let words = "the certificate expired on 20";
    says(&refused(&site, &site.terms("")), words);
}

#[test]
fn among_those_that_the_system_trusts_it_only_signs_others() {
    let origin = Origin::start(behaviour::answer(200, &["Connection: close"], "x"));
    let site = Site::new(origin);
    let path = site.path();
    self_signed(path, "own", "127.0.0.1", 100, &[]);
    let bundle = ["ca.pem", "own.pem"].map(|file| fs::read_to_string(path.join(file)).unwrap());
    fs::write(path.join("system.pem"), bundle.concat()).unwrap();
    let system = path.join("system.pem");
    let builder = site
        .builder("")
        .environment("SSL_CERT_FILE", system.to_str().unwrap());
    let proxy = builder.start();
    proxy.until_all_up();
    assert_eq!(proxy.get("/").status, 200);
    site.tls.show(server_config(path, "own", None));
    let words = "one for signing others, and isn't itself among those of the ca file";
    proxy.until_status("the check sees that", |status| {
        let backend = &status["zones"][0]["components"][0];
        backend["status"] == "down" && backend.to_string().contains(words)
    });
}

/// The certificate is no secret: anybody can show it.
#[test]
fn who_shows_it_without_its_key_gets_no_request() {
    let site = site();
    let mut impostor = server_config(site.path(), "app", None);
    let key = PrivateKeyDer::from_pem_file(site.path().join("client.key")).unwrap();
    let chain = chain(&site.path().join("app.pem"));
    let pair = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
    impostor.cert_resolver = Arc::new(SingleCertAndKey::from(pair));
    site.tls.show(impostor);
    let words = "the certificate is not in order (BadSignature)";
    says(&refused(&site, &site.terms("")), words);
}

/// The root that webpki makes of it stays the same: its name and its key.
#[test]
fn one_that_was_issued_anew_for_the_same_key_comes_into_force() {
    let site = site();
    let proxy = site.proxy();
    proxy.until_all_up();
    self_signed_by_openssl(site.path(), "app", "127.0.0.1");
    show(&site);
    eventually(LOOKS, "the check sees that", || !is_up(&proxy));
    trust(&site);
    assert!(within(LOOKS, || is_up(&proxy)), "{:#}", proxy.status());
    assert_eq!(proxy.get("/").text(), "x");
}
