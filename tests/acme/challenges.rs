//! Both ways to prove that a name is ours, and what others find where the authority asks.

use std::os::unix::fs::PermissionsExt;

use crate::authority::Authority;
use crate::client::Client;
use crate::door::{builder, over_http, shown, stored, until_served};
use crate::pebble::{EXTERNAL_KEY, Pebble, entry};
use crate::support::client::RawClient;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, behaviour, eventually, port};

#[test]
fn a_certificate_is_obtained_in_the_handshake() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");

    let status = proxy.until_status("it says so", |status| {
        entry(status, "app.example").is_some_and(|entry| entry["state"] == "valid")
    });
    let entry = entry(&status, "app.example").unwrap();
    assert_eq!(
        (&entry["failures"], &entry["stored"]),
        (&0.into(), &true.into())
    );
    assert!(
        entry["next_order"].as_str() < entry["not_after"].as_str(),
        "{entry}"
    );
    let certificate = &status["certificates"][0];
    assert_eq!(certificate["names"][0], "app.example");
    assert_eq!(certificate["source"], "acme");
    assert_eq!(certificate["listener"], pebble.tls.to_string());
    assert!(certificate["flaw"].is_null(), "{certificate}");

    for file in ["account.json", "app.example.pem"] {
        let metadata = std::fs::metadata(stored(&proxy, file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!proxy.log().contains("PRIVATE KEY"), "{}", proxy.log());
    assert_eq!(proxy.errors(), [""; 0]);
}

#[test]
fn the_authority_needs_no_certificate_where_clients_do() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let listener = format!(
        "[[listener]]\nbind = \"{}\"\n[listener.tls]\nclient_ca = \"{}\"\n{}",
        pebble.tls,
        pebble.file("ca.pem").display(),
        pebble.terms(&["app.example"], "")
    );
    let proxy = Proxy::builder()
        .toml(&listener)
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_status("it is obtained", |status| {
        entry(status, "app.example").is_some_and(|entry| entry["state"] == "valid")
    });
    let mut client = Client::try_connect(pebble.tls, &pebble.trust(), "app.example").unwrap();
    let _refused = client.try_send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.try_response().is_err(), "and clients still do");
}

#[test]
fn a_certificate_is_obtained_over_http_past_a_redirect() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let proxy = over_http(&pebble, &origin, &["app.example"], "redirect = \"https\"").start();
    until_served(&proxy, &pebble, "app.example");
    // The authority's own requests are in the access log like any other.
    let text = proxy.access_text();
    let mut lines = text
        .lines()
        .filter(|line| line.contains("/.well-known/acme-challenge/"));
    let line = lines.next().expect("a line");
    assert!(line.contains("\"status\":200"), "{line}");
    // Everything else is still sent on, other people's challenges too.
    for path in ["/", "/.well-known/acme-challenge/unknown"] {
        let answer = RawClient::connect(pebble.http)
            .exchange(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        assert_eq!(answer.status, 308, "{path}");
    }
}

#[test]
fn an_app_keeps_its_own_challenges() {
    let (pebble, origin) = (Pebble::running(), Origin::start(behaviour::echo()));
    let proxy = over_http(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    for path in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/unknown",
        "/.well-known/acme-challenge/../../state/acme",
        "/.well-known/acme-challenge/%2e%2e/account.json",
        "/.well-known/acme-challenge",
    ] {
        let answer = proxy.get(path);
        assert_eq!(answer.status, 200);
        assert!(
            answer.text().starts_with(&format!("GET {path}")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn nobody_is_let_in_by_the_authoritys_protocol() {
    let (pebble, origin) = (Pebble::running(), Origin::named("a"));
    let proxy = builder(&pebble, &origin, &["app.example"], "").start();
    until_served(&proxy, &pebble, "app.example");
    let mut trust = (*pebble.trust()).clone();
    trust.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let trust = std::sync::Arc::new(trust);
    assert!(shown(pebble.tls, &trust, "app.example").is_none());
    assert!(shown(pebble.tls, &trust, "other.example").is_none());
}

#[test]
fn an_authority_may_want_an_account_elsewhere() {
    let mut pebble = Pebble::new().with_external_accounts();
    pebble.start();
    let origin = Origin::named("a");
    let extra = format!(
        "contact = [\"ops@app.example\"]\neab_kid = \"kid-1\"\neab_hmac_key = \"{EXTERNAL_KEY}\""
    );
    let proxy = builder(&pebble, &origin, &["app.example"], &extra).start();
    until_served(&proxy, &pebble, "app.example");
    let account = std::fs::read_to_string(stored(&proxy, "account.json")).unwrap();
    assert!(account.contains("mailto:ops@app.example"), "{account}");
    assert!(!account.contains(EXTERNAL_KEY), "{account}");
}

#[test]
fn files_and_several_listeners_go_together_with_what_is_obtained() {
    let (mut pebble, origin) = (Pebble::new(), Origin::named("a"));
    let second = port::free();
    let authority = Authority::new("the files' authority");
    authority.sign_for(pebble.directory.path(), "file", &["file.example"], 100);
    let terms = pebble.terms(&["app.example"], "");
    let listener = |address| {
        let (cert, key) = (pebble.file("file.pem"), pebble.file("file.key"));
        let (cert, key) = (cert.display(), key.display());
        format!(
            "[[listener]]\nbind = \"{address}\"\n[listener.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n{terms}"
        )
    };
    let (one, other) = (listener(pebble.tls), listener(second));
    let proxy = Proxy::builder()
        .toml(&format!("{one}\n{other}"))
        .zone("fz-1", &[&origin])
        .start();
    // Whoever asks for the name meanwhile gets the first certificate that there is.
    let file = || {
        let status = proxy.status();
        let mut all = status["certificates"].as_array().unwrap().clone();
        all.retain(|certificate| certificate["source"] == "file");
        all
    };
    assert_eq!(file().len(), 2);
    pebble.start();
    let shown_there = until_served(&proxy, &pebble, "app.example");
    assert_eq!(
        shown(second, &pebble.trust(), "app.example"),
        Some(shown_there.clone())
    );
    // One order for both; and what was obtained outlives the files' own renewal.
    assert_eq!(
        proxy.log().matches(": asking https").count(),
        1,
        "{}",
        proxy.log()
    );
    authority.sign_for(pebble.directory.path(), "file", &["new.example"], 100);
    eventually(PATIENCE, "the files are in force", || {
        file()
            .iter()
            .all(|certificate| certificate["names"][0] == "new.example")
    });
    assert_eq!(
        shown(pebble.tls, &pebble.trust(), "app.example"),
        Some(shown_there)
    );
}
