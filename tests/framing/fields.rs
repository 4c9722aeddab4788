//! Field lines: names, values, and what stands between them.

use super::case::{Case, Class, get};
use Class::{MustReject, RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in ["A : b", "A\t: b", "A \t: b", "Cookie : a=b"] {
        cases.push(Case::new(
            format!("field {line:?}"),
            "5.1",
            MustReject,
            get(&format!("{line}\r\n")),
        ));
    }
    for line in [
        ": b",
        "A B: c",
        "A",
        "A(: b",
        "A\0: b",
        "A\u{1}: b",
        "A\u{7f}: b",
        "A\u{e4}: b",
        "A\u{a0}: b",
        "\"A\": b",
        "A/B: c",
        "A@B: c",
        "A[: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A: b\r\n ",
        "A:\r\n b",
        " A: b",
        "\tA: b",
        "A: b\n c",
        "A: b\0c",
        "A: \0",
        "A: b\rc",
        "A: b\r",
        "A: b\u{1}c",
        "A: b\u{8}c",
        "A: b\u{b}c",
        "A: b\u{c}c",
        "A: b\u{1b}c",
        "A: b\u{1f}c",
        "A: b\u{7f}c",
        "A: b\nC: d",
        "A: b\n",
        "A: b\r\r\nC: d",
        "A: b\n\rC: d",
        "A\r: b",
        "A\n: b",
        "A: b\r\n: c",
        "\u{0}",
        "A:b\rGET /smug HTTP/1.1",
    ] {
        let case = Case::new(
            format!("field {line:?}"),
            "5, RFC 9110 5.5",
            RejectOrNormalise,
            get(&format!("{line}\r\n")),
        );
        cases.push(case.target("/case").host("app.example"));
    }
    cases.push(Case::new(
        "fields: one too large",
        "5.4",
        RejectOrNormalise,
        get(&format!("A: {}\r\n", "b".repeat(300_000))),
    ));
    cases.push(Case::new(
        "fields: a name too large",
        "5.4",
        RejectOrNormalise,
        get(&format!("{}: b\r\n", "a".repeat(100_000))),
    ));
    cases.push(Case::new(
        "fields: too many",
        "5.4",
        RejectOrNormalise,
        get(&"A: b\r\n".repeat(3000)),
    ));
    for (name, lines) in [
        ("no whitespace", "A:b\r\n".to_owned()),
        ("much whitespace", "A: \t \t b \t \r\n".to_owned()),
        ("an empty value", "A:\r\n".to_owned()),
        ("a tab within", "A: b\tc\r\n".to_owned()),
        ("Latin-1", "A: b\u{e4}c\r\n".to_owned()),
        ("UTF-8", "A: \u{c3}\u{a4}\r\n".to_owned()),
        ("a colon in the value", "A: b:c: d\r\n".to_owned()),
        ("quotes", "A: \"b, c\\\" d\"\r\n".to_owned()),
        ("an odd name", "!#$%&'*+-.^`|~0: b\r\n".to_owned()),
        ("the same twice", "A: b\r\nA: c\r\n".to_owned()),
        (
            "sixty",
            (0..60).map(|at| format!("A-{at}: b\r\n")).collect(),
        ),
        ("a long value", format!("A: {}\r\n", "b".repeat(4000))),
        (
            "a request in the value",
            "A: GET /smug HTTP/1.1\r\n".to_owned(),
        ),
    ] {
        cases.push(
            Case::new(format!("fields: {name}"), "5", Valid(1), get(&lines))
                .target("/case")
                .host("app.example"),
        );
    }
    cases
}
