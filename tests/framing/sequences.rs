//! Several messages on one connection.

use super::case::{Case, Class, SMUGGLED, get, post};
use Class::{MustReject, RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let one = get("");
    let fixed = post("Content-Length: 5\r\n", "hello");
    let chunked = post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    let mut cases = Vec::new();
    for (name, message, count) in [
        ("two GETs", one.repeat(2), 2),
        ("ten GETs", one.repeat(10), 10),
        ("POST, then GET", format!("{fixed}{one}"), 2),
        ("chunked POST, then GET", format!("{chunked}{one}"), 2),
        ("GET, then chunked POST", format!("{one}{chunked}"), 2),
        (
            "GET with a body, then GET",
            get("Content-Length: 5\r\n") + "hello" + &one,
            2,
        ),
        (
            "POST of length 0, then GET",
            post("Content-Length: 0\r\n", "") + &one,
            2,
        ),
        ("an empty line between", format!("{fixed}\r\n{one}"), 2),
    ] {
        let mut case =
            Case::new(format!("sequence: {name}"), "9.3.2", Valid(count), message).target("/case");
        // Two methods in one case; the runner compares with the first only where all are the same.
        case.method = String::new();
        cases.push(case);
    }
    for (name, message, section) in [
        (
            "close, then a request",
            get("Connection: close\r\n") + SMUGGLED,
            "9.6",
        ),
        (
            "close with a body, then a request",
            post("Connection: close\r\nContent-Length: 5\r\n", "hello") + SMUGGLED,
            "9.6",
        ),
        (
            "close among others, then a request",
            get("Connection: keep-alive, Close\r\n") + SMUGGLED,
            "9.6",
        ),
        (
            "HTTP/1.0, then a request",
            format!("GET /case HTTP/1.0\r\nHost: app.example\r\n\r\n{SMUGGLED}"),
            "9.3",
        ),
        (
            "a bad request, then another",
            get("A : b\r\n") + SMUGGLED,
            "5.1",
        ),
        (
            "bad lengths, then another",
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello") + SMUGGLED,
            "6.3",
        ),
        (
            "a bad chunk, then another",
            post("Transfer-Encoding: chunked\r\n", "x\r\nhello\r\n0\r\n\r\n") + SMUGGLED,
            "7.1",
        ),
        (
            "no Host, then another",
            format!("GET /case HTTP/1.1\r\n\r\n{SMUGGLED}"),
            "3.2",
        ),
    ] {
        let class = if section.starts_with('9') {
            RejectOrNormalise
        } else {
            MustReject
        };
        cases.push(Case::new(
            format!("sequence: {name}"),
            section,
            class,
            message,
        ));
    }
    cases.push(
        Case::new(
            "sequence: garbage after a GET",
            "3",
            RejectOrNormalise,
            get("") + "garbage\r\n\r\n",
        )
        .target("/case"),
    );
    cases.push(
        Case::new(
            "sequence: NULs after a GET",
            "3",
            RejectOrNormalise,
            get("") + "\0\0\0\0\r\n\r\n",
        )
        .target("/case"),
    );
    cases.push(
        Case::new(
            "sequence: a body that was not announced",
            "6.3",
            RejectOrNormalise,
            post("", "hello\r\n\r\n"),
        )
        .target("/case")
        .body(""),
    );
    cases.push(
        Case::new(
            "sequence: more body than announced",
            "6.3",
            RejectOrNormalise,
            post("Content-Length: 3\r\n", "hello\r\n\r\n"),
        )
        .target("/case")
        .body("hel"),
    );
    cases.push(
        Case::new(
            "sequence: half-close after a GET",
            "9.6",
            RejectOrNormalise,
            get(""),
        )
        .target("/case")
        .half_closed(),
    );
    cases.push(
        Case::new(
            "sequence: half-close after a POST",
            "9.6",
            RejectOrNormalise,
            fixed,
        )
        .target("/case")
        .body("hello")
        .half_closed(),
    );
    cases
}
