//! What the RFCs only recommend.

use std::time::Duration;

use super::lab::{Rule, octets, should};
use crate::support::behaviour::{self, Next};

const AGAIN: &str = "GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n";

pub fn rules() -> Vec<Rule> {
    let mut rules = removals();
    rules.extend(forwarding());
    rules.extend(answers());
    rules.extend(connections());
    rules
}

fn removals() -> Vec<Rule> {
    vec![
        should("RFC 9110 7.6.1", "Keep-Alive isn't forwarded", |lab| {
            assert_eq!(
                lab.get("Keep-Alive: timeout=5\r\n").1.field("keep-alive"),
                None
            );
        }),
        should(
            "RFC 9110 7.6.1",
            "Proxy-Connection isn't forwarded",
            |lab| {
                assert_eq!(
                    lab.get("Proxy-Connection: keep-alive\r\n")
                        .1
                        .field("proxy-connection"),
                    None
                );
            },
        ),
        should(
            "RFC 9110 7.6.1",
            "TE isn't forwarded unless Connection names it",
            |lab| {
                let (_, seen) = lab.get("TE: gzip\r\n");
                assert!(!seen.all("te").join(",").contains("gzip"));
            },
        ),
        should(
            "RFC 9110 7.6.1",
            "Upgrade isn't forwarded unless Connection names it",
            |lab| {
                assert_eq!(lab.get("Upgrade: websocket\r\n").1.field("upgrade"), None);
            },
        ),
        should(
            "RFC 9110 7.6.1",
            "Keep-Alive of the origin isn't forwarded",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(
                        200,
                        &["Keep-Alive: timeout=5, max=1"],
                        "",
                    ))
                    .unwrap();
                assert_eq!(answer.field("keep-alive"), None);
            },
        ),
        should(
            "RFC 9110 7.6.1",
            "Proxy-Connection of the origin isn't forwarded",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(
                        200,
                        &["Proxy-Connection: keep-alive"],
                        "",
                    ))
                    .unwrap();
                assert_eq!(answer.field("proxy-connection"), None);
            },
        ),
    ]
}

fn forwarding() -> Vec<Rule> {
    vec![
        should(
            "RFC 9110 5.5",
            "octets above ASCII in values are opaque",
            |lab| {
                let (_, seen) = lab.get("X-A: b\u{e4}\u{ff}\u{80}\r\n");
                assert_eq!(seen.field("x-a"), Some("b\u{e4}\u{ff}\u{80}"));
            },
        ),
        should(
            "RFC 9110 6.5",
            "trailer fields of a request are forwarded",
            |lab| {
                let (_, seen) = lab.post(
                    "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
                    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
                );
                assert!(
                    seen.trailers
                        .iter()
                        .any(|(name, value)| name.eq_ignore_ascii_case("x-sum") && value == "1")
                );
            },
        ),
        should(
            "RFC 9110 6.5",
            "trailer fields of a response are forwarded",
            |lab| {
                lab.origin
                    .behave(behaviour::chunked(&[b"hello"], &["X-Sum: 1"]));
                let answer = lab.client().exchange("GET /it HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
                assert!(
                    answer
                        .trailers
                        .iter()
                        .any(|(name, value)| name.eq_ignore_ascii_case("x-sum") && value == "1")
                );
            },
        ),
        should(
            "RFC 9110 7.6.3",
            "a forwarded response holds our Via",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(200, &["Via: 1.0 fred"], ""))
                    .unwrap();
                let via = answer.all("via").join(", ");
                assert!(via.starts_with("1.0 fred, 1.1 "), "{via}");
            },
        ),
        should(
            "RFC 9112 2.2",
            "an empty line before a request is ignored",
            |lab| {
                let (answer, _) = lab.ask(&format!("\r\n{AGAIN}"));
                assert_eq!(answer.status, 200);
            },
        ),
        should(
            "RFC 9110 7.6.2",
            "Max-Forwards of other methods is left alone",
            |lab| {
                let (_, seen) = lab.get("Max-Forwards: 0\r\n");
                assert_eq!(seen.field("max-forwards"), Some("0"));
            },
        ),
    ]
}

fn answers() -> Vec<Rule> {
    vec![
        should("RFC 9112 3", "an invalid request line gets 400", |lab| {
            lab.refuses("GET /it it HTTP/1.1\r\nHost: app.example\r\n\r\n", &[400]);
        }),
        should(
            "RFC 9112 6.1",
            "a transfer coding it doesn't know is refused",
            |lab| {
                lab.refuses(
                "POST /it HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: cow, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                &[400, 501],
            );
            },
        ),
        should(
            "RFC 9110 2.5",
            "an HTTP/1.0 client is answered with HTTP/1.1",
            |lab| {
                let answer = lab
                    .client()
                    .exchange("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
                assert!(
                    answer.head.line.starts_with("HTTP/1.1 "),
                    "{}",
                    answer.head.line
                );
            },
        ),
        should(
            "RFC 9110 15.6",
            "an error of its own explains itself",
            |lab| {
                let answer = lab
                    .answered("220 mail.example ESMTP\r\n\r\n", Next::Close)
                    .expect("an answer");
                assert!(answer.status == 502 && !answer.body.is_empty());
            },
        ),
        should("RFC 9110 6.6.1", "an error of its own has a Date", |lab| {
            let answer = lab
                .answered("220 mail.example ESMTP\r\n\r\n", Next::Close)
                .expect("an answer");
            assert!(answer.field("date").is_some());
        }),
        should(
            "RFC 9110 15.6.5",
            "an origin that doesn't answer in time becomes 504",
            |lab| {
                let answer = lab.behaved(behaviour::hang()).expect("an answer");
                assert_eq!(answer.status, 504);
            },
        ),
        should(
            "RFC 9110 9.3.2",
            "an error in answer to HEAD has no body",
            |lab| {
                lab.origin.behave(behaviour::raw(
                    "220 mail.example ESMTP\r\n\r\n",
                    Next::Close,
                ));
                let mut client = lab.client();
                let answer = client.exchange(
                    "HEAD /it HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n",
                );
                let (rest, _) = client.rest(Duration::from_secs(3));
                assert_eq!((answer.status, rest.len()), (502, 0));
            },
        ),
    ]
}

fn connections() -> Vec<Rule> {
    vec![
        should(
            "RFC 9112 9.3",
            "a client's connection serves several requests",
            |lab| {
                let mut client = lab.client();
                for _ in 0..3 {
                    assert_eq!(client.exchange(AGAIN).text(), "hello");
                }
            },
        ),
        should(
            "RFC 9112 9.3",
            "an origin's connection serves several requests",
            |lab| {
                let mut client = lab.client();
                let before = lab.origin.count();
                for _ in 0..3 {
                    assert_eq!(client.exchange(AGAIN).text(), "hello");
                }
                let connections: Vec<usize> = lab
                    .origin
                    .seen()
                    .iter()
                    .skip(before)
                    .map(|seen| seen.connection)
                    .collect();
                assert_eq!(connections[1], connections[2]);
            },
        ),
        should("RFC 9112 9.6", "the answer to close says close", |lab| {
            let answer = lab
                .client()
                .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n");
            assert!(
                answer
                    .all("connection")
                    .join(",")
                    .to_ascii_lowercase()
                    .contains("close")
            );
        }),
        should(
            "RFC 9110 7.6.1",
            "the origin's close isn't the client's",
            |lab| {
                lab.origin.behave(behaviour::raw(
                    behaviour::response(200, &["Connection: close"], b"bye"),
                    Next::Close,
                ));
                let mut client = lab.client();
                assert_eq!(client.exchange(AGAIN).text(), "bye");
                assert_eq!(client.exchange(AGAIN).text(), "bye");
            },
        ),
        should(
            "RFC 9112 9.3.1",
            "a GET on a kept connection that died is sent again",
            |lab| {
                let mut client = lab.client();
                assert_eq!(client.exchange(AGAIN).text(), "hello");
                lab.origin.close_connections();
                assert_eq!(client.exchange(AGAIN).text(), "hello");
            },
        ),
        should(
            "RFC 9112 9.6",
            "an early refusal isn't lost while the client still sends",
            |lab| {
                lab.origin
                    .behave(behaviour::early_and_close(behaviour::response(
                        413,
                        &["Connection: close"],
                        b"too much",
                    )));
                let mut client = lab.client();
                client.send(
                    "POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3000000\r\n\r\n",
                );
                for _ in 0..30 {
                    if client.try_send(vec![b'x'; 100_000]).is_err() {
                        break;
                    }
                }
                let answer = client
                    .response_within("POST", Duration::from_secs(6))
                    .expect("the refusal");
                assert_eq!(answer.status, 413);
            },
        ),
        should(
            "RFC 9112 9.6",
            "a refusal by itself isn't lost while the client still sends",
            |lab| {
                let mut client = lab.client();
                client.send(octets(
                    "POST /it HTTP/1.1\r\nHost: a b\r\nContent-Length: 300000\r\n\r\n",
                ));
                let _ = client.try_send(vec![b'x'; 300_000]);
                let answer = client
                    .response_within("POST", Duration::from_secs(6))
                    .expect("the refusal");
                assert_eq!(answer.status, 400);
            },
        ),
    ]
}
