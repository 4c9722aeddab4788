//! Connections: upgraded, pipelined, closed.

use std::time::Duration;

use super::lab::{Rule, is_bad_gateway_or, must, octets};
use crate::support::behaviour::{self, Next};
use crate::support::wire::Trouble;

const AGAIN: &str = "GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n";

pub fn rules() -> Vec<Rule> {
    let mut rules = upgrades();
    rules.extend(connections());
    rules
}

fn upgrades() -> Vec<Rule> {
    const ASK: &str = "GET /it HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    vec![
        must(
            "RFC 9110 7.8",
            "101 is forwarded with Upgrade and its connection option",
            |lab| {
                lab.origin.behave(behaviour::upgrade());
                let mut client = lab.client();
                client.send(ASK);
                let head = client.head();
                assert!(head.line.starts_with("HTTP/1.1 101"), "{}", head.line);
                assert_eq!(head.field("upgrade"), Some("websocket"));
                assert!(
                    head.all("connection")
                        .join(",")
                        .to_ascii_lowercase()
                        .contains("upgrade")
                );
            },
        ),
        must(
            "RFC 9110 15.2.2",
            "after 101 bytes go both ways as they are",
            |lab| {
                lab.origin.behave(behaviour::upgrade());
                let mut client = lab.client();
                client.send(ASK);
                client.head();
                client.send("hello\0\r\n\r\n");
                assert_eq!(client.exact(10).unwrap(), b"HELLO\0\r\n\r\n");
            },
        ),
        must(
            "RFC 9110 7.8",
            "an upgrade that the origin refuses is an ordinary exchange",
            |lab| {
                lab.origin.behave(behaviour::ok("plain"));
                let mut client = lab.client();
                client.send(ASK);
                assert_eq!(client.response().text(), "plain");
                assert_eq!(client.exchange(AGAIN).text(), "plain");
            },
        ),
        must(
            "RFC 9110 7.8",
            "a 101 that nobody asked for switches nothing",
            |lab| {
                let answer = lab.answered("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", Next::Close);
                is_bad_gateway_or(answer, |answer| assert_ne!(answer.status, 101));
            },
        ),
    ]
}

fn connections() -> Vec<Rule> {
    vec![
        must(
            "RFC 9112 9.3.2",
            "pipelined requests are answered in order",
            |lab| {
                lab.origin.behave(behaviour::echo());
                let mut client = lab.client();
                let requests: String = (0..5)
                    .map(|at| format!("GET /it/{at} HTTP/1.1\r\nHost: app.example\r\n\r\n"))
                    .collect();
                client.send(requests);
                for at in 0..5 {
                    assert!(
                        client
                            .response()
                            .text()
                            .starts_with(&format!("GET /it/{at} "))
                    );
                }
            },
        ),
        must(
            "RFC 9112 9.6",
            "after close the connection is closed",
            |lab| {
                let mut client = lab.client();
                let response = client
                    .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
                assert_eq!(response.text(), "hello");
                assert!(client.ends_within(Duration::from_secs(3)));
            },
        ),
        must(
            "RFC 9112 9.6",
            "after close no further request is processed",
            |lab| {
                let before = lab.origin.count();
                let mut client = lab.client();
                client.send("GET /it HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\nGET /it/more HTTP/1.1\r\nHost: app.example\r\n\r\n");
                client.response();
                client.rest(Duration::from_secs(3));
                assert_eq!(lab.origin.count(), before + 1);
            },
        ),
        must(
            "RFC 9112 9.3",
            "an HTTP/1.0 connection is closed unless it asked otherwise",
            |lab| {
                let mut client = lab.client();
                client.exchange("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
                assert!(client.ends_within(Duration::from_secs(3)));
            },
        ),
        must(
            "RFC 9112 9.3",
            "an HTTP/1.0 connection that ends the response isn't promised to be kept",
            |lab| {
                lab.origin
                    .behave(behaviour::chunked(&[b"one", b"two"], &[]));
                let mut client = lab.client();
                client.send(
                    "GET /it HTTP/1.0\r\nHost: app.example\r\nConnection: keep-alive\r\n\r\n",
                );
                let head = client.head();
                assert_eq!(head.all("connection"), ["close"]);
                assert_eq!(client.rest(Duration::from_secs(3)).0, b"onetwo");
            },
        ),
        must(
            "RFC 9112 9.6",
            "a connection on which the origin said close isn't used again",
            |lab| {
                lab.origin.behave(behaviour::raw(
                    behaviour::response(200, &["Connection: close"], b"bye"),
                    Next::Keep,
                ));
                let (_, first) = lab.get("");
                lab.origin.behave(behaviour::ok("next"));
                let (answer, second) = lab.get("");
                assert_eq!(answer.text(), "next");
                assert_ne!(first.connection, second.connection);
            },
        ),
        must(
            "RFC 9112 9.2",
            "what the origin sends unasked is no response",
            |lab| {
                lab.origin.behave(behaviour::custom(|exchange| {
                    exchange.send(&behaviour::response(200, &[], b"hello"));
                    exchange.send(&octets("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
                    Next::Keep
                }));
                assert_eq!(lab.get("").0.text(), "hello");
                lab.origin.behave(behaviour::ok("next"));
                assert_eq!(lab.get("").0.text(), "next");
            },
        ),
        must(
            "RFC 9110 9.2.2",
            "a POST that was sent isn't sent again",
            |lab| {
                let before = lab.origin.count();
                lab.origin.behave(behaviour::close());
                let mut client = lab.client();
                client.send(
                    "POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello",
                );
                let answer = client
                    .response_within("POST", Duration::from_secs(6))
                    .expect("an answer");
                assert!((500..600).contains(&answer.status), "{}", answer.status);
                assert_eq!(lab.origin.count(), before + 1);
            },
        ),
        must(
            "RFC 9112 9.6",
            "a message that was refused is the last one of its connection, where its end is unknown",
            |lab| {
                let before = lab.origin.count();
                let mut client = lab.client();
                client.send(format!("POST /it HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: gzip\r\n\r\n{AGAIN}"));
                let answer = client.response();
                let (rest, end) = client.rest(Duration::from_secs(3));
                assert!((400..600).contains(&answer.status), "{}", answer.status);
                assert_ne!(end, Trouble::Deadline);
                assert_eq!((rest.len(), lab.origin.count()), (0, before));
            },
        ),
    ]
}
