//! Transfer-Encoding, alone, obfuscated, and beside Content-Length.

use super::case::{Case, Class, SMUGGLED, get, post};
use Class::{MustReject, RejectOrNormalise, Valid};

const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Chunked isn't the final coding, or isn't chunked: the length can't be known.
    for value in [
        "xchunked",
        "chunkedx",
        "chunk",
        "identity",
        "gzip",
        "deflate",
        "cow",
        "null",
        "",
        "\"chunked\"",
        "'chunked'",
        "chunked;",
        "chunked;q=1",
        "chun\tked",
        "ch unked",
        "chunked chunked",
        "chunked gzip",
        "chunked, gzip",
        "chunked,identity",
        "chunked, xchunked",
        "chunked\\",
        "(chunked)",
        "chunked, \u{1}",
        "\u{a0}chunked",
        "tchunkedt",
    ] {
        let line = format!("Transfer-Encoding: {value}\r\n");
        cases.push(
            Case::new(
                format!("coding {value:?}"),
                "6.3 rule 4",
                MustReject,
                post(&line, CHUNKED),
            )
            .body("hello"),
        );
        // With a length, the tempting way out is to believe the length.
        cases.push(
            Case::new(
                format!("coding {value:?} and a length"),
                "6.3 rule 4",
                MustReject,
                post(&format!("{line}Content-Length: 15\r\n"), CHUNKED),
            )
            .body("hello"),
        );
    }
    // Chunked is final, but something is odd.
    for value in [
        "chunked, chunked",
        "gzip, chunked",
        "identity, chunked",
        "cow, chunked",
        "chunked,",
        ",chunked",
        ", ,chunked",
        "\u{b}chunked",
        "\0chunked",
        "chunked\0",
        "\rchunked",
        "chunked\r",
    ] {
        let line = format!("Transfer-Encoding: {value}\r\n");
        cases.push(
            Case::new(
                format!("coding {value:?}"),
                "7.1",
                RejectOrNormalise,
                post(&line, CHUNKED),
            )
            .body("hello"),
        );
        cases.push(
            Case::new(
                format!("coding {value:?} and a length"),
                "7.1",
                RejectOrNormalise,
                post(&format!("Content-Length: 15\r\n{line}"), CHUNKED),
            )
            .body("hello"),
        );
    }
    for (name, lines, class) in [
        (
            "space before the colon",
            "Transfer-Encoding : chunked\r\n",
            MustReject,
        ),
        (
            "tab before the colon",
            "Transfer-Encoding\t: chunked\r\n",
            MustReject,
        ),
        (
            "space before the colon, and a length",
            "Content-Length: 15\r\nTransfer-Encoding : chunked\r\n",
            MustReject,
        ),
        (
            "folded",
            "Transfer-Encoding:\r\n chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "folded with a tab",
            "Transfer-Encoding:\r\n\tchunked\r\n",
            RejectOrNormalise,
        ),
        (
            "folded by a bare LF",
            "Transfer-Encoding:\n chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "folded into another field, and a length",
            "A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 15\r\n",
            RejectOrNormalise,
        ),
        (
            "after a bare LF",
            "A: b\nTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "after a bare LF, and a length",
            "Content-Length: 15\r\nA: b\nTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "after a bare CR, and a length",
            "Content-Length: 15\r\nA: b\rTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "NUL in the name, and a length",
            "Content-Length: 15\r\nTransfer-Encoding\0: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "underscore, and a length",
            "Content-Length: 15\r\nTransfer_Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "in TE, and a length",
            "Content-Length: 15\r\nTE: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "identity and chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "chunked and identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            MustReject,
        ),
        (
            "gzip and chunked",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        (
            "chunked and cow",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
            MustReject,
        ),
        (
            "chunked and nothing",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
            RejectOrNormalise,
        ),
        (
            "named by Connection",
            "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n",
            RejectOrNormalise,
        ),
    ] {
        let section = if name.contains("the colon") {
            "5.1"
        } else {
            "6.1"
        };
        let mut case = Case::new(
            format!("coding: {name}"),
            section,
            class,
            post(lines, CHUNKED),
        );
        // Where the coding is not one, the chunks themselves are the body.
        if name.contains("length") && class == RejectOrNormalise && !name.contains("bare LF") {
            case = case.body(CHUNKED);
        } else {
            case = case.body("hello");
        }
        cases.push(case);
    }
    both(&mut cases);
    for (name, message) in [
        (
            "HTTP/1.0",
            format!(
                "POST /case HTTP/1.0\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}{SMUGGLED}"
            ),
        ),
        (
            "HTTP/1.0 and a length",
            format!(
                "POST /case HTTP/1.0\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 15\r\n\r\n{CHUNKED}{SMUGGLED}"
            ),
        ),
        (
            "HTTP/1.0 and keep-alive",
            format!(
                "POST /case HTTP/1.0\r\nHost: app.example\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}{SMUGGLED}"
            ),
        ),
    ] {
        cases.push(Case::new(
            format!("coding: {name}"),
            "6.1",
            RejectOrNormalise,
            message,
        ));
    }
    for (name, message) in [
        ("plain", post("Transfer-Encoding: chunked\r\n", CHUNKED)),
        ("capitals", post("Transfer-Encoding: CHUNKED\r\n", CHUNKED)),
        (
            "whitespace around",
            post("Transfer-Encoding: \t chunked \t\r\n", CHUNKED),
        ),
        (
            "other case of the name",
            post("transfer-ENCODING: Chunked\r\n", CHUNKED),
        ),
        ("a GET", get("Transfer-Encoding: chunked\r\n") + CHUNKED),
    ] {
        cases.push(
            Case::new(format!("coding: {name}"), "7.1", Valid(1), message)
                .target("/case")
                .body("hello"),
        );
    }
    cases
}

/// Both at once: the coding wins or the message is refused; what follows it must not be taken for a request, since the
/// connection has to be closed.
fn both(cases: &mut Vec<Case>) {
    for coding in ["chunked", "Chunked"] {
        for (first, length) in [
            ("coding first", 0),
            ("coding first", 5),
            ("coding first", 15),
            ("coding first", 46),
            ("length first", 0),
            ("length first", 5),
            ("length first", 15),
            ("length first", 46),
        ] {
            let (coding_line, length_line) = (
                format!("Transfer-Encoding: {coding}\r\n"),
                format!("Content-Length: {length}\r\n"),
            );
            let lines = if first == "coding first" {
                format!("{coding_line}{length_line}")
            } else {
                format!("{length_line}{coding_line}")
            };
            cases.push(
                Case::new(
                    format!("{coding} and length {length}, {first}, with an end"),
                    "6.3 rule 3",
                    RejectOrNormalise,
                    post(&lines, &format!("0\r\n\r\n{SMUGGLED}")),
                )
                .body(""),
            );
        }
    }
    let inner = format!("29\r\n{SMUGGLED}\r\n0\r\n\r\n");
    cases.push(
        Case::new(
            "chunked and a length up to a hidden request",
            "6.3 rule 3",
            RejectOrNormalise,
            post(
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                &inner,
            ),
        )
        .body(SMUGGLED),
    );
    cases.push(
        Case::new(
            "a GET with both",
            "6.3 rule 3",
            RejectOrNormalise,
            get("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + &inner,
        )
        .body(SMUGGLED),
    );
}
