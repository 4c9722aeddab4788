//! `kind = "grpc"` against gRPC's own server, and against those who only pretend.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use firedoor::outcome::{CheckCode, Outcome};
use tempfile::TempDir;

use crate::asking::{SHORT, ask};
use crate::authority::Authority;
use crate::support::server::Server;
use crate::{liar, nginx};

fn grpc(directory: TempDir, options: &[&str]) -> Server {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Server::start(directory, |address, _| {
        // tests/run makes this environment.
        let mut command = Command::new(root.join("target/venv/bin/python"));
        command
            .arg(root.join("tests/net_checks/health.py"))
            .arg(address.to_string())
            .args(options);
        command
    })
}

async fn probe(server: &Server, keys: &str) -> Outcome {
    ask(
        server.path(),
        server.address,
        &format!("kind = \"grpc\"{keys}"),
    )
    .await
}

async fn probe_liar(address: SocketAddr, keys: &str) -> Outcome {
    let directory = TempDir::new().unwrap();
    ask(directory.path(), address, &format!("kind = \"grpc\"{keys}")).await
}

#[tokio::test]
async fn only_what_serves_passes_and_every_other_state_is_told_apart() {
    let mut server = grpc(TempDir::new().unwrap(), &[]);
    for (service, code, status, detail) in [
        ("", CheckCode::L7Ok, None, "SERVING"),
        ("shop.Up", CheckCode::L7Ok, None, "SERVING"),
        (
            "shop.Down",
            CheckCode::L7Status,
            None,
            "the service is NOT_SERVING, expected SERVING",
        ),
        (
            "shop.Unsure",
            CheckCode::L7Status,
            None,
            "the service is UNKNOWN, expected SERVING",
        ),
        (
            "shop.Gone",
            CheckCode::L7Status,
            None,
            "the service is SERVICE_UNKNOWN, expected SERVING",
        ),
        (
            "shop.Never",
            CheckCode::L7Status,
            Some(5),
            "the server knows no such service: NOT_FOUND",
        ),
        // Longer than one byte can tell.
        (
            &"x".repeat(300),
            CheckCode::L7Status,
            Some(5),
            "the server knows no such service: NOT_FOUND",
        ),
    ] {
        let outcome = probe(&server, &format!(", service = \"{service}\"")).await;
        assert_eq!((outcome.code, outcome.status), (code, status), "{outcome}");
        assert_eq!(outcome.detail, detail);
    }

    server.freeze();
    let outcome = probe(&server, &format!(", {SHORT}")).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout);
    assert_eq!(outcome.detail, "connected, but no answer within 150 ms");
    server.thaw();
    assert!(probe(&server, "").await.passed());
    server.kill();
    let outcome = probe(&server, "").await;
    assert_eq!(outcome.code, CheckCode::L4Con, "{outcome}");
}

#[tokio::test]
async fn a_server_without_the_health_service_is_told_so() {
    let server = grpc(TempDir::new().unwrap(), &["--bare"]);
    let outcome = probe(&server, "").await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(12))
    );
    let detail = outcome.detail;
    assert!(
        detail.starts_with("the server has no health service: UNIMPLEMENTED"),
        "{detail}"
    );
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "grpc.example", 100);
    let server = grpc(directory, &["--tls"]);
    let tls = ", tls = { ca = \"ca.pem\", server_name = \"grpc.example\" }";
    let outcome = probe(&server, tls).await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
    let outcome = probe(&server, ", tls = { ca = \"ca.pem\" }").await;
    assert_eq!(outcome.code, CheckCode::L6Response, "{outcome}");
    let outcome = probe(&server, "").await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");

    let http = format!("kind = \"http\"{tls}");
    let outcome = ask(server.path(), server.address, &http).await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
    assert_eq!(outcome.detail, "connection closed by the other side");
}

#[tokio::test]
async fn http_2_that_is_not_grpc_is_l7sts_and_http_1_is_no_answer() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    let server = nginx::start(directory, "server", "");
    let outcome = probe(&server, ", tls = { ca = \"ca.pem\" }").await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(200))
    );
    assert_eq!(outcome.detail, "HTTP 200, but not gRPC");

    let liar = liar::saying(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let outcome = probe_liar(liar, "").await;
    assert_eq!(outcome.code, CheckCode::L7Response);
    assert_eq!(outcome.detail, "the answer is not HTTP/2");
}

#[tokio::test]
async fn halves_and_garbage_are_l7rsp_and_silence_is_l7tout() {
    // SETTINGS and no more.
    const HALF: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let outcome = probe_liar(liar::saying(HALF).await, &format!(", {SHORT}")).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout, "{outcome}");
    for words in [
        HALF,
        b"",
        b"\xff\xfe\xfd",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let outcome = probe_liar(liar::saying_goodbye(words).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{words:?}: {outcome}");
        assert!(!outcome.detail.is_empty());
    }
    // A frame of 16 MiB; SETTINGS, and then frames without end.
    for lead in [
        &b"\xff\xff\xff"[..],
        HALF,
        b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01",
    ] {
        let outcome = probe_liar(liar::endless(lead).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{lead:?}: {outcome}");
    }
}

#[tokio::test]
async fn a_call_that_fails_or_makes_no_sense_never_passes() {
    const GOOD: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
    let ok = [("grpc-status", "0")];
    let outcome = probe_liar(liar::calling(GOOD, &ok).await, "").await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");

    let odd: [(&[u8], &'static [_], &str); 9] = [
        (GOOD, &[], "it has no grpc-status"),
        (
            GOOD,
            &[("grpc-status", "fine")],
            "its grpc-status is not a number",
        ),
        (b"", &[("grpc-status", "0")], "it has no status in it"),
        (
            b"\0\0\0\0",
            &[("grpc-status", "0")],
            "it has no status in it",
        ),
        (
            &[1, 0, 0, 0, 2, 8, 1],
            &[("grpc-status", "0")],
            "it has no status in it",
        ),
        (
            &[0, 0, 0, 0, 9, 8, 1],
            &[("grpc-status", "0")],
            "it has no status in it",
        ),
        (
            &[0, 0, 0, 0, 2, 8, 0x81],
            &[("grpc-status", "0")],
            "it has no status in it",
        ),
        (
            &[0, 0, 0, 0, 2, 9, 1],
            &[("grpc-status", "0")],
            "it has no status in it",
        ),
        (&[0; 4096], &[("grpc-status", "0")], "it is too long"),
    ];
    for (body, trailers, said) in odd {
        let outcome = probe_liar(liar::calling(body, trailers).await, "").await;
        assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
        assert!(outcome.detail.ends_with(said), "{outcome}");
    }

    let trailers = [
        ("grpc-status", "14"),
        ("grpc-message", "try%0Aagain%1b[31m later"),
    ];
    let outcome = probe_liar(liar::calling(GOOD, &trailers).await, "").await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(14))
    );
    assert_eq!(
        outcome.detail,
        "the call failed: UNAVAILABLE (\"try again [31m later\")"
    );
    let outcome = probe_liar(liar::calling(GOOD, &[("grpc-status", "999")]).await, "").await;
    assert_eq!(outcome.status, Some(999), "{outcome}");
}
