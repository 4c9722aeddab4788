//! Servers whose certificate has signed itself, trusted where `ca` holds that very one; against nginx.

use std::fs;
use std::path::Path;

use firedoor::outcome::{CheckCode, Outcome};
use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, ServerAuth};
use tempfile::TempDir;

use crate::asking::ask;
use crate::authority::{self_signed, self_signed_by_openssl};
use crate::nginx;
use crate::support::server::Server;
use crate::tls::{NAMED, tls};

fn start(directory: TempDir) -> Server {
    let path = directory.path();
    fs::copy(path.join("server.pem"), path.join("ca.pem")).unwrap();
    nginx::start(directory, "server", "")
}

/// For `host`, until `days` from now, for `purposes`; `ca.pem` is the same.
fn serving(host: &str, days: i64, purposes: &[ExtendedKeyUsagePurpose]) -> Server {
    let directory = TempDir::new().unwrap();
    self_signed(directory.path(), "server", host, days, purposes);
    start(directory)
}

#[track_caller]
fn refused(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.code, CheckCode::L6Response, "{outcome}");
    assert!(outcome.detail.starts_with(words), "{outcome}");
}

#[tokio::test]
async fn openssls_own_is_trusted_by_checks_and_its_end_is_watched() {
    let directory = TempDir::new().unwrap();
    self_signed_by_openssl(directory.path(), "server", "db.example");
    let server = start(directory);
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    let detail = &outcome.detail;
    assert!(
        detail.starts_with("TLS 1.3, certificate until 20"),
        "{outcome}"
    );
    assert!(!detail.contains("not verified"), "{outcome}");
    let keys = format!("kind = \"http\", body = \"all well\", tls = {{ {NAMED} }}");
    let outcome = ask(server.path(), server.address, &keys).await;
    assert_eq!((outcome.code, outcome.status), (CheckCode::L7Ok, Some(200)));

    let soon = serving("db.example", 5, &[ServerAuth]);
    let outcome = tls(&soon, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    let words = "WARNING: the certificate expires in 4 days";
    assert!(outcome.detail.contains(words), "{outcome}");
}

#[tokio::test]
async fn its_dates_its_names_and_its_purposes_still_count() {
    let expired = serving("db.example", -3, &[]);
    refused(&tls(&expired, NAMED).await, "the certificate expired on 20");
    let other = serving("other.example", 100, &[]);
    let words = "the certificate is for other.example, not for db.example";
    refused(&tls(&other, NAMED).await, words);
    let clients = serving("db.example", 100, &[ClientAuth]);
    let words = "the certificate is for other purposes than a server's";
    refused(&tls(&clients, NAMED).await, words);
}

#[tokio::test]
async fn none_but_that_very_one_is_trusted() {
    let server = serving("db.example", 100, &[]);
    let ca = server.path().join("ca.pem");
    let words = "the certificate is one for signing others, and isn't itself among those";
    // The same names, subject and dates, by another key.
    self_signed(server.path(), "ca", "db.example", 100, &[]);
    refused(&tls(&server, NAMED).await, words);
    // The same key, but issued anew.
    let reissued = reissued();
    let anew = start(reissued);
    fs::copy(anew.path().join("old.pem"), anew.path().join("ca.pem")).unwrap();
    refused(&tls(&anew, NAMED).await, words);
    // Among others it is found, and unverified it passes as before.
    let both = read(&ca) + &read(&server.path().join("server.pem"));
    fs::write(&ca, both).unwrap();
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    let outcome = tls(&anew, "verify = false").await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    assert!(outcome.detail.ends_with(", not verified"), "{outcome}");
}

/// `server.pem`, and `old.pem` of the same key.
fn reissued() -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    self_signed_by_openssl(path, "server", "db.example");
    fs::copy(path.join("server.pem"), path.join("old.pem")).unwrap();
    self_signed_by_openssl(path, "server", "db.example");
    assert_ne!(read(&path.join("server.pem")), read(&path.join("old.pem")));
    directory
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
