//! Connection, Via, Max-Forwards: what concerns one hop, or counts hops.

use super::lab::{Rule, must, octets};
use crate::support::message::is_token;

pub fn rules() -> Vec<Rule> {
    let mut rules = connection_options();
    rules.extend(hops());
    rules
}

fn connection_options() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 7.6.1",
            "a field that Connection names is removed",
            |lab| {
                let (_, seen) = lab.get("Connection: X-Drop\r\nX-Drop: 1\r\nX-Keep: 1\r\n");
                assert_eq!(
                    (seen.field("x-drop"), seen.field("x-keep")),
                    (None, Some("1"))
                );
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "all that several Connection lines name is removed, in any case of letters",
            |lab| {
                let (_, seen) = lab.get("X-A: 1\r\nConnection: x-a, X-b\r\nX-B: 1\r\nconnection: X-C\r\nX-C: 1\r\nX-C: 2\r\n");
                for name in ["x-a", "x-b", "x-c"] {
                    assert_eq!(seen.all(name), Vec::<&str>::new(), "{name}");
                }
            },
        ),
        must(
            "RFC 9110 5.6.1",
            "empty elements of Connection are ignored",
            |lab| {
                let (_, seen) = lab.get("Connection: , ,X-Drop ,,\tkeep-alive,\r\nX-Drop: 1\r\n");
                assert_eq!(seen.field("x-drop"), None);
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "Connection itself isn't forwarded",
            |lab| {
                let (_, seen) = lab.get("Connection: X-Drop\r\n");
                let options = seen.all("connection").join(",").to_ascii_lowercase();
                assert!(!options.contains("x-drop"), "{options}");
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "the client's close isn't the origin's",
            |lab| {
                let (_, first) = lab.get("Connection: close\r\n");
                let options = first.all("connection").join(",").to_ascii_lowercase();
                // A proxy that keeps no connections may say close of its own; ours keeps them.
                assert!(
                    !lab.front.is_firedoor() || !options.contains("close"),
                    "{options}"
                );
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "a field that the message needs survives being named",
            |lab| {
                lab.refuses_or(
                "POST /it HTTP/1.1\r\nHost: app.example\r\nConnection: Host, Content-Length\r\nContent-Length: 5\r\n\r\nhello",
                |seen| assert_eq!((seen.field("host"), &seen.body[..]), (Some("app.example"), &b"hello"[..])),
            );
            },
        ),
        must(
            "RFC 9110 7.6.1",
            "a trailer field that Connection names is removed",
            |lab| {
                let (_, seen) = lab.post(
                    "Connection: X-Drop\r\nTransfer-Encoding: chunked\r\nTrailer: X-Drop\r\n",
                    "5\r\nhello\r\n0\r\nX-Drop: 1\r\n\r\n",
                );
                assert!(
                    !seen
                        .trailers
                        .iter()
                        .any(|(name, _)| name.eq_ignore_ascii_case("x-drop"))
                );
            },
        ),
        must(
            "RFC 9110 10.1.4",
            "TE is sent only together with its connection option",
            |lab| {
                let (_, seen) = lab.get("TE: trailers\r\nConnection: TE\r\n");
                let options = seen.all("connection").join(",").to_ascii_lowercase();
                assert!(
                    seen.all("te").is_empty() || options.contains("te"),
                    "{options}"
                );
            },
        ),
        must("RFC 9110 10.1.4", "chunked is never sent in TE", |lab| {
            let (_, seen) = lab.get("TE: chunked, trailers\r\nConnection: TE\r\n");
            assert!(
                !seen
                    .all("te")
                    .join(",")
                    .to_ascii_lowercase()
                    .contains("chunked")
            );
        }),
        must(
            "RFC 9110 7.8",
            "Upgrade is sent only together with its connection option",
            |lab| {
                let (_, seen) = lab.get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
                let options = seen.all("connection").join(",").to_ascii_lowercase();
                assert!(
                    seen.all("upgrade").is_empty() || options.contains("upgrade"),
                    "{options}"
                );
            },
        ),
        must("RFC 9110 7.8", "Upgrade in HTTP/1.0 is ignored", |lab| {
            let (_, seen) = lab.ask("GET /it HTTP/1.0\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            assert_eq!(seen.all("upgrade"), Vec::<&str>::new());
        }),
    ]
}

fn hops() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 7.6.3",
            "a forwarded request holds our Via",
            |lab| {
                let (_, seen) = lab.get("");
                let via = seen.all("via").join(", ");
                let (protocol, by) = via.split_once(' ').expect("Via: protocol and name");
                assert_eq!(protocol, "1.1");
                assert!(is_token(by.split([' ', ':']).next().unwrap()), "{via}");
            },
        ),
        must(
            "RFC 9110 7.6.3",
            "our Via comes after those before us",
            |lab| {
                let (_, seen) = lab.get("Via: 1.0 fred, 1.1 p.example.net (x)\r\nVia: 2 q\r\n");
                let via = seen.all("via").join(", ");
                assert!(
                    via.starts_with("1.0 fred, 1.1 p.example.net (x), 2 q, 1.1 "),
                    "{via}"
                );
            },
        ),
        must(
            "RFC 9110 7.6.3",
            "our Via tells the version that was received",
            |lab| {
                let (_, seen) = lab.ask("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
                assert!(
                    seen.all("via").join(", ").starts_with("1.0 "),
                    "{:?}",
                    seen.all("via")
                );
            },
        ),
        must(
            "RFC 9110 7.6.2",
            "OPTIONS with Max-Forwards 0 is answered and not forwarded",
            |lab| {
                let before = lab.origin.count();
                let response = lab.client().exchange(
                    "OPTIONS /it HTTP/1.1\r\nHost: app.example\r\nMax-Forwards: 0\r\n\r\n",
                );
                assert!((200..300).contains(&response.status), "{}", response.status);
                assert_eq!(lab.origin.count(), before);
            },
        ),
        must(
            "RFC 9110 7.6.2",
            "TRACE with Max-Forwards 0 is answered and not forwarded",
            |lab| {
                let before = lab.origin.count();
                let response = lab
                    .client()
                    .exchange("TRACE /it HTTP/1.1\r\nHost: app.example\r\nMax-Forwards: 0\r\n\r\n");
                // A server may refuse TRACE; what it may not do is pass it on.
                assert!(
                    matches!(response.status, 200 | 400 | 403 | 405 | 501),
                    "{}",
                    response.status
                );
                assert_eq!(lab.origin.count(), before);
            },
        ),
        must(
            "RFC 9110 7.6.2",
            "OPTIONS goes on with Max-Forwards one less",
            |lab| {
                let (_, seen) = lab
                    .ask("OPTIONS /it HTTP/1.1\r\nHost: app.example\r\nMax-Forwards: 10\r\n\r\n");
                assert_eq!(seen.field("max-forwards"), Some("9"));
            },
        ),
        must(
            "RFC 9110 7.6.2",
            "TRACE goes on with Max-Forwards one less, or not at all",
            |lab| {
                lab.refuses_or(
                    "TRACE /it HTTP/1.1\r\nHost: app.example\r\nMax-Forwards: 3\r\n\r\n",
                    |seen| {
                        assert_eq!(seen.field("max-forwards"), Some("2"));
                    },
                );
            },
        ),
        must(
            "RFC 9112 8",
            "a request that is cut isn't forwarded as complete",
            |lab| {
                let before = lab.origin.count();
                let mut client = lab.client();
                client.send(octets(
                    "POST /it HTTP/1.1\r\nHost: app.example\r\nContent-Length: 10\r\n\r\nhello",
                ));
                client.finish_writing();
                client.rest(std::time::Duration::from_secs(6));
                assert!(
                    !lab.origin
                        .seen()
                        .into_iter()
                        .skip(before)
                        .any(|seen| seen.complete)
                );
            },
        ),
    ]
}
