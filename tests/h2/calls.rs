//! gRPC calls: firedoor's own errors come as `grpc-status`, and to nobody else.

use std::time::Duration;

use bytes::Bytes;
use h2::client::Builder;

use crate::client::{Client, Response, wait};
use crate::support::behaviour;
use crate::support::wait::{PATIENCE, eventually};
use crate::{builder, lab, lab_with};

const CALL: &str = "application/grpc+proto";

fn call(client: &mut Client, path: &str, kind: &str, body: &str) -> Response {
    let request = client
        .request("POST", path)
        .header("content-type", kind)
        .header("te", "trailers");
    client.exchange(request.body(()).unwrap(), Bytes::from(body.to_owned()))
}

#[track_caller]
fn assert_told(response: &Response, code: &str) {
    assert_eq!(response.status, 200);
    assert_eq!(response.field("grpc-status"), Some(code), "{response:?}");
    assert_eq!(response.field("content-type"), Some("application/grpc"));
    assert!(
        response
            .field("grpc-message")
            .is_some_and(|text| !text.is_empty())
    );
    assert!(response.body.is_empty() && response.trailers.is_none());
}

const IMPATIENT: &str =
    "[upstream]\nresponse_timeout = \"3s\"\nretries = 0\n[failover]\nhold_time = \"0s\"";

#[test]
fn a_backend_that_is_silent_is_a_deadline_and_one_that_breaks_is_unavailable() {
    for (traffic, code) in [
        (behaviour::hang(), "4"),
        (behaviour::reset(), "14"),
        (
            behaviour::raw("nonsense\r\n\r\n", behaviour::Next::Close),
            "13",
        ),
    ] {
        let (_origin, proxy) = lab_with(traffic, IMPATIENT);
        proxy.until_all_up();
        let mut client = Client::connect(proxy.address);
        assert_told(&call(&mut client, "/shop.Cart/Add", CALL, "message"), code);
    }
}

#[test]
fn without_a_zone_it_is_unavailable() {
    let (mut origin, proxy) = lab_with(behaviour::ok(""), IMPATIENT);
    origin.refuse();
    proxy.until_status("it is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    let mut client = Client::connect(proxy.address);
    assert_told(&call(&mut client, "/shop.Cart/Add", CALL, "message"), "14");
    // The log has the status that it stands for.
    assert_eq!(proxy.access_line("/shop.Cart/Add")["status"], 503);
    // Whoever makes no gRPC call gets a status and words.
    for kind in ["application/grpc-web+proto", "application/json"] {
        let response = call(&mut client, "/other", kind, "message");
        assert_eq!(response.status, 503);
        assert_eq!(response.field("grpc-status"), None);
        assert!(!response.body.is_empty());
    }
}

#[test]
fn what_is_not_served_here_is_unimplemented_and_what_is_too_large_exhausts() {
    let origin = crate::Origin::start(behaviour::echo());
    let proxy = builder()
        .toml("[limits]\nmax_body_size = \"1KiB\"\n[[route]]\npath = \"/shop.Cart\"\npool = \"default\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    assert_told(&call(&mut client, "/shop.Other/Add", CALL, "message"), "12");
    let body = "x".repeat(2000);
    assert_told(&call(&mut client, "/shop.Cart/Add", CALL, &body), "8");
}

#[test]
fn a_route_that_answers_by_itself_answers_calls_by_what_its_status_stands_for() {
    let origin = crate::Origin::start(behaviour::echo());
    let route = |path, answer| format!("[[route]]\npath = \"{path}\"\n{answer}\n");
    let routes = [
        route("/ok", "respond = { status = 200, body = \"fine\" }"),
        route("/unknown", "respond = { status = 401 }"),
        route("/forbidden", "respond = { status = 403 }"),
        route("/gone", "respond = { status = 404 }"),
        route("/busy", "respond = { status = 503 }"),
        route("/moved", "redirect = { to = \"https://other.example/\" }"),
        route("/", "pool = \"default\""),
    ];
    let proxy = builder()
        .toml(&routes.concat())
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    for (path, code, words) in [
        ("/ok", "2", "not to gRPC"),
        ("/unknown", "16", "not to gRPC"),
        ("/forbidden", "7", "not to gRPC"),
        ("/gone", "12", "not to gRPC"),
        ("/busy", "14", "not to gRPC"),
        ("/moved", "2", "elsewhere"),
    ] {
        let response = call(&mut client, path, CALL, "message");
        assert_told(&response, code);
        let message = response.field("grpc-message").unwrap();
        assert!(message.contains(words), "{path}: {message}");
    }
}

#[test]
fn over_http_1_1_the_status_stays_what_it_is() {
    let (mut origin, proxy) = lab_with(behaviour::ok(""), IMPATIENT);
    origin.refuse();
    proxy.until_status("it is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    let response = proxy.client().exchange(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {CALL}\r\nContent-Length: 0\r\n\r\n"
    ));
    assert_eq!(response.status, 503);
}

#[test]
fn the_backends_own_grpc_status_is_left_alone() {
    let (_origin, proxy) = lab(behaviour::custom(|exchange| {
        exchange.read_body();
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\
              Trailer: grpc-status, grpc-message\r\n\r\n7\r\nmessage\r\n0\r\ngrpc-status: 5\r\n\
              grpc-message: no such cart\r\n\r\n",
        )
    }));
    let mut client = Client::connect(proxy.address);
    let response = call(&mut client, "/shop.Cart/Get", CALL, "message");
    assert_eq!(response.text(), "message");
    let trailers = response.trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "5");
    assert_eq!(trailers["grpc-message"], "no such cart");
}

#[test]
fn a_call_whose_response_breaks_off_ends_with_a_status() {
    let (_origin, proxy) = lab(behaviour::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nmessage\r\n",
        behaviour::Next::Close,
    ));
    let mut client = Client::connect(proxy.address);
    let response = call(&mut client, "/shop.Cart/Watch", CALL, "message");
    assert_eq!(response.text(), "message");
    let trailers = response.trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "14");
    assert!(!trailers["grpc-message"].is_empty());
    assert_eq!(proxy.access_line("/shop.Cart/Watch")["termination"], "SD");
}

#[test]
fn a_call_whose_client_falls_silent_is_ended_at_a_backend_with_http_1_1() {
    let origin = crate::Origin::start(behaviour::early(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nmessage\r\n",
    ));
    let proxy = builder()
        .toml("[limits]\nbody_timeout = \"300ms\"")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    let request = client.request("POST", "/shop.Cart/Watch");
    let request = request.header("content-type", CALL).body(()).unwrap();
    let mut stream = client.begin(request, false);
    let response = stream.response().unwrap();
    assert_eq!(response.text(), "message");
    let trailers = response.trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "4");
    assert_eq!(
        trailers["grpc-message"],
        "The request body came too slowly."
    );
    assert_eq!(proxy.access_line("/shop.Cart/Watch")["termination"], "cD");
}

/// Without any leave at all, and in the middle of a message; whether the client has said all that it has to say or not.
#[test]
fn a_call_whose_client_does_not_take_the_response_ends_with_a_deadline() {
    let (origin, proxy) = lab_with(
        behaviour::early_events(Duration::ZERO),
        "[limits]\nwrite_timeout = \"300ms\"",
    );
    for (window, ends) in [(0, true), (10, true), (1000, false)] {
        let builder = Builder::new().initial_window_size(window).clone();
        let mut client = Client::connect_with(proxy.address, &builder);
        let path = format!("/shop.Cart/Watch{window}");
        let request = client.request("POST", &path);
        let request = request.header("content-type", CALL).body(()).unwrap();
        let mut stream = client.begin(request, ends);
        assert_eq!(stream.head().status(), 200);
        let mut incoming = stream.incoming.take().unwrap();
        let (mut taken, mut trailers) = (0, None);
        wait(async {
            while let Some(data) = incoming.data().await {
                taken += data.unwrap().len();
            }
            trailers = incoming.trailers().await.unwrap();
        });
        assert_eq!(taken, window as usize);
        let trailers = trailers.unwrap();
        assert_eq!(trailers["grpc-status"], "4");
        let text = "The client took the response too slowly.";
        assert_eq!(trailers["grpc-message"], text);
        assert_eq!(proxy.access_line(&path)["termination"], "cD");
        assert!(!client.has_ended());
    }
    eventually(PATIENCE, "the backend is free", || {
        origin.open_connections() == 0
    });
}

#[test]
fn firedoors_own_answers_have_the_routes_fields_too() {
    let origin = crate::Origin::start(behaviour::echo());
    let proxy = builder()
        .toml(
            "[[route]]\npath = \"/\"\npool = \"default\"\nmaintenance = {}\n\
             response_headers = { set = { X-Route = \"a\" } }",
        )
        .zone("fz-1", &[&origin])
        .start();
    let mut client = Client::connect(proxy.address);
    let response = call(&mut client, "/shop.Cart/Add", CALL, "message");
    assert_told(&response, "14");
    assert_eq!(response.field("x-route"), Some("a"));
}
