//! Probes against real sockets that follow a script: what each way to fail is called, and that no answer, however odd, makes
//! a probe outlast its timeout.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use firedoor::config::{Check, CheckKind, HttpCheck};
use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::{CheckCode, Outcome};
use firedoor::zone::ComponentKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Long enough that only a script that keeps silent can reach it.
const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_answer_as_expected_passes() {
    let server = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!((outcome.code, outcome.status), (CheckCode::L7Ok, Some(204)));
    assert!(outcome.passed());
}

#[tokio::test]
async fn the_request_closes_and_names_the_configured_address_or_host() {
    let (tell, mut told) = mpsc::channel(1);
    let server = serve(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            let head = head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = tell.send(head).await;
        })
    })
    .await;
    probe(server, "app.example:8080", &http(AMPLE)).await;
    let head = told.recv().await.unwrap().to_lowercase();
    assert!(
        head.starts_with("get /healthz?deep=1 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nhost: app.example:8080\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: firedoor/"), "{head}");

    let named = expecting(AMPLE, |check| {
        check.host = Some("vhost.example".parse().unwrap());
    });
    probe(server, "app.example:8080", &named).await;
    let head = told.recv().await.unwrap().to_lowercase();
    assert!(head.contains("\r\nhost: vhost.example\r\n"), "{head}");
}

#[tokio::test]
async fn a_refused_connection_is_l4con() {
    // Bound but not listening: nobody else can get this port meanwhile, and connecting is refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    for check in [tcp(AMPLE), http(AMPLE)] {
        let outcome = probe(address, "x", &check).await;
        assert_eq!(outcome.code, CheckCode::L4Con);
        assert_eq!(outcome.detail, "connection refused");
        assert_eq!(outcome.status, None);
    }
}

#[tokio::test]
async fn a_full_accept_queue_is_l4tout() {
    // With nobody accepting and the queue full, Linux drops further SYNs: to the prober a black hole.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let _listener = socket.listen(1).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    let outcome = probe(address, "x", &tcp(SHORT)).await;
    assert_eq!(outcome.code, CheckCode::L4Timeout, "{outcome}");
    assert_eq!(outcome.detail, "no connection within 150 ms");
    assert!(outcome.took >= SHORT);
}

#[tokio::test]
async fn an_accepted_connection_is_l4ok_for_tcp_and_closed_in_order() {
    let (tell, mut told) = mpsc::channel(1);
    let server = serve(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            let _ = tell.send(stream.read(&mut [0; 16]).await).await;
        })
    })
    .await;
    let outcome = probe(server, "x", &tcp(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L4Ok);
    let end = told.recv().await.unwrap();
    assert_eq!(end.unwrap(), 0, "an end of stream, not a reset");
}

#[tokio::test]
async fn silence_after_the_accept_is_l7tout() {
    let outcome = probe(answering(b"").await, "x", &http(SHORT)).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout);
    assert_eq!(outcome.detail, "connected, but no answer within 150 ms");
    assert!(outcome.took >= SHORT);
}

#[tokio::test]
async fn half_a_head_is_l7tout() {
    let server = answering(b"HTTP/1.1 200 OK\r\nServer: slo").await;
    let outcome = probe(server, "x", &http(SHORT)).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout);
}

#[tokio::test]
async fn a_head_that_drips_and_never_ends_is_l7tout() {
    let server = serve(|mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
            let mut drip = tokio::time::interval(Duration::from_millis(5));
            while stream.write_all(b"x").await.is_ok() {
                drip.tick().await;
            }
        })
    })
    .await;
    let outcome = probe(server, "x", &http(SHORT)).await;
    assert_eq!(outcome.code, CheckCode::L7Timeout);
}

#[tokio::test]
async fn garbage_is_l7rsp() {
    let server = answering(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L7Response);
    assert!(outcome.detail.contains("not HTTP/1.1"), "{outcome}");
}

#[tokio::test]
async fn a_head_without_bound_is_l7rsp_and_not_swallowed() {
    let server = serve(|stream| Box::pin(flood(stream, b"HTTP/1.1 200 OK\r\nX: "))).await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
    assert!(outcome.detail.contains("larger than 64 KiB"), "{outcome}");
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_l7rsp() {
    let server = serve(|mut stream| {
        Box::pin(async move {
            head(&mut stream).await;
        })
    })
    .await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L7Response);
    assert!(outcome.detail.contains("closed before"), "{outcome}");
}

#[tokio::test]
async fn a_reset_is_l7rsp() {
    let server = serve(|mut stream| {
        Box::pin(async move {
            head(&mut stream).await;
            stream.set_zero_linger().unwrap();
        })
    })
    .await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L7Response, "{outcome}");
    assert!(outcome.detail.contains("reset"), "{outcome}");
}

#[tokio::test]
async fn another_status_than_expected_is_l7sts_and_says_both() {
    let server =
        answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n").await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(500))
    );
    assert_eq!(outcome.detail, "HTTP 500, expected 200-399");
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nonly this").await;
    let outcome = probe(server, "x", &http(AMPLE)).await;
    assert_eq!(outcome.code, CheckCode::L7Ok);
    assert!(outcome.took < AMPLE);
}

#[tokio::test]
async fn expected_text_passes_even_across_two_chunks_and_without_the_bodys_end() {
    let outcome = all_well(
        AMPLE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall we\r\n3\r\nll \r\n",
    )
    .await;
    assert_eq!(outcome.code, CheckCode::L7Ok, "{outcome}");
}

#[tokio::test]
async fn missing_text_is_l7sts() {
    let outcome = all_well(
        AMPLE,
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nmaintenance",
    )
    .await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Status, Some(200))
    );
    assert!(
        outcome.detail.contains("expected \"all well\""),
        "{outcome}"
    );
}

#[tokio::test]
async fn a_body_that_stalls_before_the_expected_text_is_l7tout() {
    // Time enough for the head.
    let outcome = all_well(
        Duration::from_secs(2),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall w",
    )
    .await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Timeout, Some(200))
    );
}

#[tokio::test]
async fn only_the_first_64_kib_of_a_huge_body_are_searched() {
    let server = serve(|stream| Box::pin(flood(stream, b"HTTP/1.1 200 OK\r\n\r\n"))).await;
    let check = expecting(AMPLE, |check| check.body = Some("all well".into()));
    let outcome = probe(server, "x", &check).await;
    assert_eq!(outcome.code, CheckCode::L7Status, "{outcome}");
}

#[tokio::test]
async fn a_body_that_breaks_off_before_the_expected_text_is_l7rsp() {
    let server = serve(|mut stream| {
        Box::pin(async move {
            head(&mut stream).await;
            let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall w";
            let _ = stream.write_all(half).await;
        })
    })
    .await;
    let check = expecting(AMPLE, |check| check.body = Some("all well".into()));
    let outcome = probe(server, "x", &check).await;
    assert_eq!(
        (outcome.code, outcome.status),
        (CheckCode::L7Response, Some(200))
    );
}

async fn probe(address: SocketAddr, authority: &str, check: &Check) -> Outcome {
    let component = ComponentKey {
        zone: "fz-1".into(),
        name: "app-1".into(),
    };
    let subject = Subject {
        component: &component,
        address,
        authority,
    };
    Prober::default().probe(subject, check).await
}

type Script = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn all_well(timeout: Duration, answer: &'static [u8]) -> Outcome {
    let check = expecting(timeout, |check| check.body = Some("all well".into()));
    probe(answering(answer).await, "x", &check).await
}

/// A server that reads the request, sends `answer` and keeps the connection open.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        Box::pin(async move {
            head(&mut stream).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
    })
    .await
}

async fn serve(script: impl Fn(TcpStream) -> Script + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    address
}

/// Sends `lead`, then bytes without end.
async fn flood(mut stream: TcpStream, lead: &'static [u8]) {
    head(&mut stream).await;
    let _ = stream.write_all(lead).await;
    while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn http(timeout: Duration) -> Check {
    expecting(timeout, |_| {})
}

fn expecting(timeout: Duration, change: impl FnOnce(&mut HttpCheck)) -> Check {
    let mut check = HttpCheck {
        method: http::Method::GET,
        path: "/healthz?deep=1".parse().unwrap(),
        host: None,
        expect: vec![(200, 399)],
        body: None,
        tls: None,
        h2c: false,
    };
    change(&mut check);
    Check {
        kind: CheckKind::Http(check),
        ..tcp(timeout)
    }
}

fn tcp(timeout: Duration) -> Check {
    Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout,
        confirm_interval: Duration::from_millis(50),
        fall: NonZeroU32::MIN,
        rise: NonZeroU32::MIN,
        send_proxy: None,
    }
}
