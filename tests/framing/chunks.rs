//! Chunk sizes, extensions, data ends and trailers.

use super::case::{Case, Class, SMUGGLED, post};
use Class::{MustReject, RejectOrNormalise, Valid};

const LINE: &str = "Transfer-Encoding: chunked\r\n";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [
        "",
        "g",
        "-5",
        "+5",
        "0x5",
        " 5",
        "\t5",
        "5,5",
        "5.0",
        "5\0",
        "\"5\"",
        "5h",
        "5 5",
        "x",
        "fffffffffffffffff",
        "10000000000000005",
        "100000000000000000000000000000005",
        ";a",
        "=5",
        "%35",
    ] {
        let message = post(LINE, &format!("{size}\r\nhello\r\n0\r\n\r\n"));
        cases.push(Case::new(
            format!("chunk size {size:?}"),
            "7.1",
            MustReject,
            message,
        ));
    }
    for (name, body, class) in [
        (
            "space after the size",
            "5 \r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "tab after the size",
            "5\t\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "bare LF after the size",
            "5\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "bare CR after the size",
            "5\rhello\r\n0\r\n\r\n",
            MustReject,
        ),
        (
            "CR CR LF after the size",
            "5\r\r\nhello\r\n0\r\n\r\n",
            MustReject,
        ),
        (
            "bare LF after the data",
            "5\r\nhello\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "bare CR after the data",
            "5\r\nhello\r0\r\n\r\n",
            MustReject,
        ),
        ("nothing after the data", "5\r\nhello0\r\n\r\n", MustReject),
        (
            "other data after the data",
            "5\r\nhelloXX0\r\n\r\n",
            MustReject,
        ),
        (
            "less data than said",
            "5\r\nhell\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "more data than said",
            "5\r\nhello!\r\n0\r\n\r\n",
            MustReject,
        ),
        (
            "bare LF after the last size",
            "5\r\nhello\r\n0\n\r\n",
            RejectOrNormalise,
        ),
        (
            "bare LF at the very end",
            "5\r\nhello\r\n0\r\n\n",
            RejectOrNormalise,
        ),
        (
            "two bare LF at the end",
            "5\r\nhello\r\n0\n\n",
            RejectOrNormalise,
        ),
        (
            "a size between the chunks missing",
            "5\r\nhello\r\n\r\n0\r\n\r\n",
            MustReject,
        ),
        (
            "bare LF in an extension",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "bare CR in an extension",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "NUL in an extension",
            "5;a\0b\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "an open quote in an extension",
            "5;a=\"b\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "a line end within quotes",
            "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "a space instead of the semicolon",
            "5 a=b\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "an empty extension",
            "5;\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
        (
            "an extension without a name",
            "5;=b\r\nhello\r\n0\r\n\r\n",
            RejectOrNormalise,
        ),
    ] {
        let mut case = Case::new(format!("chunk: {name}"), "7.1", class, post(LINE, body));
        // A line end within an extension may be its end or not: either is one reading, but nothing may be forwarded that leaves
        // the choice to the next parser.
        if class == RejectOrNormalise
            && !name.contains("within quotes")
            && !name.contains("LF in")
            && !name.contains("less data")
        {
            case = case.body("hello");
        }
        cases.push(case);
    }
    cases.push(
        Case::new(
            "chunk: a long extension",
            "7.1.1",
            RejectOrNormalise,
            post(
                LINE,
                &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(70_000)),
            ),
        )
        .body("hello"),
    );
    // The smuggled request sits where a parser that ends the size line at the line feed sees the end of the body.
    cases.push(Case::new(
        "chunk: a request behind a bare LF in an extension",
        "7.1.1",
        RejectOrNormalise,
        post(LINE, &format!("5;\nhello\r\n0\r\n\r\n{SMUGGLED}")),
    ));
    cases.push(Case::new(
        "chunk: a request within an extension line",
        "7.1.1",
        RejectOrNormalise,
        post(LINE, "2;\nxx\r\n32\r\n0\r\n\r\nGET /smug HTTP/1.1\r\nHost: app.example\r\nA: b\r\n\r\n0\r\n\r\n"),
    ));
    // Trailers end for hyper at the next empty line, and for who reads a bare line feed as one right here: the request behind it would be
    // swallowed, and its sender given the answer to another.
    cases.push(Case::new(
        "chunk: a request behind a bare LF after the last",
        "7.1.2",
        MustReject,
        post(LINE, &format!("5\r\nhello\r\n0\r\n\n{SMUGGLED}")),
    ));
    cases.push(
        Case::new(
            "chunk: a request behind a bare LF after a trailer",
            "7.1.2",
            RejectOrNormalise,
            post(LINE, &format!("5\r\nhello\r\n0\r\nA: b\r\n\n{SMUGGLED}")),
        )
        .body("hello"),
    );
    for (name, body) in [
        ("the last missing", "5\r\nhello\r\n"),
        ("data cut", "9\r\nhello"),
        ("the end of the last missing", "5\r\nhello\r\n0\r\n"),
        ("trailers cut", "5\r\nhello\r\n0\r\nA: b\r\n"),
        ("the largest size", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("a size cut", "5\r\nhello\r\n0"),
    ] {
        cases.push(
            Case::new(
                format!("chunk, then half-close: {name}"),
                "8",
                MustReject,
                post(LINE, body),
            )
            .half_closed(),
        );
    }
    for (name, body, expected) in [
        (
            "capital digits",
            "A\r\nhellohello\r\n0\r\n\r\n",
            "hellohello",
        ),
        ("leading zeros", "0005\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "a last one of many zeros",
            "5\r\nhello\r\n0000\r\n\r\n",
            "hello",
        ),
        (
            "several",
            "2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n",
            "hello",
        ),
        ("none", "0\r\n\r\n", ""),
        (
            "data that looks like an end",
            "7\r\n0\r\n\r\nab\r\n0\r\n\r\n",
            "0\r\n\r\nab",
        ),
        ("an extension", "5;a\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "an extension with a value",
            "5;a=b\r\nhello\r\n0;c=d\r\n\r\n",
            "hello",
        ),
        (
            "a quoted extension",
            "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "a quoted semicolon",
            "5;a=\";\"\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "whitespace around an extension",
            "5 ; a = b\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        ("a trailer", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "hello"),
        (
            "two trailers",
            "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
            "hello",
        ),
    ] {
        cases.push(
            Case::new(format!("chunk: {name}"), "7.1", Valid(1), post(LINE, body))
                .target("/case")
                .body(expected),
        );
    }
    trailers(&mut cases);
    cases
}

fn trailers(cases: &mut Vec<Case>) {
    for (name, trailer, class) in [
        ("Content-Length", "Content-Length: 3\r\n", RejectOrNormalise),
        (
            "Transfer-Encoding",
            "Transfer-Encoding: chunked\r\n",
            RejectOrNormalise,
        ),
        ("Host", "Host: evil.example\r\n", RejectOrNormalise),
        ("Connection", "Connection: close\r\n", RejectOrNormalise),
        ("a fold", "A: b\r\n c\r\n", RejectOrNormalise),
        ("a fold at first", " A: b\r\n", RejectOrNormalise),
        ("no colon", "A\r\n", RejectOrNormalise),
        ("space before the colon", "A : b\r\n", MustReject),
        ("NUL in the value", "A: b\0c\r\n", RejectOrNormalise),
        ("NUL in the name", "A\0: b\r\n", RejectOrNormalise),
        ("bare CR", "A: b\rc\r\n", RejectOrNormalise),
        ("bare LF", "A: b\nC: d\r\n", RejectOrNormalise),
        ("no name", ": b\r\n", RejectOrNormalise),
        (
            "a request line",
            "GET /smug HTTP/1.1\r\nHost: app.example\r\n",
            RejectOrNormalise,
        ),
    ] {
        let message = post(LINE, &format!("5\r\nhello\r\n0\r\n{trailer}\r\n"));
        let mut case = Case::new(format!("trailer: {name}"), "7.1.2", class, message).body("hello");
        for field in ["content-length", "transfer-encoding", "host", "connection"] {
            case = case.forbid("trailer", field);
        }
        cases.push(case);
    }
    cases.push(
        Case::new(
            "trailer: too large",
            "7.1.2",
            RejectOrNormalise,
            post(
                LINE,
                &format!("5\r\nhello\r\n0\r\nA: {}\r\n\r\n", "b".repeat(70_000)),
            ),
        )
        .body("hello"),
    );
}
