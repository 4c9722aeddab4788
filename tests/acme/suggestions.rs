//! When the authority would like a certificate to be renewed (RFC 9773).

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};
use serde_json::Value;

use crate::door::{ORDER, shown, stored, until_served};
use crate::herald::{Herald, Replacing, answer};
use crate::pebble::{Pebble, entry};
use crate::support::{Origin, Proxy, eventually};

const DAY: i64 = 24 * 60 * 60;
/// What names the certificate that [`age`] makes.
const SIGNER: [u8; 4] = [1, 2, 3, 4];
const NUMBER: [u8; 4] = [0x87, 0x65, 0x43, 0x21];

/// Puts a certificate in the place of the one that was obtained: `before` seconds old, good for `after` more.
fn age(file: &Path, before: i64, after: i64) {
    let now = Timestamp::now().as_second();
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    let base = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = base + std::time::Duration::from_secs((now - before).unsigned_abs());
    params.not_after = base + std::time::Duration::from_secs((now + after).unsigned_abs());
    params.serial_number = Some(SerialNumber::from_slice(&NUMBER));
    params.use_authority_key_identifier_extension = true;
    let mut issuer = CertificateParams::default();
    issuer.key_identifier_method = KeyIdMethod::PreSpecified(SIGNER.to_vec());
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(issuer, &key)).unwrap();
    fs::write(file, certificate.pem() + &key.serialize_pem()).unwrap();
}

/// How the authority knows that one.
fn identifier() -> String {
    let number = [&[0][..], &NUMBER].concat();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}", encoded(&SIGNER), encoded(&number))
}

#[track_caller]
fn until_logged(proxy: &Proxy, text: &str, times: usize) {
    eventually(ORDER, &format!("{text:?} is told"), || {
        proxy.log().matches(text).count() >= times
    });
}

#[track_caller]
fn until_renewed(proxy: &Proxy, pebble: &Pebble) {
    eventually(ORDER, &format!("it is renewed:\n{}", proxy.log()), || {
        shown(pebble.tls, &pebble.trust(), "app.example").is_some()
    });
}

#[test]
fn a_certificate_is_renewed_when_its_authority_suggests_it_and_the_order_says_what_it_replaces() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let herald = Herald::before(&pebble);
    herald.suggest(30 * DAY, 31 * DAY, "21600");
    let mut proxy = herald.builder(&pebble, &origin).start();
    until_served(&proxy, &pebble, "app.example");
    // As soon as it is there.
    until_logged(&proxy, "the authority suggests to renew it between ", 1);
    let log = proxy.log();
    assert!(log.contains("; see https://ca.example/why"), "{log}");
    let status = proxy.until_status("it is planned", |status| {
        let next = &entry(status, "app.example").unwrap()["next_order"];
        let next: Timestamp = next.as_str().unwrap().parse().unwrap();
        let days = next.duration_since(Timestamp::now()).as_secs() as f64 / DAY as f64;
        (29.9..=31.0).contains(&days)
    });
    assert_eq!(entry(&status, "app.example").unwrap()["state"], "valid");

    // By the rule, it has another month.
    age(&stored(&proxy, "app.example.pem"), 30 * DAY, 60 * DAY);
    herald.suggest(-7200, -3600, "21600");
    proxy.crash_and_restart();
    until_renewed(&proxy, &pebble);
    let asked = herald.asked.lock().unwrap().clone();
    assert_eq!(asked[1], identifier());
    let replaced = herald.replaced.lock().unwrap().clone();
    assert_eq!(replaced, [Value::Null, identifier().into()]);
}

#[test]
fn an_order_that_may_not_replace_is_made_without_that() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let herald = Herald::before(&pebble);
    let mut proxy = herald.builder(&pebble, &origin).start();
    until_served(&proxy, &pebble, "app.example");
    for replacing in [Replacing::Refused, Replacing::Ignored] {
        *herald.replacing.lock().unwrap() = replacing;
        herald.replaced.lock().unwrap().clear();
        age(&stored(&proxy, "app.example.pem"), 70 * DAY, 20 * DAY);
        proxy.crash_and_restart();
        until_renewed(&proxy, &pebble);
        let replaced = herald.replaced.lock().unwrap().clone();
        assert_eq!(replaced, [identifier().into(), Value::Null]);
    }
    let log = proxy.log();
    let told = "certificate for app.example: ordering without saying which one it replaces: ";
    assert_eq!(log.matches(told).count(), 2, "{log}");
    assert!(log.contains("another order replaces it"), "{log}");
    let status = proxy.status();
    assert_eq!(entry(&status, "app.example").unwrap()["failures"], 0);
}

#[test]
fn a_suggestion_to_renew_later_delays_nothing() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let herald = Herald::before(&pebble);
    let mut proxy = herald.builder(&pebble, &origin).start();
    until_served(&proxy, &pebble, "app.example");
    // Due within 11 to 14 seconds of now.
    age(&stored(&proxy, "app.example.pem"), 86, 64);
    herald.suggest(DAY, 2 * DAY, "21600");
    proxy.crash_and_restart();
    until_logged(&proxy, "the authority suggests to renew it between ", 1);
    until_renewed(&proxy, &pebble);
}

#[test]
fn useless_renewal_information_changes_nothing() {
    let (mut pebble, origin) = (Pebble::running(), Origin::named("a"));
    let herald = Herald::before(&pebble);
    let builder = herald.builder(&pebble, &origin);
    let mut proxy = builder.environment("RUST_LOG", "debug").start();
    let certificate = until_served(&proxy, &pebble, "app.example");
    let (missed, refused) = ("no suggestion when to renew: ", "is not followed: ");
    // Of the first one, nothing is known there.
    until_logged(&proxy, missed, 1);
    let wait = "Retry-After: 21600\r\n";
    let inverted = "{\"suggestedWindow\": {\"start\": \"2026-01-02T00:00:00Z\", \"end\": \"2026-01-01T00:00:00Z\"}}";
    let (mut misses, mut refusals) = (1, 0);
    for (text, is_missed) in [
        (answer("503 Service Unavailable", wait, "{}"), true),
        (answer("200 OK", wait, "nonsense"), false),
        (answer("200 OK", wait, "{}"), false),
        (answer("200 OK", wait, inverted), false),
        (answer("200 OK", "", inverted), false),
        ("SSH-2.0-OpenSSH_9\r\n\r\n".to_owned(), true),
    ] {
        *herald.answer.lock().unwrap() = text;
        proxy.crash_and_restart();
        misses += usize::from(is_missed);
        refusals += usize::from(!is_missed);
        until_logged(&proxy, missed, misses);
        until_logged(&proxy, refused, refusals);
    }
    // A window before its time, and a pause that no clock can hold.
    herald.suggest(-20 * DAY, -19 * DAY, "18446744073709551615");
    proxy.crash_and_restart();
    until_logged(&proxy, refused, refusals + 1);
    // And nobody there at all.
    let trust = pebble.trust();
    pebble.stop();
    proxy.crash_and_restart();
    until_logged(&proxy, missed, misses + 1);
    assert_eq!(shown(pebble.tls, &trust, "app.example"), Some(certificate));
    let log = proxy.log();
    assert_eq!(log.matches("asking https").count(), 1, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let status = proxy.status();
    let entry = entry(&status, "app.example").unwrap();
    assert_eq!(entry["state"], "valid");
    let next: Timestamp = entry["next_order"].as_str().unwrap().parse().unwrap();
    // Pebble's certificates are good for five years.
    assert!(next.duration_since(Timestamp::now()).as_secs() > 365 * DAY);
}
