//! Responses that an origin should not have sent.

use super::lab::{Rule, is_bad_gateway, is_bad_gateway_or, is_not_complete, must, octets};
use crate::support::behaviour::{self, Next};
use crate::support::message::Framing;

pub fn rules() -> Vec<Rule> {
    vec![
        must(
            "RFC 9112 6.3",
            "an invalid Content-Length of the origin becomes 502",
            |lab| {
                is_bad_gateway(lab.answered(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
                    Next::Close,
                ));
            },
        ),
        must(
            "RFC 9112 6.3",
            "different Content-Lengths of the origin become 502",
            |lab| {
                is_bad_gateway(lab.answered(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                    Next::Close,
                ));
            },
        ),
        must(
            "RFC 9112 6.3",
            "a connection with invalid lengths isn't used again",
            |lab| {
                let _ = lab.answered(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                    Next::Keep,
                );
                let connection = lab.origin.seen().last().unwrap().connection;
                lab.origin.behave(behaviour::ok("next"));
                let (answer, seen) = lab.get("");
                assert_eq!(answer.text(), "next");
                assert_ne!(seen.connection, connection);
            },
        ),
        must(
            "RFC 9112 6.3",
            "Content-Length beside Transfer-Encoding isn't forwarded",
            |lab| {
                let answer = lab.answered("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Next::Close);
                is_bad_gateway_or(answer, |answer| {
                    assert_eq!(answer.text(), "hello");
                    assert!(
                        answer.all("content-length").is_empty()
                            || answer.framing == Framing::Length(5)
                    );
                });
            },
        ),
        must(
            "RFC 9112 6.3",
            "a response coding that isn't chunked isn't taken for a length",
            |lab| {
                let answer = lab.answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello", Next::Close);
                is_bad_gateway_or(answer, |answer| {
                    assert_eq!(answer.all("transfer-encoding").len(), 0)
                });
            },
        ),
        must(
            "RFC 9112 5.2",
            "a folded field of the origin becomes 502 or is unfolded",
            |lab| {
                let answer = lab.answered(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n c\r\n\r\nhello",
                    Next::Keep,
                );
                is_bad_gateway_or(answer, |answer| {
                    let value = answer
                        .field("x-a")
                        .unwrap()
                        .split_whitespace()
                        .collect::<Vec<_>>();
                    assert_eq!(value, ["b", "c"]);
                });
            },
        ),
        must(
            "RFC 9112 5.1",
            "whitespace before a colon of the origin doesn't reach the client",
            |lab| {
                let answer = lab.answered(
                    "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello",
                    Next::Keep,
                );
                is_bad_gateway_or(answer, |answer| assert_eq!(answer.text(), "hello"));
            },
        ),
        must(
            "RFC 9112 2.2",
            "a bare CR of the origin becomes 502 or a space",
            |lab| {
                let answer = lab.answered(
                    "HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\nContent-Length: 5\r\n\r\nhello",
                    Next::Keep,
                );
                is_bad_gateway_or(answer, |answer| {
                    assert_eq!(answer.all("set-cookie").len(), 0)
                });
            },
        ),
        must(
            "RFC 9110 5.5",
            "NUL in a value of the origin becomes 502 or a space",
            |lab| {
                let answer = lab.answered(
                    "HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 5\r\n\r\nhello",
                    Next::Keep,
                );
                is_bad_gateway_or(answer, |_| {});
            },
        ),
        must("RFC 9110 15.6.3", "what is no HTTP becomes 502", |lab| {
            is_bad_gateway(lab.answered("220 mail.example ESMTP\r\n\r\n", Next::Close));
        }),
        must(
            "RFC 9112 8",
            "a response shorter than its length doesn't look complete",
            |lab| {
                let answer = lab.behaved(behaviour::cut(10, "hello"));
                is_not_complete(&answer);
            },
        ),
        must(
            "RFC 9112 8",
            "a chunked response without its end doesn't look complete",
            |lab| {
                let answer = lab.behaved(behaviour::cut_chunked("hello"));
                is_not_complete(&answer);
            },
        ),
        must(
            "RFC 9112 7.1",
            "a chunk size of the origin that overflows isn't wrapped around",
            |lab| {
                let answer = lab.answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", Next::Close);
                is_not_complete(&answer);
            },
        ),
        must(
            "RFC 9112 6.3",
            "what comes after a response isn't another response",
            |lab| {
                lab.origin.behave(behaviour::raw(
                octets("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
                Next::Keep,
            ));
                let mut client = lab.client();
                assert_eq!(
                    client
                        .exchange("GET /it HTTP/1.1\r\nHost: app.example\r\n\r\n")
                        .text(),
                    "hello"
                );
                lab.origin.behave(behaviour::ok("next"));
                for _ in 0..3 {
                    assert_eq!(lab.get("").0.text(), "next");
                }
            },
        ),
    ]
}
