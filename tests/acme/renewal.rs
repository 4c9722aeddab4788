//! What happens to a certificate that is there.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::client::Client;
use crate::door::{ORDER, builder, shown, stored, until_failed, until_served};
use crate::pebble::{Pebble, entry};
use crate::support::load::Plan;
use crate::support::pair::assert_none_failed;
use crate::support::{Origin, eventually};

#[test]
fn a_restart_keeps_what_was_obtained_and_asks_nobody() {
    let (mut pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let certificate = until_served(&proxy, &pebble, "app.example");
    let trust = pebble.trust();
    pebble.stop();
    proxy.crash_and_restart();
    // From the very first handshake on.
    assert_eq!(shown(pebble.tls, &trust, "app.example"), Some(certificate));
    let log = proxy.log();
    assert_eq!(log.matches("asking https").count(), 1, "{log}");
}

#[test]
fn new_names_are_ordered_at_a_reload_and_old_ones_are_not() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let first = until_served(&proxy, &pebble, "app.example");
    proxy.rewrite_config(builder(
        &pebble,
        &origin,
        &["shop.example", "app.example"],
        "",
    ));
    let plan = Plan {
        tls: Some(pebble.trust()),
        fresh: true,
        rate: 50,
        ..Plan::to(pebble.tls)
    };
    // No handshake fails meanwhile, while others are the authority's questions.
    let load = plan.start();
    load.wait_for_more(20);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(
        shown(pebble.tls, &pebble.trust(), "app.example"),
        Some(first.clone())
    );
    let second = until_served(&proxy, &pebble, "shop.example");
    assert_ne!(first, second);
    load.wait_for_more(20);
    assert_none_failed(&load.finish());
    assert_eq!(
        shown(pebble.tls, &pebble.trust(), "app.example"),
        Some(first)
    );
    // Two certificates are two sites.
    let mut client = Client::connect(pebble.tls, &pebble.trust());
    client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(client.response().status, 421);
    let log = proxy.log();
    assert_eq!(log.matches("asking https").count(), 2, "{log}");
    assert_eq!(log.matches("a new account").count(), 1, "{log}");
}

/// Puts a certificate by a stranger in the place of the one that was obtained: `before` seconds old, good for `after` more.
fn age(file: &Path, before: i64, after: i64) {
    let now = jiff::Timestamp::now().as_second();
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    let base = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = base + std::time::Duration::from_secs((now - before).unsigned_abs());
    params.not_after = base + std::time::Duration::from_secs((now + after).unsigned_abs());
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(file, certificate.pem() + &key.serialize_pem()).unwrap();
}

#[track_caller]
fn until_stored(file: &Path, certificate: &CertificateDer<'_>) {
    eventually(ORDER, "it is stored", || {
        CertificateDer::from_pem_file(file).is_ok_and(|stored| stored == *certificate)
    });
}

#[test]
fn two_thirds_through_its_time_a_certificate_is_renewed_under_load() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let first = until_served(&proxy, &pebble, "app.example");
    let file = stored(&proxy, "app.example.pem");
    // Due within 11 to 14 seconds of now.
    age(&file, 86, 64);
    let old = CertificateDer::from_pem_file(&file).unwrap();
    proxy.crash_and_restart();
    let in_force = proxy.status()["certificates"][0]["not_after"].clone();
    let load = Plan {
        rate: 100,
        ..Plan::to(proxy.address)
    }
    .start();
    let mut renewed = None;
    eventually(ORDER, "it is renewed", || {
        renewed = shown(pebble.tls, &pebble.trust(), "app.example");
        renewed.is_some()
    });
    let renewed = renewed.unwrap();
    assert!(renewed != first && renewed != old);
    assert_none_failed(&load.finish());
    until_stored(&file, &renewed);
    let status = proxy.status();
    assert_ne!(status["certificates"][0]["not_after"], in_force);
    assert_eq!(entry(&status, "app.example").unwrap()["failures"], 0);
}

#[test]
fn what_is_stored_but_useless_is_ordered_anew() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let mut last = until_served(&proxy, &pebble, "app.example");
    let file = stored(&proxy, "app.example.pem");
    let good = fs::read_to_string(&file).unwrap();
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let chain = good.split("-----BEGIN PRIVATE KEY-----").next().unwrap();
    for content in [
        String::new(),
        "nonsense".to_owned(),
        format!("{chain}{other_key}"),
    ] {
        fs::write(&file, content).unwrap();
        proxy.crash_and_restart();
        let next = until_served(&proxy, &pebble, "app.example");
        assert_ne!(next, last);
        until_stored(&file, &next);
        last = next;
    }
    assert_eq!(
        proxy.log().matches("not used: ").count(),
        3,
        "{}",
        proxy.log()
    );
}

#[test]
fn an_account_that_is_lost_is_made_again() {
    let (mut pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    // The authority forgets us, and we lose the certificate.
    pebble.stop();
    pebble.start();
    fs::remove_file(stored(&proxy, "app.example.pem")).unwrap();
    proxy.crash_and_restart();
    until_served(&proxy, &pebble, "app.example");
    // And the other way round: the account's file is torn.
    fs::write(stored(&proxy, "account.json"), "{").unwrap();
    fs::remove_file(stored(&proxy, "app.example.pem")).unwrap();
    proxy.crash_and_restart();
    until_served(&proxy, &pebble, "app.example");
    assert_eq!(
        fs::read_to_string(stored(&proxy, "account.json.old")).unwrap(),
        "{"
    );
    assert_eq!(
        proxy.log().matches("a new account").count(),
        3,
        "{}",
        proxy.log()
    );
}

#[test]
fn an_expired_certificate_is_told_shown_and_replaced() {
    let (mut pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    age(&stored(&proxy, "app.example.pem"), 90_000, -3600);
    pebble.stop();
    proxy.crash_and_restart();
    eventually(ORDER, "it is told", || {
        proxy.log().contains("the one that is stored expired on ")
    });
    let flaw = proxy.status()["certificates"][0]["flaw"].clone();
    assert!(flaw.as_str().unwrap().starts_with("expired on "), "{flaw}");
    pebble.start();
    until_served(&proxy, &pebble, "app.example");
}

#[test]
fn another_authority_is_asked_at_once_and_the_old_certificate_serves_until_it_answers() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let first = until_served(&proxy, &pebble, "app.example");
    let mut other = Pebble::new();
    other.tls = pebble.tls;
    proxy.rewrite_config(builder(&other, &origin, &["app.example"], ""));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    until_failed(&proxy, "app.example", 1);
    assert_eq!(
        shown(pebble.tls, &pebble.trust(), "app.example"),
        Some(first)
    );
    assert_eq!(proxy.status()["certificates"].as_array().unwrap().len(), 1);
    other.start();
    until_served(&proxy, &other, "app.example");
    assert_eq!(proxy.status()["certificates"].as_array().unwrap().len(), 1);
}
