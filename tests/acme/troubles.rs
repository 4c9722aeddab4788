//! An authority that isn't there, goes away, or refuses; a disk that can't be written.

use std::fs;

use jiff::Timestamp;

use crate::authority::Authority;
use crate::client::Client;
use crate::door::{ORDER, builder, over_http, shown, stored, until_failed, until_served};
use crate::pebble::{Pebble, entry};
use crate::support::{Origin, eventually};

#[test]
fn a_start_waits_for_no_authority_and_finds_it_when_it_comes() {
    let (mut pebble, origin) = (Pebble::new(), Origin::named("a"));
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    assert_eq!(proxy.get("/").status, 200);
    let reason = until_failed(&proxy, "app.example", 1);
    assert!(reason.contains("127.0.0.1: can't connect: "), "{reason}");
    pebble.start();
    // Meanwhile nobody is shown a certificate that isn't one.
    let early = Client::try_connect(pebble.tls, &pebble.trust(), "app.example");
    let early = early
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        early.contains("AccessDenied") || early.is_empty(),
        "{early}"
    );
    until_served(&proxy, &pebble, "app.example");
    assert!(
        proxy
            .log()
            .contains("app.example (there is none from there yet)"),
        "{}",
        proxy.log()
    );
}

#[test]
fn a_name_that_is_not_ours_is_refused_and_keeps_no_other_waiting() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    pebble.redirect("away.example", "127.0.0.9");
    let proxy = builder(&pebble, &origin, &["away.example", "b.example"], "").start();
    until_served(&proxy, &pebble, "b.example");
    let reason = until_failed(&proxy, "away.example", 1);
    assert!(reason.contains("127.0.0.9"), "{reason}");
    let status = proxy.status();
    let away = entry(&status, "away.example").unwrap();
    assert_eq!(away["state"], "failing");
    // The first pause is about two minutes: authorities count refusals.
    let next: Timestamp = away["next_order"].as_str().unwrap().parse().unwrap();
    let pause = next.duration_since(Timestamp::now()).as_secs();
    assert!((60..=144).contains(&pause), "{pause} s");
    let log = proxy.log();
    assert!(log.contains("certificate for away.example: "), "{log}");
    assert_eq!(
        log.matches("certificate for away.example: asking").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_name_that_no_authority_can_know_is_refused_by_it() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = over_http(&pebble, &origin, &["intranet", "app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    eventually(ORDER, "it has been decided", || {
        entry(&proxy.status(), "intranet").unwrap()["state"] != "ordering"
    });
    // What was refused is tried again by other settings at once.
    proxy.rewrite_config(builder(&pebble, &origin, &["app.example"], ""));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    eventually(ORDER, "it is forgotten", || {
        entry(&proxy.status(), "intranet").is_none()
    });
}

#[test]
fn refused_nonces_cost_nothing_but_time() {
    let mut pebble = Pebble::new().set("PEBBLE_WFE_NONCEREJECT", "25");
    pebble.start();
    let origin = Origin::named("a");
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
}

#[test]
fn an_authority_that_goes_during_an_order_is_asked_again() {
    let mut pebble = Pebble::new()
        .set("PEBBLE_VA_NOSLEEP", "0")
        .set("PEBBLE_VA_SLEEPTIME", "5");
    pebble.start();
    let origin = Origin::named("a");
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    eventually(ORDER, "the authority is about to ask", || {
        pebble
            .output()
            .contains("Pulled a task from the Tasks queue")
    });
    pebble.stop();
    let reason = until_failed(&proxy, "app.example", 1);
    assert!(reason.contains("127.0.0.1: "), "{reason}");
    assert_eq!(proxy.get("/").status, 200);
    let mut pebble = pebble.set("PEBBLE_VA_NOSLEEP", "1");
    pebble.start();
    until_served(&proxy, &pebble, "app.example");
}

#[test]
fn what_cannot_be_stored_is_used_and_stored_later() {
    let (mut pebble, origin) = (Pebble::new(), Origin::named("a"));
    let names = ["app.example", "shop.example"];
    let mut proxy = builder(&pebble, &origin, &names, "").start();
    // A file where the folder should be: nobody can write there, not even root.
    let place = proxy.directory().join("state/acme");
    fs::write(&place, "").unwrap();
    pebble.start();
    let certificate = until_served(&proxy, &pebble, "app.example");
    proxy.until_status("it says so", |status| {
        entry(status, "app.example").is_some_and(|entry| entry["stored"] == false)
    });
    until_served(&proxy, &pebble, "shop.example");
    // Of the account and both certificates, with the place that is to blame.
    let blamed = format!("{} is no folder: it has to be moved away", place.display());
    eventually(ORDER, "it is told", || {
        proxy.log().matches(&blamed).count() == 3
    });
    let log = proxy.log();
    // Authorities count accounts, too.
    assert_eq!(log.matches("a new account").count(), 1, "{log}");
    fs::remove_file(&place).unwrap();
    eventually(ORDER, "it is stored", || {
        entry(&proxy.status(), "app.example").unwrap()["stored"] == true
    });
    let file = stored(&proxy, "app.example.pem");
    assert_eq!(
        shown(pebble.tls, &pebble.trust(), "app.example"),
        Some(certificate)
    );
    // The account, too: the next process orders with it.
    stored(&proxy, "account.json");
    eventually(ORDER, "that all are stored is told", || {
        proxy.log().matches("it is stored after all").count() == 3
    });
    fs::remove_file(file).unwrap();
    proxy.crash_and_restart();
    until_served(&proxy, &pebble, "app.example");
    let log = proxy.log();
    assert_eq!(log.matches("a new account").count(), 1, "{log}");
}

#[test]
fn an_account_that_cannot_be_read_is_not_lost() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let mut proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    let file = stored(&proxy, "account.json");
    // Nobody can read it as text, not even root.
    fs::write(&file, b"\xff").unwrap();
    fs::remove_file(stored(&proxy, "app.example.pem")).unwrap();
    proxy.crash_and_restart();
    until_served(&proxy, &pebble, "app.example");
    let told = format!("the next order makes a new one: {}: ", file.display());
    assert!(proxy.log().contains(&told), "{}", proxy.log());
    assert_eq!(
        fs::read(stored(&proxy, "account.json.old")).unwrap(),
        b"\xff"
    );
    assert!(fs::read_to_string(stored(&proxy, "account.json")).is_ok());
}

#[test]
fn a_full_disk_leaves_no_half_of_a_certificate() {
    let (mut pebble, origin) = (Pebble::new(), Origin::named("a"));
    let proxy = builder(&pebble, &origin, &["app.example"], "")
        .small_disk("128k")
        .start();
    let filler = proxy.state_file("filler");
    let filled = fs::write(&filler, vec![0; 1 << 20]);
    assert!(filled.is_err(), "the disk is full");
    pebble.start();
    until_served(&proxy, &pebble, "app.example");
    eventually(ORDER, "it says so", || {
        proxy.log().contains("No space left on device")
    });
    fs::remove_file(&filler).unwrap();
    eventually(ORDER, "it is stored", || {
        entry(&proxy.status(), "app.example").unwrap()["stored"] == true
    });
}

#[test]
fn a_new_signer_of_the_authority_is_believed_without_a_reload() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let (right, file) = (pebble.file("right.pem"), pebble.file("ca.pem"));
    fs::rename(&file, &right).unwrap();
    Authority::new("another").write(pebble.directory.path());
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    let reason = until_failed(&proxy, "app.example", 1);
    assert!(reason.contains("no TLS: "), "{reason}");
    fs::rename(&right, &file).unwrap();
    until_served(&proxy, &pebble, "app.example");
}
