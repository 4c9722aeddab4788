//! Whom firedoor takes for a backend: by signer, name and time; and who it is itself.

use crate::authority::Authority;
use crate::site::Site;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, eventually};

/// Nobody waits for a backend that is refused; a handshake may take its time.
const IMPATIENT: &str = "[failover]\nhold_time = \"200ms\"\n[upstream]\nconnect_timeout = \"10s\"";

/// A check by a command sees nothing of it: requests come, and are refused.
pub fn refused(site: &Site, terms: &str) -> Proxy {
    let builder = site
        .builder(terms)
        .check("kind = \"command\"\ncommand = [\"true\"]\ninterval = \"100ms\"");
    let proxy = builder.toml(IMPATIENT).start();
    proxy.until_all_up();
    let answer = proxy.get("/");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(
        answer.text().contains("no proper connection to the server"),
        "{}",
        answer.text()
    );
    assert_eq!(proxy.access_line("/")["termination"], "SC");
    assert_eq!(site.origin.count(), 0, "not one byte of it");
    proxy
}

pub fn says(proxy: &Proxy, words: &str) {
    eventually(PATIENCE, "the log says why", || {
        let log = proxy.log();
        log.contains("no TLS connection to it") && log.contains(words)
    });
}

#[test]
fn an_expired_certificate_is_refused_and_the_log_says_since_when() {
    let site = Site::with(Origin::named("a"), "127.0.0.1", -3, None);
    says(
        &refused(&site, &site.terms("")),
        "the certificate expired on 20",
    );
}

#[test]
fn a_certificate_for_another_name_is_refused_and_the_log_says_both() {
    let site = Site::with(Origin::named("a"), "other.example", 100, None);
    let words = "the certificate is for other.example, not for 127.0.0.1";
    says(&refused(&site, &site.terms("")), words);
}

#[test]
fn a_signer_whom_nobody_trusts_is_refused_by_default_too() {
    let site = Site::new(Origin::named("a"));
    let words = "not signed by anybody who is trusted";
    says(&refused(&site, ""), words);
    Authority::new("somebody else").write(site.path());
    says(&refused(&site, &site.terms("")), words);
}

#[test]
fn the_check_finds_it_out_and_the_zone_is_left() {
    for kind in ["http", "tcp"] {
        let bad = Site::with(Origin::named("bad"), "127.0.0.1", -3, None);
        let good = Origin::named("good");
        let builder = bad.builder(&bad.terms("")).zone("fz-2", &[&good]);
        let proxy = builder.check(&format!("kind = {kind:?}")).start();
        let status = proxy.until_status("fz-2 is active", |status| {
            status["zones"][1]["active"] == true
        });
        assert!(status.to_string().contains("L6RSP"), "{status:#}");
        assert!(status.to_string().contains("the certificate expired on"));
        assert_eq!(proxy.get("/").status, 200);
    }
}

#[test]
fn another_name_may_be_expected_and_is_sent_as_sni() {
    let site = Site::with(Origin::named("a"), "app.example", 100, None);
    let proxy = site
        .builder(&site.terms(", server_name = \"app.example\""))
        .start();
    assert_eq!(proxy.get("/").status, 200);
    let shaken = site.tls.shaken();
    assert!(
        shaken
            .iter()
            .all(|s| s.sni.as_deref() == Some("app.example")),
        "{shaken:?}"
    );
}

#[test]
fn a_dns_name_is_what_its_certificate_must_be_for() {
    let site = Site::with(Origin::named("a"), "localhost", 100, None);
    let builder = Proxy::builder().toml(&site.terms("")).zone_at("fz-1", &[]);
    let address = format!("https://localhost:{}", site.tls.address.port());
    let proxy = builder.backend_at("app-1", &address, "").start();
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn who_asks_for_our_certificate_gets_it() {
    let site = Site::with(Origin::named("a"), "127.0.0.1", 100, Some("ca"));
    let folder = site.path().display();
    let pair = format!(", cert = \"{folder}/client.pem\", key = \"{folder}/client.key\"");
    let proxy = site.builder(&site.terms(&pair)).start();
    assert_eq!(proxy.get("/").status, 200);
    assert!(site.tls.shaken().iter().all(|s| s.client_certificate));
    let proxy = site
        .builder(&site.terms(""))
        .toml(IMPATIENT)
        .check("kind = \"command\"\ncommand = [\"true\"]")
        .start();
    let words = "the server wants a certificate: give tls a cert and a key";
    eventually(PATIENCE, "the log says why", || {
        assert_eq!(proxy.get("/").status, 502);
        let log = proxy.log();
        log.contains(&format!("no TLS connection to it: {words}"))
    });
}

/// In TLS 1.3 that is heard only when the handshake is over on our side.
#[test]
fn the_check_says_that_the_server_wants_a_certificate() {
    let site = Site::with(Origin::named("a"), "127.0.0.1", 100, Some("ca"));
    let proxy = site
        .builder(&site.terms(""))
        .check("interval = \"50ms\"\ntimeout = \"10s\"")
        .start();
    proxy.until_status("the check tells", |status| {
        let last = &status["zones"][0]["components"][0]["last"];
        last["code"] == "L6RSP"
            && last["detail"] == "the server wants a certificate: give tls a cert and a key"
    });
}

#[test]
fn without_verification_anybody_will_do_and_the_start_says_so() {
    let site = Site::with(Origin::named("a"), "other.example", -3, None);
    let terms = "[[pool]]\nname = \"default\"\ntls = { verify = false }";
    let proxy = site.builder(terms).start();
    assert_eq!(proxy.get("/").status, 200);
    let log = proxy.log();
    assert!(log.contains("any certificate will do"), "{log}");
}
