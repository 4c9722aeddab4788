//! Host: missing, several, invalid.

use super::case::{Case, Class};
use Class::{MustReject, RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in [
        "a b",
        "a, b",
        "user@app.example",
        "user:pw@app.example",
        "app.example:x",
        "app.example:80:80",
        "app.example:+80",
        "app.example:-1",
        "app.example:8 0",
        "[::1",
        "::1]",
        "[::g]",
        "[]",
        "[::1]x",
        "::1",
        "app.example/b",
        "app.example?b",
        "app.example#b",
        "app.example\\b",
        "http://app.example",
        "app\u{e4}.example",
        "%zz.example",
        "app.example%",
        "app\t.example",
        "app\0.example",
        "<app>",
        "a\"b",
        "{a}",
        "a|b",
        "a^b",
        "app.example\u{7f}",
        "[::1]:x",
        "@",
        ":x",
    ] {
        let message = format!("GET /case HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::new(
            format!("Host {host:?}"),
            "3.2",
            MustReject,
            message,
        ));
    }
    for host in [
        "",
        "a,b",
        "app.example:",
        "app.example:99999",
        "%61pp.example",
        "app.example.",
        ":80",
        "[v1.a]",
        "app..example",
        "-",
        "*",
    ] {
        let message = format!("GET /case HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::new(
            format!("Host {host:?}"),
            "3.2",
            RejectOrNormalise,
            message,
        ));
    }
    for host in [
        "app.example",
        "APP.Example",
        "app.example:8080",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "[2001:db8::1]",
        "a_b",
        "a-b.c",
        "localhost",
        "x",
    ] {
        let message = format!("GET /case HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let case = Case::new(format!("Host {host:?}"), "3.2", Valid(1), message);
        cases.push(case.target("/case"));
    }
    for (name, head) in [
        ("missing", "GET /case HTTP/1.1\r\n"),
        (
            "missing with other fields",
            "GET /case HTTP/1.1\r\nA: b\r\n",
        ),
        (
            "missing in a POST",
            "POST /case HTTP/1.1\r\nContent-Length: 0\r\n",
        ),
        (
            "twice the same",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nHost: app.example\r\n",
        ),
        (
            "twice, different",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nHost: evil.example\r\n",
        ),
        (
            "twice, second empty",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nHost:\r\n",
        ),
        (
            "twice, other case",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nA: b\r\nhOST: evil.example\r\n",
        ),
        (
            "twice in HTTP/1.0",
            "GET /case HTTP/1.0\r\nHost: app.example\r\nHost: evil.example\r\n",
        ),
        (
            "space before the colon",
            "GET /case HTTP/1.1\r\nHost : app.example\r\n",
        ),
        (
            "a second with a space before the colon",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nHost : evil.example\r\n",
        ),
        ("invalid in HTTP/1.0", "GET /case HTTP/1.0\r\nHost: a b\r\n"),
    ] {
        cases.push(Case::new(
            format!("Host: {name}"),
            "3.2",
            MustReject,
            format!("{head}\r\n"),
        ));
    }
    for (name, head) in [
        ("folded", "GET /case HTTP/1.1\r\nHost:\r\n app.example\r\n"),
        (
            "folded with another",
            "GET /case HTTP/1.1\r\nHost: app.example\r\n Host: evil.example\r\n",
        ),
        (
            "an underscore for another",
            "GET /case HTTP/1.1\r\nHost: app.example\r\nHo_st: evil.example\r\n",
        ),
    ] {
        cases.push(Case::new(
            format!("Host: {name}"),
            "3.2",
            RejectOrNormalise,
            format!("{head}\r\n"),
        ));
    }
    cases
}
