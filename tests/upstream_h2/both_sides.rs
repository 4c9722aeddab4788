//! HTTP/2 on both sides: what only such a client can do reaches the backend, and comes back.

use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request};
use tokio::net::TcpStream;

use crate::origin::{Options, Origin};
use crate::service::builder;
use crate::support::wait::PATIENCE;
use crate::support::{Proxy, eventually};

fn in_front_of(origin: &Origin) -> Proxy {
    let builder = builder(&[origin]).listener("h2c = true");
    builder.server("workers = 1").start()
}

pub async fn client(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

pub fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://app.example{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

pub async fn all(body: &mut RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&origin);
    let mut sender = client(&proxy).await;
    let asked = request(Method::POST, "/trailers");
    let (response, mut out) = sender.send_request(asked, false).unwrap();
    out.send_data(Bytes::from_static(b"body"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", 42.into());
    trailers.insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
    trailers.insert("content-type", "text/plain".parse().unwrap());
    out.send_trailers(trailers).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(all(&mut body).await, b"message");
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    let seen = origin.saw("/trailers").trailers.unwrap();
    assert_eq!(seen["x-sum"], "42");
    assert!(!seen.contains_key("x-forwarded-for"), "a claim");
    assert!(!seen.contains_key("content-type"), "too late");
}

/// A body that is small enough to be kept has trailers too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_removes_does_not_come_back_behind_a_small_body() {
    let origin = Origin::named("a");
    let proxy = builder(&[&origin])
        .listener("h2c = true")
        .toml("[[route]]\npool = \"default\"\nrequest_headers = { remove = [\"X-Remote-User\"] }")
        .start();
    let mut sender = client(&proxy).await;
    let mut asked = request(Method::POST, "/kept");
    let length = "4".parse().unwrap();
    asked.headers_mut().insert("content-length", length);
    let (response, mut out) = sender.send_request(asked, false).unwrap();
    out.send_data(Bytes::from_static(b"body"), false).unwrap();
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "x-remote-user", "x_remote_user"] {
        trailers.insert(name, 42.into());
    }
    out.send_trailers(trailers).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let seen = origin.saw("/kept").trailers.unwrap();
    let names: Vec<&str> = seen.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-sum"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_the_clients_reaches_the_backend() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&origin);
    let mut sender = client(&proxy).await;
    let (response, mut out) = sender
        .send_request(request(Method::POST, "/never"), false)
        .unwrap();
    eventually(PATIENCE, "it is under way", || {
        origin
            .seen()
            .iter()
            .any(|seen| seen.uri.ends_with("/never"))
    });
    out.send_reset(Reason::CANCEL);
    drop(response);
    eventually(PATIENCE, "it is reset", || origin.cancelled() == 1);
    // And the connection goes on.
    let mut sender = sender.ready().await.unwrap();
    let (response, _) = sender
        .send_request(request(Method::GET, "/echo"), true)
        .unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(
        origin.saw("/echo").connection,
        origin.saw("/never").connection
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_opened_on_both() {
    let origin = Origin::start(Options {
        websockets: true,
        ..Options::default()
    });
    let proxy = in_front_of(&origin);
    let mut sender = client(&proxy).await;
    while !sender.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let mut asked = request(Method::CONNECT, "/chat");
    asked
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    asked
        .headers_mut()
        .insert("sec-websocket-version", 13.into());
    let (response, mut out) = sender.send_request(asked, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    out.send_data(Bytes::from_static(b"hello"), false).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "HELLO");
    out.send_data(Bytes::new(), true).unwrap();
    assert_eq!(all(&mut body).await, b"bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trailers_of_a_small_body_of_known_length_pass_too() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&origin);
    let mut sender = client(&proxy).await;
    let mut asked = request(Method::POST, "/echo");
    asked.headers_mut().insert("content-length", 4.into());
    let (response, mut out) = sender.send_request(asked, false).unwrap();
    out.send_data(Bytes::from_static(b"body"), false).unwrap();
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), 42.into())]);
    out.send_trailers(trailers).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let seen = origin.saw("/echo");
    assert_eq!(seen.body, b"body");
    assert_eq!(seen.trailers.unwrap()["x-sum"], "42");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_has_no_body_brings_none() {
    let origin = Origin::named("a");
    let proxy = in_front_of(&origin);
    let mut sender = client(&proxy).await;
    for (method, path) in [(Method::GET, "/204?body"), (Method::HEAD, "/echo")] {
        let (response, _) = sender.send_request(request(method, path), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert!(all(&mut body).await.is_empty(), "{path}");
    }
    // And the connection goes on.
    let again = request(Method::GET, "/echo");
    let (response, _) = sender.send_request(again, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_may_be_silent_for_longer_than_a_body() {
    let origin = Origin::named("a");
    let builder = builder(&[&origin]).listener("h2c = true");
    let proxy = builder
        .server("workers = 1")
        .toml("[limits]\nbody_timeout = \"300ms\"")
        .start();
    let call = |path| {
        let mut asked = request(Method::POST, path);
        let kind = "application/grpc".parse().unwrap();
        asked.headers_mut().insert("content-type", kind);
        asked
    };
    let mut sender = client(&proxy).await;
    let (response, mut out) = sender.send_request(call("/both"), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut sender = sender.ready().await.unwrap();
    let (unanswered, mut rest) = sender.send_request(call("/echo"), false).unwrap();
    eventually(PATIENCE, "it is under way", || origin.seen().len() == 2);

    // Others that fall silent after these have to end.
    let mut sender = sender.ready().await.unwrap();
    let asked = request(Method::POST, "/both?no-call");
    let (response, _out) = sender.send_request(asked, false).unwrap();
    let mut ended = response.await.unwrap().into_body();
    assert!(ended.data().await.unwrap().is_err());
    assert_eq!(proxy.access_line("/both")["termination"], "cD");
    let mut sender = sender.ready().await.unwrap();
    let asked = request(Method::POST, "/echo?no-call");
    let (response, _out) = sender.send_request(asked, false).unwrap();
    assert_eq!(response.await.unwrap().status(), 408);

    out.send_data(Bytes::from_static(b"more"), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "MORE");
    rest.send_data(Bytes::from_static(b"late"), true).unwrap();
    assert_eq!(unanswered.await.unwrap().status(), 200);
}

/// Its HTTP status is 200 all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_that_its_server_fails_hastens_the_checks_and_is_in_the_log() {
    let origin = Origin::named("a");
    let builder = builder(&[&origin]).listener("h2c = true");
    let proxy = builder
        .server("workers = 1")
        .check("path = \"/health\"\ninterval = \"1h\"")
        .start();
    proxy.until_all_up();
    let mut sender = client(&proxy).await;
    let mut call = async |path: &str| {
        let mut asked = request(Method::POST, path);
        let kind = "application/grpc".parse().unwrap();
        asked.headers_mut().insert("content-type", kind);
        sender = sender.clone().ready().await.unwrap();
        let (response, _) = sender.send_request(asked, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        all(&mut body).await;
        let _trailers = body.trailers().await.unwrap();
    };
    let quiet = origin.checks();
    for code in [0, 4, 5, 12] {
        call(&format!("/ends?{code}")).await;
        call(&format!("/ends-at-once?{code}")).await;
    }
    assert_eq!(origin.checks(), quiet, "nobody was at fault");
    for path in ["/ends?14", "/ends-at-once?13"] {
        let (before, deadline) = (origin.checks(), Instant::now() + PATIENCE);
        // More than once: what comes in a burst is one piece of news.
        while origin.checks() == before {
            assert!(Instant::now() < deadline, "{path} has hastened nothing");
            call(path).await;
        }
    }
    let expected = [0, 4, 5, 12, 14, 13].map(|code| (200.into(), code.into()));
    eventually(PATIENCE, "the log tells them all", || {
        let text = proxy.access_text();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut told: Vec<_> = lines
            .map(|line: serde_json::Value| (line["status"].clone(), line["grpc_status"].clone()))
            .collect();
        told.dedup();
        told == expected
    });
}
