//! Request lines: methods, versions, separators, line ends.

use super::case::{Case, Class, SMUGGLED};
use Class::{MustReject, RejectOrNormalise, Valid};

const HOST: &str = "Host: app.example\r\n";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/1.10",
        "HTTP/11",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3.0",
        "HTTP/9.9",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/1,1",
        "HTTP/1.1x",
        "HTTP/A.B",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t",
        " HTTP/1.1",
        "HTTP/1.1\0",
        "HTTP",
        "HTTP/",
        "/1.1",
        "ICY/1.1",
        "HTTP\\1.1",
        "HTTP/1.1 HTTP/1.1",
        "HTTP/1.\u{b9}",
    ] {
        let message = format!("GET /case {version}\r\n{HOST}\r\n");
        cases.push(Case::new(
            format!("version {version:?}"),
            "2.3, 3",
            RejectOrNormalise,
            message,
        ));
    }
    for (name, message) in [
        ("0.9", "GET /case\r\n".to_owned()),
        ("0.9, then fields", format!("GET /case\r\n{HOST}\r\n")),
        ("no target", format!("GET HTTP/1.1\r\n{HOST}\r\n")),
        ("empty target", format!("GET  HTTP/1.1\r\n{HOST}\r\n")),
        ("two spaces", format!("GET  /case HTTP/1.1\r\n{HOST}\r\n")),
        (
            "two spaces before the version",
            format!("GET /case  HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("tabs", format!("GET\t/case\tHTTP/1.1\r\n{HOST}\r\n")),
        (
            "vertical tabs",
            format!("GET\u{b}/case\u{b}HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "form feeds",
            format!("GET\u{c}/case\u{c}HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("bare CRs", format!("GET\r/case\rHTTP/1.1\r\n{HOST}\r\n")),
        (
            "leading space",
            format!(" GET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("no method", format!(" /case HTTP/1.1\r\n{HOST}\r\n")),
        (
            "space in the target",
            format!("GET /case b HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "bare LF at its end",
            format!("GET /case HTTP/1.1\n{HOST}\r\n"),
        ),
        (
            "bare CR at its end",
            format!("GET /case HTTP/1.1\r{HOST}\r\n"),
        ),
        (
            "CR CR LF at its end",
            format!("GET /case HTTP/1.1\r\r\n{HOST}\r\n"),
        ),
        (
            "bare LFs everywhere",
            "GET /case HTTP/1.1\nHost: app.example\n\n".to_owned(),
        ),
        (
            "bare LF before the body",
            format!("POST /case HTTP/1.1\r\n{HOST}Content-Length: 41\r\n\n{SMUGGLED}"),
        ),
        (
            "bare CR before the body",
            format!("POST /case HTTP/1.1\r\n{HOST}Content-Length: 41\r\n\r{SMUGGLED}"),
        ),
        (
            "a line feed before it",
            format!("\nGET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "many empty lines before it",
            format!("{}GET /case HTTP/1.1\r\n{HOST}\r\n", "\r\n".repeat(50)),
        ),
        (
            "a space line after it",
            format!("GET /case HTTP/1.1\r\n \r\n{HOST}\r\n"),
        ),
        (
            "a folded first field",
            format!("GET /case HTTP/1.1\r\n A: b\r\n{HOST}\r\n"),
        ),
        (
            "a folded Host at first",
            "GET /case HTTP/1.1\r\n Host: app.example\r\n\r\n".to_owned(),
        ),
        (
            "a bare CR and a line break",
            format!("GET /case HTTP/1.1\r\n{HOST}A: b\r\r\n\r\n"),
        ),
        (
            "a NUL before it",
            format!("\0GET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "a byte order mark before it",
            format!("\u{ef}\u{bb}\u{bf}GET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        ("a status line", format!("HTTP/1.1 200 OK\r\n{HOST}\r\n")),
        (
            "a TLS hello",
            "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n".to_owned(),
        ),
        (
            "a PROXY line",
            format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
    ] {
        let mut case = Case::new(
            format!("request line: {name}"),
            "3, 2.2",
            RejectOrNormalise,
            message,
        );
        // What the method is, where it isn't separated as it should be, is for the one reading of the parser that takes it.
        case.method = "GET".to_owned();
        if name.contains("body") {
            case.method = "POST".to_owned();
        }
        cases.push(case);
    }
    for method in [
        "get",
        "Get",
        "GE(T",
        "GET:",
        "GET\0",
        "G\u{c4}T",
        "\"GET\"",
        "GET,POST",
        "GET/",
        "G=T",
        "{GET}",
        "\u{7f}GET",
        "@",
    ] {
        let message = format!("{method} /case HTTP/1.1\r\n{HOST}\r\n");
        cases.push(Case::new(
            format!("method {method:?}"),
            "RFC 9110 9.1",
            RejectOrNormalise,
            message,
        ));
    }
    let long = "M".repeat(20_000);
    cases.push(Case::new(
        "method: too long",
        "3",
        RejectOrNormalise,
        format!("{long} /case HTTP/1.1\r\n{HOST}\r\n"),
    ));
    for (name, message) in [
        (
            "an empty line before it",
            format!("\r\nGET /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "an unknown method",
            format!("M-SEARCH /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "a method of odd token characters",
            format!("!#$%&'*+-.^_`|~09az /case HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("HTTP/1.0", format!("GET /case HTTP/1.0\r\n{HOST}\r\n")),
        (
            "HTTP/1.0 without a Host",
            "GET /case HTTP/1.0\r\n\r\n".to_owned(),
        ),
    ] {
        // nginx and others refuse the odd method; the grammar doesn't.
        cases.push(
            Case::new(format!("request line: {name}"), "3", Valid(1), message).target("/case"),
        );
    }
    cases.push(
        Case::new(
            "request line: cut by half-close",
            "8",
            MustReject,
            "GET /case HT",
        )
        .half_closed(),
    );
    cases.push(
        Case::new(
            "request head: cut by half-close",
            "8",
            MustReject,
            format!("GET /case HTTP/1.1\r\n{HOST}"),
        )
        .half_closed(),
    );
    cases
}
