//! Request targets in all their forms.

use super::case::{Case, Class};
use Class::{MustReject, RejectOrNormalise, Valid};

pub fn cases() -> Vec<Case> {
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n");
    let mut cases = Vec::new();
    for target in [
        "/case#fragment",
        "/case\\..\\b",
        "/case%00",
        "/case%2f..%2fb",
        "/case/../b",
        "/case/./b",
        "/case/..%2fb",
        "/case/%2e%2e/b",
        "/case%0d%0aA:%20b",
        "/case%zz",
        "/case%",
        "/case%4",
        "/case\0",
        "/case\u{1}",
        "/case\u{7f}",
        "/case\u{80}",
        "/case\u{e4}",
        "/case\ra",
        "/case<b>",
        "/case\"b\"",
        "/case{b}",
        "/case|b",
        "/case^b",
        "/case`b",
        "/case?a b",
        "/case?a\tb",
        "/case?a\0b",
        "/case?a\u{e4}",
        "case",
        "../case",
        "//case",
        "/\\case",
        "?case",
        "#case",
        "@case",
        "*",
        "*/case",
        "/..",
        "/../case",
        "/.%2e/case",
        "http:case",
        "http:/case",
        "http:///case",
        "http://",
        "http://app.example:x/case",
        "http://user@app.example/case",
        "http://user:password@app.example/case",
        "http://app.example#/case",
        "http://app.example/case#b",
        "http://app.ex ample/case",
        "http://[::1/case",
        "http://app.example,evil.example/case",
        "ftp://app.example/case",
        "https://app.example/case",
        "javascript:alert(1)",
        "http://app.example\\@evil.example/case",
        "app.example:80",
        "app.example/case",
        "://app.example/case",
        "http://app.example:99999/case",
        "http://app.example:/case",
        "HTTP/1.1",
    ] {
        let mut case = Case::new(
            format!("target {target:?}"),
            "3.2",
            RejectOrNormalise,
            request(target),
        );
        // An encoded line end must stay encoded; the flaws of what the origin sees tell otherwise.
        if target.contains("//app.example") && !target.contains(['@', ',', '#', '\\']) {
            case.host = None;
        }
        cases.push(case);
    }
    for target in [
        "/case",
        "/case?",
        "/case?a=b",
        "/case?a=b?c=d&e",
        "/case?a=%20&b=+",
        "/case;a=b",
        "/case/%C3%A4",
        "/case:80",
        "/case@b",
        "/case//b",
        "/case/(b)",
        "/case!$&'()*+,;=",
        "/case~-._",
        "/case?/?",
        "/case/%7Eb",
        "/case?a[]=1",
        "/case?redirect=http://evil.example/",
    ] {
        // Brackets are not of the grammar (RFC 3986), yet every browser sends them in queries.
        let class = if target.contains('[') {
            RejectOrNormalise
        } else {
            Valid(1)
        };
        cases.push(
            Case::new(
                format!("target {target:?}"),
                "3.2.1",
                class,
                request(target),
            )
            .target(target)
            .host("app.example"),
        );
    }
    for (name, target, line, class, host) in [
        (
            "absolute",
            "http://app.example/case",
            "Host: app.example\r\n",
            Valid(1),
            "app.example",
        ),
        (
            "absolute with a query",
            "http://app.example/case?a=b",
            "Host: app.example\r\n",
            Valid(1),
            "app.example",
        ),
        (
            "absolute in capitals",
            "HTTP://app.example/case",
            "Host: app.example\r\n",
            Valid(1),
            "app.example",
        ),
        (
            "absolute with a port",
            "http://app.example:8080/case",
            "Host: app.example:8080\r\n",
            Valid(1),
            "app.example:8080",
        ),
        (
            "absolute, other Host",
            "http://app.example/case",
            "Host: evil.example\r\n",
            RejectOrNormalise,
            "app.example",
        ),
        (
            "absolute, other port in Host",
            "http://app.example/case",
            "Host: app.example:81\r\n",
            RejectOrNormalise,
            "app.example",
        ),
        (
            "absolute, empty Host",
            "http://app.example/case",
            "Host:\r\n",
            RejectOrNormalise,
            "app.example",
        ),
        (
            "absolute, no Host",
            "http://app.example/case",
            "",
            MustReject,
            "app.example",
        ),
        (
            "absolute, two Hosts",
            "http://app.example/case",
            "Host: app.example\r\nHost: evil.example\r\n",
            MustReject,
            "app.example",
        ),
        (
            "absolute, invalid Host",
            "http://app.example/case",
            "Host: a b\r\n",
            MustReject,
            "app.example",
        ),
    ] {
        let message = format!("GET {target} HTTP/1.1\r\n{line}\r\n");
        cases.push(Case::new(format!("target: {name}"), "3.2.2", class, message).host(host));
    }
    for (name, message) in [
        (
            "CONNECT",
            "CONNECT app.example:443 HTTP/1.1\r\nHost: app.example:443\r\n\r\n",
        ),
        (
            "CONNECT without a port",
            "CONNECT app.example HTTP/1.1\r\nHost: app.example\r\n\r\n",
        ),
        (
            "CONNECT with a path",
            "CONNECT /case HTTP/1.1\r\nHost: app.example\r\n\r\n",
        ),
        (
            "CONNECT with an absolute target",
            "CONNECT http://app.example/case HTTP/1.1\r\nHost: app.example\r\n\r\n",
        ),
        (
            "CONNECT with a body",
            "CONNECT app.example:80 HTTP/1.1\r\nHost: app.example\r\nContent-Length: 41\r\n\r\nGET /smug HTTP/1.1\r\nHost: app.example\r\n\r\n",
        ),
        (
            "CONNECT, then a request",
            "CONNECT app.example:80 HTTP/1.1\r\nHost: app.example:80\r\n\r\nGET /smug HTTP/1.1\r\nHost: app.example\r\n\r\n",
        ),
    ] {
        let mut case = Case::new(
            format!("target: {name}"),
            "RFC 9110 9.3.6",
            RejectOrNormalise,
            message,
        );
        // A gateway to fixed backends is no tunnel: nothing of a CONNECT may reach one.
        case.method = "none at all".to_owned();
        cases.push(case);
    }
    cases.push(
        Case::new(
            "target: OPTIONS *",
            "3.2.4",
            RejectOrNormalise,
            "OPTIONS * HTTP/1.1\r\nHost: app.example\r\n\r\n",
        )
        .target("*"),
    );
    cases.push(Case::new(
        "target: GET *",
        "3.2.4",
        RejectOrNormalise,
        request("*"),
    ));
    let long = "a".repeat(70_000);
    cases.push(Case::new(
        "target: too long",
        "3",
        RejectOrNormalise,
        request(&format!("/case/{long}")),
    ));
    cases.push(Case::new(
        "target: a long query",
        "3",
        Valid(1),
        request(&format!("/case?{}", &long[..4000])),
    ));
    cases
}
