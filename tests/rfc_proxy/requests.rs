//! Requests on their way up: targets, Host, fields.

use super::lab::{Rule, must};

pub fn rules() -> Vec<Rule> {
    let mut rules = targets();
    rules.extend(hosts());
    rules.extend(fields());
    rules
}

fn targets() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 7.7",
            "the path is forwarded byte for byte",
            |lab| {
                let target = "/It/%7euser/%C3%a4;p=1/(x)/a:b@c,d=e!$&'*+~-._";
                let (_, seen) = lab.ask(&format!(
                    "GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n"
                ));
                assert_eq!(seen.target, target);
            },
        ),
        must(
            "RFC 9110 7.7",
            "the query is forwarded byte for byte",
            |lab| {
                let target = "/it?q=a+b&c=%20%2f%2F&d&&=e&f=g?h/i;j";
                let (_, seen) = lab.ask(&format!(
                    "GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n"
                ));
                assert_eq!(seen.target, target);
            },
        ),
        must(
            "RFC 9110 7.7",
            "an empty query stays an empty query",
            |lab| {
                let (_, seen) = lab.ask("GET /it? HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(seen.target, "/it?");
            },
        ),
        must("RFC 9110 7.7", "empty path segments stay", |lab| {
            let (_, seen) = lab.ask("GET /it//a///b/ HTTP/1.1\r\nHost: app.example\r\n\r\n");
            assert_eq!(seen.target, "/it//a///b/");
        }),
        must(
            "RFC 9112 3.2.2",
            "a target in absolute form is accepted",
            |lab| {
                let (response, seen) =
                    lab.ask("GET http://app.example/it?a=b HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(response.status, 200);
                assert_eq!(seen.target, "/it?a=b");
            },
        ),
        must(
            "RFC 9112 3.2.2",
            "Host is made from a target in absolute form, whatever Host came",
            |lab| {
                let (_, seen) = lab
                    .ask("GET http://app.example:8080/it HTTP/1.1\r\nHost: other.example\r\n\r\n");
                assert_eq!(seen.field("host"), Some("app.example:8080"));
            },
        ),
        must(
            "RFC 9112 3.2.1",
            "an empty path of an absolute target becomes /",
            |lab| {
                let (_, seen) =
                    lab.ask("GET http://app.example HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(seen.target, "/");
            },
        ),
        must(
            "RFC 9112 3.2.4",
            "OPTIONS for an absolute target without a path becomes OPTIONS *",
            |lab| {
                let (_, seen) =
                    lab.ask("OPTIONS http://app.example HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(
                    (seen.method.as_str(), seen.target.as_str()),
                    ("OPTIONS", "*")
                );
            },
        ),
        must("RFC 9112 3.2.4", "OPTIONS * stays OPTIONS *", |lab| {
            let (response, seen) = lab.ask("OPTIONS * HTTP/1.1\r\nHost: app.example\r\n\r\n");
            assert_eq!((response.status, seen.target.as_str()), (200, "*"));
        }),
        must(
            "RFC 9110 9.3.6",
            "a CONNECT to an empty or invalid port is refused",
            |lab| {
                lab.refuses(
                    "CONNECT app.example: HTTP/1.1\r\nHost: app.example\r\n\r\n",
                    &[400, 405, 421, 501],
                );
                lab.refuses(
                    "CONNECT app.example:x HTTP/1.1\r\nHost: app.example\r\n\r\n",
                    &[400, 405, 421, 501],
                );
            },
        ),
        must(
            "RFC 9112 3",
            "a target longer than any it wants to read gets 414",
            |lab| {
                let target = format!("/it/{}", "a".repeat(200_000));
                lab.refuses(
                    &format!("GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n"),
                    &[414],
                );
            },
        ),
        must(
            "RFC 9110 9.1",
            "methods are case-sensitive and forwarded as they came",
            |lab| {
                let (_, seen) = lab.ask("BREW-tea /it HTTP/1.1\r\nHost: app.example\r\n\r\n");
                assert_eq!(seen.method, "BREW-tea");
            },
        ),
        must(
            "RFC 9110 2.5",
            "it sends its own version, whatever the client's",
            |lab| {
                let (_, seen) = lab.ask("GET /it HTTP/1.0\r\nHost: app.example\r\n\r\n");
                assert_eq!(seen.version, "HTTP/1.1");
            },
        ),
    ]
}

fn hosts() -> Vec<Rule> {
    vec![
        must("RFC 9112 3.2", "a request without a Host gets 400", |lab| {
            lab.refuses("GET /it HTTP/1.1\r\n\r\n", &[400]);
        }),
        must("RFC 9112 3.2", "a request with two Hosts gets 400", |lab| {
            lab.refuses(
                "GET /it HTTP/1.1\r\nHost: app.example\r\nHost: app.example\r\n\r\n",
                &[400],
            );
        }),
        must(
            "RFC 9112 3.2",
            "a request with an invalid Host gets 400",
            |lab| {
                lab.refuses("GET /it HTTP/1.1\r\nHost: app example\r\n\r\n", &[400]);
                lab.refuses("GET /it HTTP/1.1\r\nHost: user@app.example\r\n\r\n", &[400]);
            },
        ),
        must(
            "RFC 9112 3.2",
            "what it sends always holds exactly one Host",
            |lab| {
                let (_, seen) = lab.ask("GET /it HTTP/1.0\r\n\r\n");
                assert_eq!(seen.all("host").len(), 1);
            },
        ),
        must("RFC 9112 3.2", "Host is forwarded with its port", |lab| {
            let (_, seen) = lab.ask("GET /it HTTP/1.1\r\nHost: app.example:8081\r\n\r\n");
            assert_eq!(seen.field("host"), Some("app.example:8081"));
        }),
    ]
}

fn fields() -> Vec<Rule> {
    vec![
        must(
            "RFC 9110 5.1",
            "fields it doesn't know are forwarded",
            |lab| {
                let (_, seen) = lab.get("X-Unknown: some, value; a=\"b\"\r\nX-Empty:\r\n");
                assert_eq!(seen.field("x-unknown"), Some("some, value; a=\"b\""));
                assert_eq!(seen.field("x-empty"), Some(""));
            },
        ),
        must(
            "RFC 9110 5.3",
            "field lines of the same name keep their order",
            |lab| {
                let (_, seen) = lab.get("X-A: 1\r\nX-B: 1\r\nx-a: 2\r\nX-A: 3, 4\r\n");
                assert_eq!(seen.all("x-a").join(", "), "1, 2, 3, 4");
            },
        ),
        must(
            "RFC 9112 5.1",
            "whitespace before the colon gets 400",
            |lab| {
                lab.refuses(
                    "GET /it HTTP/1.1\r\nHost: app.example\r\nX-A : b\r\n\r\n",
                    &[400],
                );
            },
        ),
        must(
            "RFC 9112 5.2",
            "a folded field is refused or unfolded",
            |lab| {
                lab.refuses_or(
                    "GET /it HTTP/1.1\r\nHost: app.example\r\nX-A: b\r\n c\r\n\r\n",
                    |seen| {
                        let value = seen
                            .field("x-a")
                            .unwrap()
                            .split_whitespace()
                            .collect::<Vec<_>>();
                        assert_eq!(value, ["b", "c"]);
                    },
                );
            },
        ),
        must(
            "RFC 9112 2.2",
            "whitespace before the first field is refused or ignored",
            |lab| {
                lab.refuses_or(
                    "GET /it HTTP/1.1\r\n X-A: b\r\nHost: app.example\r\n\r\n",
                    |seen| {
                        assert_eq!(seen.all("x-a"), Vec::<&str>::new());
                    },
                );
            },
        ),
        must(
            "RFC 9112 2.2",
            "a bare CR is refused or becomes a space",
            |lab| {
                lab.refuses_or(
                    "GET /it HTTP/1.1\r\nHost: app.example\r\nX-A: b\rc\r\n\r\n",
                    |seen| {
                        assert_eq!(seen.field("x-a"), Some("b c"));
                    },
                );
            },
        ),
        must(
            "RFC 9110 5.5",
            "NUL in a value is refused or becomes a space",
            |lab| {
                lab.refuses_or(
                    "GET /it HTTP/1.1\r\nHost: app.example\r\nX-A: b\0c\r\n\r\n",
                    |seen| {
                        assert_eq!(seen.field("x-a"), Some("b c"));
                    },
                );
            },
        ),
        must(
            "RFC 9110 5.4",
            "fields larger than it wants get a 4xx",
            |lab| {
                let value = "b".repeat(400_000);
                lab.refuses(
                    &format!("GET /it HTTP/1.1\r\nHost: app.example\r\nX-A: {value}\r\n\r\n"),
                    &[400, 413, 431],
                );
            },
        ),
        must("RFC 9110 11.6.2", "Authorization isn't modified", |lab| {
            let (_, seen) =
                lab.get("Authorization: Digest username=\"a\", realm=\"b\",uri=\"/it\"\r\n");
            assert_eq!(
                seen.field("authorization"),
                Some("Digest username=\"a\", realm=\"b\",uri=\"/it\"")
            );
        }),
        must(
            "RFC 9110 13",
            "preconditions are forwarded untouched",
            |lab| {
                let lines = [
                    ("If-Match", "\"a\", \"b\""),
                    ("If-None-Match", "W/\"c\""),
                    ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("If-Unmodified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"),
                    ("If-Range", "\"d\""),
                ];
                let text: String = lines
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                let (_, seen) = lab.get(&text);
                for (name, value) in lines {
                    assert_eq!(seen.field(name), Some(value));
                }
            },
        ),
        must("RFC 9110 14.2", "Range is forwarded untouched", |lab| {
            let (_, seen) = lab.get("Range: bytes=0-0,-1\r\n");
            assert_eq!(seen.field("range"), Some("bytes=0-0,-1"));
        }),
        must(
            "RFC 9110 12.5",
            "content negotiation is the origin's",
            |lab| {
                let (_, seen) = lab.get("Accept: a/b;q=0.5, */*\r\nAccept-Encoding: br, identity;q=0\r\nAccept-Language: de\r\n");
                assert_eq!(seen.field("accept"), Some("a/b;q=0.5, */*"));
                assert_eq!(seen.field("accept-encoding"), Some("br, identity;q=0"));
                assert_eq!(seen.field("accept-language"), Some("de"));
            },
        ),
    ]
}
