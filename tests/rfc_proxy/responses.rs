//! Responses on their way down, interim ones included.

use super::lab::{Rule, must};
use crate::support::behaviour::{self, Next};

pub fn rules() -> Vec<Rule> {
    let mut rules = heads();
    rules.extend(interims());
    rules
}

fn heads() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 2.5",
            "it answers with its own version, whatever the origin's",
            |lab| {
                let answer = lab
                    .answered(
                        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                        Next::Close,
                    )
                    .unwrap();
                assert!(
                    answer.head.line.starts_with("HTTP/1.1 200"),
                    "{}",
                    answer.head.line
                );
            },
        ),
        must(
            "RFC 9110 15",
            "statuses it doesn't know are forwarded",
            |lab| {
                for status in [299, 471, 599] {
                    let answer = lab
                        .behaved(behaviour::answer(status, &[], "hello"))
                        .unwrap();
                    assert_eq!((answer.status, answer.text().as_str()), (status, "hello"));
                }
            },
        ),
        must(
            "RFC 9110 5.1",
            "fields it doesn't know are forwarded to the client",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(
                        200,
                        &["X-Unknown: a, b; c", "X-Empty:"],
                        "",
                    ))
                    .unwrap();
                assert_eq!(
                    (answer.field("x-unknown"), answer.field("x-empty")),
                    (Some("a, b; c"), Some(""))
                );
            },
        ),
        must(
            "RFC 9110 5.3",
            "field lines of the same name keep their order towards the client",
            |lab| {
                let fields = [
                    "Set-Cookie: a=1",
                    "X-A: 1",
                    "Set-Cookie: b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
                    "X-A: 2",
                ];
                let answer = lab.behaved(behaviour::answer(200, &fields, "")).unwrap();
                assert_eq!(
                    answer.all("set-cookie"),
                    ["a=1", "b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT"]
                );
                assert_eq!(answer.all("x-a").join(", "), "1, 2");
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "a field that the origin's Connection names is removed",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(
                        200,
                        &["Connection: X-Drop", "X-Drop: 1", "X-Keep: 1"],
                        "",
                    ))
                    .unwrap();
                assert_eq!(
                    (answer.field("x-drop"), answer.field("x-keep")),
                    (None, Some("1"))
                );
                assert!(
                    !answer
                        .all("connection")
                        .join(",")
                        .to_ascii_lowercase()
                        .contains("x-drop")
                );
            },
        ),
        must(
            "RFC 9110 11.6.1",
            "WWW-Authenticate isn't modified",
            |lab| {
                let fields = [
                    "WWW-Authenticate: Basic realm=\"a\", Digest realm=\"b\", nonce=\"c\"",
                    "WWW-Authenticate: Negotiate",
                ];
                let answer = lab.behaved(behaviour::answer(401, &fields, "")).unwrap();
                assert_eq!(
                    answer.all("www-authenticate"),
                    [
                        "Basic realm=\"a\", Digest realm=\"b\", nonce=\"c\"",
                        "Negotiate"
                    ]
                );
            },
        ),
        must("RFC 9110 10.2.1", "Allow isn't modified", |lab| {
            let answer = lab
                .behaved(behaviour::answer(405, &["Allow: GET, BREW,, HEAD"], ""))
                .unwrap();
            assert_eq!(answer.field("allow"), Some("GET, BREW,, HEAD"));
        }),
        must("RFC 9110 8.8", "validators aren't modified", |lab| {
            let answer = lab
                .behaved(behaviour::answer(
                    200,
                    &[
                        "ETag: W/\"a b\"",
                        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
                    ],
                    "",
                ))
                .unwrap();
            assert_eq!(answer.field("etag"), Some("W/\"a b\""));
            assert_eq!(
                answer.field("last-modified"),
                Some("Sun, 06 Nov 1994 08:49:37 GMT")
            );
        }),
        must(
            "RFC 9110 15.3.7",
            "a partial response isn't modified",
            |lab| {
                let answer = lab
                    .behaved(behaviour::answer(
                        206,
                        &["Content-Range: bytes 0-4/10"],
                        "hello",
                    ))
                    .unwrap();
                assert_eq!(
                    (
                        answer.status,
                        answer.field("content-range"),
                        answer.text().as_str()
                    ),
                    (206, Some("bytes 0-4/10"), "hello")
                );
            },
        ),
        must("RFC 9110 7.7", "content codings aren't modified", |lab| {
            let answer = lab
                .behaved(behaviour::answer(
                    200,
                    &[
                        "Content-Encoding: br",
                        "Content-Type: a/b; c=\"d\"",
                        "Vary: *",
                    ],
                    "\u{1}\u{2}",
                ))
                .unwrap();
            assert_eq!(answer.field("content-encoding"), Some("br"));
            assert_eq!(answer.field("content-type"), Some("a/b; c=\"d\""));
            assert_eq!(
                (answer.field("vary"), answer.text().as_str()),
                (Some("*"), "\u{1}\u{2}")
            );
        }),
        must(
            "RFC 9110 6.6.1",
            "a response without a Date gets one",
            |lab| {
                let answer = lab.behaved(behaviour::ok("hello")).unwrap();
                let date = answer.field("date").expect("a Date");
                assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
            },
        ),
        must("RFC 9110 6.6.1", "the origin's Date stays", |lab| {
            let answer = lab
                .behaved(behaviour::answer(
                    200,
                    &["Date: Sun, 06 Nov 1994 08:49:37 GMT"],
                    "",
                ))
                .unwrap();
            assert_eq!(answer.field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        }),
        must("RFC 9112 4", "an empty reason phrase is accepted", |lab| {
            let answer = lab
                .answered(
                    "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
                    Next::Keep,
                )
                .unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        }),
    ]
}

fn interims() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 15.2",
            "103 is forwarded before the final response",
            |lab| {
                let answer = lab
                    .behaved(behaviour::interim(
                        &["HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"],
                        behaviour::response(200, &[], b"hello"),
                    ))
                    .unwrap();
                let interim = answer.interims.first().expect("an interim response");
                assert!(interim.line.starts_with("HTTP/1.1 103"), "{}", interim.line);
                assert_eq!(interim.field("link"), Some("</a.css>; rel=preload"));
                assert_eq!(answer.text(), "hello");
            },
        ),
        must(
            "RFC 9110 15.2",
            "several interim responses are forwarded in order",
            |lab| {
                let answer = lab
                    .behaved(behaviour::interim(
                        &[
                            "HTTP/1.1 102 Processing\r\n\r\n",
                            "HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n",
                        ],
                        behaviour::response(200, &[], b"hello"),
                    ))
                    .unwrap();
                let statuses: Vec<&str> = answer
                    .interims
                    .iter()
                    .map(|interim| &interim.line[9..12])
                    .collect();
                assert_eq!(statuses, ["102", "103"]);
            },
        ),
        must(
            "RFC 9110 15.2",
            "an HTTP/1.0 client gets no interim response",
            |lab| {
                lab.origin.behave(behaviour::interim(
                    &["HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n"],
                    behaviour::response(200, &[], b"hello"),
                ));
                let response = lab
                    .client()
                    .exchange("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
                assert_eq!(
                    (response.interims.len(), response.text().as_str()),
                    (0, "hello")
                );
            },
        ),
        must(
            "RFC 9110 15.2.1",
            "an unasked 100 doesn't replace the final response",
            |lab| {
                let answer = lab
                    .behaved(behaviour::interim(
                        &["HTTP/1.1 100 Continue\r\n\r\n"],
                        behaviour::response(200, &[], b"hello"),
                    ))
                    .unwrap();
                assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
            },
        ),
    ]
}
