//! Content-Length, alone and several times.

use super::case::{Case, Class, SMUGGLED, get, post};
use Class::{MustReject, RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let invalid = [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5 5",
        "5\t5",
        "5a",
        "a5",
        "five",
        "",
        "5.0",
        "5;",
        "5;a=b",
        "\"5\"",
        "'5'",
        "1e1",
        "5_0",
        "\u{d9}\u{a5}",
        "(5)",
        "5\u{a0}",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999",
        "5, 6",
        "6, 5",
        "5, 5, 6",
        "5, ",
        "5,+5",
        "5, 0x5",
        "5/5",
    ];
    for value in invalid {
        // An empty list element is for the recipient to ignore (RFC 9110 §5.6.1.2), so this is the same length twice.
        let class = if value == "5, " {
            RejectOrNormalise
        } else {
            MustReject
        };
        cases.push(
            Case::new(
                format!("length {value:?}"),
                "6.3 rule 5",
                class,
                post(&format!("Content-Length: {value}\r\n"), "hello"),
            )
            .body("hello"),
        );
    }
    for (name, lines, class) in [
        (
            "two equal",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            RejectOrNormalise,
        ),
        (
            "two equal apart",
            "Content-Length: 5\r\nA: b\r\ncontent-length: 5\r\n",
            RejectOrNormalise,
        ),
        (
            "two different, short first",
            "Content-Length: 5\r\nContent-Length: 51\r\n",
            MustReject,
        ),
        (
            "two different, long first",
            "Content-Length: 51\r\nContent-Length: 5\r\n",
            MustReject,
        ),
        (
            "two, zero first",
            "Content-Length: 0\r\nContent-Length: 5\r\n",
            MustReject,
        ),
        (
            "two, zero last",
            "Content-Length: 5\r\nContent-Length: 0\r\n",
            MustReject,
        ),
        (
            "three, last different",
            "Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
            MustReject,
        ),
        (
            "second empty",
            "Content-Length: 5\r\nContent-Length:\r\n",
            MustReject,
        ),
        (
            "second signed",
            "Content-Length: 5\r\nContent-Length: +5\r\n",
            MustReject,
        ),
        (
            "second with zeros",
            "Content-Length: 5\r\nContent-Length: 005\r\n",
            RejectOrNormalise,
        ),
        (
            "list of equals",
            "Content-Length: 5, 5\r\n",
            RejectOrNormalise,
        ),
        (
            "list of equals, no space",
            "Content-Length: 5,5\r\n",
            RejectOrNormalise,
        ),
        (
            "list and field",
            "Content-Length: 5, 5\r\nContent-Length: 5\r\n",
            RejectOrNormalise,
        ),
        (
            "many zeros",
            "Content-Length: 00000000000000000000000000000000000000005\r\n",
            RejectOrNormalise,
        ),
        (
            "space before the colon",
            "Content-Length : 5\r\n",
            MustReject,
        ),
        (
            "tab before the colon",
            "Content-Length\t: 5\r\n",
            MustReject,
        ),
        ("folded", "Content-Length:\r\n 5\r\n", RejectOrNormalise),
        (
            "folded with zero",
            "Content-Length: 5\r\n 0\r\n",
            RejectOrNormalise,
        ),
        (
            "NUL after the value",
            "Content-Length: 5\0\r\n",
            RejectOrNormalise,
        ),
        (
            "vertical tab before the value",
            "Content-Length: \u{b}5\r\n",
            RejectOrNormalise,
        ),
        (
            "bare LF before it",
            "A: b\nContent-Length: 5\r\n",
            RejectOrNormalise,
        ),
    ] {
        let section = if name.ends_with("the colon") {
            "5.1"
        } else {
            "6.3 rule 5"
        };
        cases.push(
            Case::new(
                format!("length: {name}"),
                section,
                class,
                post(lines, "hello"),
            )
            .body("hello"),
        );
    }
    // What looks like a length and is none leaves the body to be the next message, which is no message.
    for (name, line) in [
        ("underscore", "Content_Length: 41\r\n"),
        ("bare CR before it", "A: b\rContent-Length: 41\r\n"),
        ("NUL in the name", "Content-Length\0: 41\r\n"),
        (
            "no-break space before the colon",
            "Content-Length\u{a0}: 41\r\n",
        ),
    ] {
        let mut case = Case::new(
            format!("length: {name}"),
            "5",
            RejectOrNormalise,
            post(&format!("{line}Connection: close\r\n"), SMUGGLED),
        );
        case.body = None;
        cases.push(case);
    }
    for (name, message, body) in [
        ("zero", post("Content-Length: 0\r\n", ""), ""),
        ("five", post("Content-Length: 5\r\n", "hello"), "hello"),
        (
            "leading zeros",
            post("Content-Length: 005\r\n", "hello"),
            "hello",
        ),
        (
            "whitespace around",
            post("Content-Length: \t 5\t \r\n", "hello"),
            "hello",
        ),
        (
            "no whitespace",
            post("Content-Length:5\r\n", "hello"),
            "hello",
        ),
        (
            "other case",
            post("cONTENT-lENGTH: 5\r\n", "hello"),
            "hello",
        ),
        ("a POST without any", post("", ""), ""),
        (
            "a GET with a body",
            get("Content-Length: 5\r\n") + "hello",
            "hello",
        ),
        ("a GET of length zero", get("Content-Length: 0\r\n"), ""),
        (
            "a body that looks like a request",
            post("Content-Length: 41\r\n", SMUGGLED),
            SMUGGLED,
        ),
        (
            "a body of line ends",
            post("Content-Length: 6\r\n", "\r\n\r\n\r\n"),
            "\r\n\r\n\r\n",
        ),
        (
            "a body of NULs",
            post("Content-Length: 3\r\n", "\0\0\0"),
            "\0\0\0",
        ),
    ] {
        cases.push(
            Case::new(format!("length: {name}"), "6.2", Valid(1), message)
                .target("/case")
                .body(body),
        );
    }
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW"] {
        let message = format!(
            "{method} /case HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello"
        );
        cases.push(
            Case::new(
                format!("length: a {method} with a body"),
                "6",
                Valid(1),
                message,
            )
            .target("/case")
            .body("hello"),
        );
    }
    cases.push(
        Case::new(
            "length: body cut by half-close",
            "8",
            MustReject,
            post("Content-Length: 9\r\n", "hello"),
        )
        .half_closed(),
    );
    cases
}
