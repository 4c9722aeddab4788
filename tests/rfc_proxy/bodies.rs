//! Bodies and their framing, both ways.

use super::lab::{Rule, is_bad_gateway_or, must, text};
use crate::support::behaviour::{self, Next};
use crate::support::message::Framing;

pub fn rules() -> Vec<Rule> {
    let mut rules = upward();
    rules.extend(downward());
    rules
}

fn upward() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 7.7",
            "a request body is forwarded byte for byte",
            |lab| {
                let body: Vec<u8> = (0..=255).collect();
                let (_, seen) = lab.post("Content-Length: 256\r\n", &text(&body));
                assert_eq!(seen.body, body);
            },
        ),
        must(
            "RFC 9112 7.1",
            "a chunked request is decoded, and reaches the origin whole",
            |lab| {
                let (_, seen) = lab.post(
                    "Transfer-Encoding: chunked\r\n",
                    "3\r\nhel\r\n002\r\nlo\r\n0\r\n\r\n",
                );
                assert_eq!((&seen.body[..], seen.complete), (&b"hello"[..], true));
            },
        ),
        must(
            "RFC 9112 7.1.1",
            "unknown chunk extensions of a request are ignored",
            |lab| {
                let (response, seen) = lab.post(
                    "Transfer-Encoding: chunked\r\n",
                    "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n",
                );
                assert_eq!((response.status, &seen.body[..]), (200, &b"hello"[..]));
            },
        ),
        must(
            "RFC 9112 7.1",
            "a chunk size that overflows isn't wrapped around",
            |lab| {
                let before = lab.origin.count();
                let mut client = lab.client();
                client.send("POST /it HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n");
                let answer = client.response_within("POST", std::time::Duration::from_secs(6));
                assert!(!matches!(answer, Ok(answer) if answer.status == 200));
                assert!(
                    !lab.origin
                        .seen()
                        .into_iter()
                        .skip(before)
                        .any(|seen| seen.complete)
                );
            },
        ),
        must(
            "RFC 9112 6.3",
            "an invalid Content-Length gets 400",
            |lab| {
                lab.refuses(
                    "POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: +5\r\n\r\nhello",
                    &[400],
                );
            },
        ),
        must("RFC 9112 6.3", "different Content-Lengths get 400", |lab| {
            lab.refuses("POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", &[400]);
        }),
        must(
            "RFC 9112 6.3",
            "a coding that doesn't end with chunked gets 400",
            |lab| {
                lab.refuses("POST /it HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[400]);
            },
        ),
        must(
            "RFC 9112 6.3",
            "Content-Length isn't forwarded beside Transfer-Encoding",
            |lab| {
                lab.refuses_or(
                "POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                |seen| assert_eq!(seen.body, b"hello"),
            );
            },
        ),
        must(
            "RFC 9112 6.3",
            "after Content-Length beside Transfer-Encoding the connection is closed",
            |lab| {
                let mut client = lab.client();
                client.send("POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
                let _ = client.response();
                assert!(client.ends_within(std::time::Duration::from_secs(3)));
            },
        ),
        must(
            "RFC 9112 6.1",
            "Transfer-Encoding in HTTP/1.0 ends the connection",
            |lab| {
                let mut client = lab.client();
                client.send("POST /it HTTP/1.0\r\nHost: app.example\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
                let _ = client.response();
                assert!(client.ends_within(std::time::Duration::from_secs(3)));
            },
        ),
        must(
            "RFC 9110 6.5.1",
            "trailer fields of a request don't become header fields",
            |lab| {
                let (_, seen) = lab.post(
                    "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
                    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
                );
                assert_eq!(seen.field("x-sum"), None);
            },
        ),
        must(
            "RFC 9110 10.1.1",
            "100-continue: the client is asked for the body, or gets a final answer",
            |lab| {
                lab.origin
                    .behave(behaviour::asking_for_the_body(behaviour::ok("thanks")));
                let mut client = lab.client();
                client.send("POST /it HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
                assert!(client.head().line.starts_with("HTTP/1.1 100"));
                client.send("hello");
                assert_eq!(client.response().text(), "thanks");
                assert_eq!(lab.origin.seen().last().unwrap().body, b"hello");
            },
        ),
        must(
            "RFC 9110 10.1.1",
            "100-continue: one interim response is enough",
            |lab| {
                lab.origin
                    .behave(behaviour::asking_for_the_body(behaviour::ok("thanks")));
                let mut client = lab.client();
                client.send("POST /it HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
                assert!(client.head().line.starts_with("HTTP/1.1 100"));
                client.send("hello");
                assert_eq!(client.response().interims.len(), 0);
            },
        ),
        must(
            "RFC 9110 10.1.1",
            "100-continue: the origin's refusal comes without the body being sent",
            |lab| {
                lab.origin
                    .behave(behaviour::early_and_close(behaviour::response(
                        403,
                        &["Connection: close"],
                        b"no",
                    )));
                let mut client = lab.client();
                client.send("POST /it HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
                let answer = client
                    .response_within("POST", std::time::Duration::from_secs(4))
                    .expect("the refusal");
                assert_eq!(answer.status, 403);
            },
        ),
        must(
            "RFC 9110 10.1.1",
            "100-continue in HTTP/1.0 is ignored",
            |lab| {
                let (response, seen) = lab.ask("POST /it HTTP/1.0\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
                assert_eq!((response.status, response.interims.len()), (200, 0));
                assert_eq!(seen.field("expect"), None);
            },
        ),
    ]
}

fn downward() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 7.7",
            "a response body is forwarded byte for byte",
            |lab| {
                let body: Vec<u8> = (0..=255).collect();
                let answer = lab
                    .behaved(behaviour::answer(
                        200,
                        &["Cache-Control: no-transform"],
                        &body,
                    ))
                    .unwrap();
                assert_eq!(answer.body, body);
            },
        ),
        must(
            "RFC 9112 6.2",
            "a Content-Length is forwarded as it is",
            |lab| {
                let answer = lab.behaved(behaviour::ok("hello")).unwrap();
                assert_eq!(answer.framing, Framing::Length(5));
            },
        ),
        must(
            "RFC 9112 7.1",
            "a chunked response is decoded, and reaches the client whole",
            |lab| {
                let answer = lab.answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n02\r\nlo\r\n000\r\n\r\n", Next::Keep);
                assert_eq!(answer.unwrap().body, b"hello");
            },
        ),
        must(
            "RFC 9112 7.1.1",
            "unknown chunk extensions of a response are ignored",
            |lab| {
                let answer = lab.answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", Next::Keep);
                assert_eq!(answer.unwrap().body, b"hello");
            },
        ),
        must(
            "RFC 9110 6.5.1",
            "trailer fields of a response don't become header fields",
            |lab| {
                let answer = lab
                    .behaved(behaviour::chunked(&[b"hello"], &["X-Sum: 1"]))
                    .unwrap();
                assert_eq!(
                    (answer.field("x-sum"), &answer.body[..]),
                    (None, &b"hello"[..])
                );
            },
        ),
        must(
            "RFC 9112 6.3",
            "a response that ends with the connection reaches the client whole",
            |lab| {
                let answer = lab
                    .behaved(behaviour::until_close("hello until the end"))
                    .unwrap();
                assert_eq!(answer.text(), "hello until the end");
            },
        ),
        must("RFC 9112 6.1", "an HTTP/1.0 client gets no chunks", |lab| {
            lab.origin.behave(behaviour::chunked(&[b"hel", b"lo"], &[]));
            let response = lab
                .client()
                .exchange("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
            assert_eq!(
                (
                    response.all("transfer-encoding").len(),
                    response.text().as_str()
                ),
                (0, "hello")
            );
        }),
        must(
            "RFC 9110 9.3.2",
            "a response to HEAD has no body, and the length of the other",
            |lab| {
                lab.origin.behave(behaviour::ok("hello"));
                let mut client = lab.client();
                let head = client.exchange("HEAD /it HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(head.field("content-length"), Some("5"));
                assert_eq!(
                    client
                        .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .text(),
                    "hello"
                );
            },
        ),
        must(
            "RFC 9110 9.3.2",
            "a chunked response to HEAD has no body",
            |lab| {
                lab.origin.behave(behaviour::raw(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    Next::Keep,
                ));
                let mut client = lab.client();
                assert_eq!(
                    client
                        .exchange("HEAD /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .status,
                    200
                );
                lab.origin.behave(behaviour::ok("next"));
                assert_eq!(
                    client
                        .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .text(),
                    "next"
                );
            },
        ),
        must("RFC 9110 15.3.5", "204 has no body", |lab| {
            lab.origin.behave(behaviour::raw(
                "HTTP/1.1 204 No Content\r\n\r\n",
                Next::Keep,
            ));
            let mut client = lab.client();
            assert_eq!(
                client
                    .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                    .status,
                204
            );
            lab.origin.behave(behaviour::ok("next"));
            assert_eq!(
                client
                    .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                    .text(),
                "next"
            );
        }),
        must(
            "RFC 9110 8.6",
            "204 has no Content-Length, even if the origin sent one",
            |lab| {
                let answer = lab
                    .answered(
                        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                        Next::Keep,
                    )
                    .unwrap();
                assert_eq!((answer.status, answer.field("content-length")), (204, None));
            },
        ),
        must(
            "RFC 9112 6.1",
            "204 has no Transfer-Encoding, even if the origin sent one",
            |lab| {
                let answer = lab.answered(
                    "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
                    Next::Keep,
                );
                is_bad_gateway_or(answer, |answer| {
                    assert_eq!(
                        (answer.status, answer.field("transfer-encoding")),
                        (204, None)
                    )
                });
            },
        ),
        must(
            "RFC 9110 15.4.5",
            "304 has no body, whatever its fields say",
            |lab| {
                lab.origin.behave(behaviour::raw(
                    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n",
                    Next::Keep,
                ));
                let mut client = lab.client();
                assert_eq!(
                    client
                        .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .status,
                    304
                );
                lab.origin.behave(behaviour::ok("next"));
                assert_eq!(
                    client
                        .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .text(),
                    "next"
                );
            },
        ),
    ]
}
