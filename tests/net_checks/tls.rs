//! `kind = "tls"`, and `tls` of a check by HTTP, against nginx.

use firedoor::outcome::{CheckCode, Outcome};
use tempfile::TempDir;

use crate::asking::{SHORT, ask};
use crate::authority::Authority;
use crate::nginx;
use crate::support::server::Server;
use crate::support::{Proxy, port};

/// nginx with a certificate for `host` that ends in `days`, and whose signer's is `ca.pem`.
fn serving(host: &str, days: i64) -> Server {
    serving_with(host, days, "")
}

fn serving_with(host: &str, days: i64, extra: &str) -> Server {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", host, days);
    authority.sign(directory.path(), "client", "firedoor.example", 100);
    nginx::start(directory, "server", extra)
}

pub async fn tls(server: &Server, terms: &str) -> Outcome {
    let keys = format!("kind = \"tls\", tls = {{ {terms} }}");
    ask(server.path(), server.address, &keys).await
}

pub const NAMED: &str = "ca = \"ca.pem\", server_name = \"db.example\"";

#[tokio::test]
async fn a_certificate_in_order_passes_and_says_until_when() {
    let server = serving("db.example", 100);
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    assert!(outcome.passed());
    let detail = outcome.detail;
    assert!(
        detail.starts_with("TLS 1.3, certificate until 20"),
        "{detail}"
    );
    assert!(!detail.contains("WARNING"), "{detail}");
}

#[tokio::test]
async fn servers_that_know_no_more_than_tls_1_2_pass_too() {
    let server = serving_with("db.example", 100, "ssl_protocols TLSv1.2;");
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    assert!(outcome.detail.starts_with("TLS 1.2, "), "{outcome}");
}

#[tokio::test]
async fn without_a_server_name_the_certificate_must_be_for_the_address() {
    let server = serving("127.0.0.1", 100);
    let outcome = tls(&server, "ca = \"ca.pem\"").await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_l6rsp_and_both_are_named() {
    let server = serving("other.example", 100);
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Response);
    assert_eq!(
        outcome.detail,
        "the certificate is for other.example, not for db.example"
    );
}

#[tokio::test]
async fn a_signer_that_nobody_trusts_is_l6rsp() {
    let server = serving("db.example", 100);
    Authority::new("another authority").write(server.path());
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Response);
    assert_eq!(
        outcome.detail,
        "the certificate is not signed by anybody who is trusted"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_l6rsp_and_says_since_when() {
    let server = serving("db.example", -3);
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Response);
    let detail = outcome.detail;
    assert!(
        detail.starts_with("the certificate expired on 20"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_certificate_that_expires_soon_passes_with_a_warning() {
    let server = serving("db.example", 5);
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    let detail = outcome.detail;
    assert!(
        detail.contains("WARNING: the certificate expires in 4 days, on 20"),
        "{detail}"
    );

    let keys = format!("kind = \"tls\", tls = {{ {NAMED} }}, expires_within = \"1d\"");
    let outcome = ask(server.path(), server.address, &keys).await;
    assert!(!outcome.detail.contains("WARNING"), "{outcome}");
}

#[tokio::test]
async fn unverified_even_an_expired_one_passes_but_not_in_silence() {
    let server = serving("db.example", -3);
    let outcome = tls(&server, "verify = false").await;
    assert_eq!(outcome.code, CheckCode::L6Ok, "{outcome}");
    assert!(
        outcome
            .detail
            .contains("WARNING: the certificate expired on 20"),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_server_that_wants_to_know_us_gets_our_certificate() {
    let asks = "ssl_verify_client on; ssl_client_certificate ca.pem;";
    let server = serving_with("db.example", 100, asks);
    let http = |terms: &str| format!("kind = \"http\", tls = {{ {terms} }}");
    let outcome = ask(server.path(), server.address, &http(NAMED)).await;
    assert_eq!(outcome.status, Some(400), "nginx's word for it: {outcome}");
    let identity = format!("{NAMED}, cert = \"client.pem\", key = \"client.key\"");
    let outcome = ask(server.path(), server.address, &http(&identity)).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
}

#[tokio::test]
async fn http_over_tls_is_http() {
    let server = serving("db.example", 100);
    let keys = format!("kind = \"http\", body = \"all well\", tls = {{ {NAMED} }}");
    let outcome = ask(server.path(), server.address, &keys).await;
    assert_eq!((outcome.code, outcome.status), (CheckCode::L7Ok, Some(200)));
}

#[tokio::test]
async fn a_frozen_server_is_l6tout() {
    let server = serving("db.example", 100);
    server.freeze();
    let keys = format!("kind = \"tls\", tls = {{ {NAMED} }}, {SHORT}");
    let outcome = ask(server.path(), server.address, &keys).await;
    assert_eq!(outcome.code, CheckCode::L6Timeout);
    assert_eq!(
        outcome.detail,
        "connected, but no TLS handshake within 150 ms"
    );
    server.thaw();
    assert!(tls(&server, NAMED).await.passed());
}

#[tokio::test]
async fn a_server_that_is_gone_is_l4con() {
    let mut server = serving("db.example", 100);
    server.kill();
    let outcome = tls(&server, NAMED).await;
    assert_eq!(outcome.code, CheckCode::L4Con, "{outcome}");
}

#[test]
fn an_operator_sees_the_warning_in_the_status() {
    let server = serving("db.example", 5);
    let (address, ca) = (server.address, server.path().join("ca.pem"));
    let proxy = Proxy::builder()
        .zone_at("fz-1", &[port::free()])
        .dependency(
            "login",
            address,
            &format!("check = {{ kind = \"tls\", address = \"{address}\", tls = {{ ca = \"{}\", server_name = \"db.example\" }} }}", ca.display()),
        )
        .start();
    proxy.until_status("the certificate's end is announced", |status| {
        let login = &status["zones"][0]["components"][1];
        let detail = login["last"]["detail"].as_str().unwrap_or_default();
        login["status"] == "up" && detail.contains("WARNING: the certificate expires in")
    });
}
