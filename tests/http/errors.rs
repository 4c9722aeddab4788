//! What firedoor says by itself.

use crate::support::behaviour::{self, Next};
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy, Response};

const ROUTES: &str = "[[route]]\nhost = \"app.example\"\npath = \"/app\"\npool = \"default\"\n[limits]\nmax_body_size = \"1KiB\"\n\
                      max_header_size = \"16KiB\"\nheader_timeout = \"2s\"\nbody_timeout = \"2s\"";

#[test]
fn each_refusal_has_its_status() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(ROUTES)
        .zone("fz-1", &[&origin])
        .start();
    let host = "Host: app.example\r\n";
    let large = "x".repeat(40_000);
    let cases = [
        (200, format!("GET /app HTTP/1.1\r\n{host}\r\n")),
        (
            421,
            "GET /app HTTP/1.1\r\nHost: other.example\r\n\r\n".to_owned(),
        ),
        (404, format!("GET /other HTTP/1.1\r\n{host}\r\n")),
        (404, format!("GET /apple HTTP/1.1\r\n{host}\r\n")),
        (400, "GET /app HTTP/1.1\r\n\r\n".to_owned()),
        (
            413,
            format!("POST /app HTTP/1.1\r\n{host}Content-Length: 1025\r\n\r\n"),
        ),
        (
            413,
            format!(
                "POST /app HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n",
                &large[..1025]
            ),
        ),
        (
            431,
            format!("GET /app HTTP/1.1\r\n{host}A: {large}\r\n\r\n"),
        ),
        (408, format!("GET /app HTTP/1.1\r\n{host}")),
        (
            408,
            format!("POST /app HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhe"),
        ),
    ];
    for (status, request) in cases {
        let mut client = proxy.client();
        client.send(&request);
        let answer = client.response_within("GET", PATIENCE);
        let answer = answer.unwrap_or_else(|broken| panic!("{status}: {broken:?}"));
        assert_eq!(
            answer.status,
            status,
            "{:?}",
            &request[..request.len().min(100)]
        );
    }
    assert!(origin.seen().iter().filter(|seen| seen.complete).count() == 1);
}

#[test]
fn an_error_is_short_text_or_json_as_asked() {
    let origin = Origin::start(behaviour::raw(
        "220 mail.example ESMTP\r\n\r\n",
        Next::Close,
    ));
    let proxy = Proxy::builder()
        .toml("[upstream]\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    let ask = |lines: &str| -> Response {
        proxy.client().exchange(format!(
            "POST /secret HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n{lines}\r\n"
        ))
    };
    for lines in [
        "",
        "Accept: text/html, */*;q=0.1\r\n",
        "Accept: application/json\r\n",
    ] {
        let answer = ask(lines);
        assert_eq!(answer.status, 502);
        let id = answer
            .field("x-request-id")
            .expect("a request id")
            .to_owned();
        assert!(answer.text().contains(&id), "{}", answer.text());
        let whole = format!("{}{:?}", answer.text(), answer.head.fields);
        let port = origin.address().port().to_string();
        assert!(
            !whole.contains(&port) && !whole.contains("127.0.0.1") && !whole.contains("app-1"),
            "{whole}"
        );
        assert!(!whole.contains("fz-1"), "{whole}");
        if lines.contains("json") {
            assert_eq!(answer.json()["request_id"], id.as_str());
            assert!(
                answer
                    .field("content-type")
                    .unwrap()
                    .starts_with("application/json")
            );
        } else {
            assert!(
                answer
                    .field("content-type")
                    .unwrap()
                    .starts_with("text/plain")
            );
            assert!(answer.body.len() < 200);
        }
    }
}

#[test]
fn json_is_for_who_likes_it_better_than_a_page() {
    let origin = Origin::start(behaviour::raw(
        "220 mail.example ESMTP\r\n\r\n",
        Next::Close,
    ));
    let proxy = Proxy::builder()
        .toml("[upstream]\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    for (lines, kind) in [
        (
            "Accept: application/json, text/plain, */*\r\n",
            "application/json",
        ),
        ("Accept: application/problem+json\r\n", "application/json"),
        (
            "Accept: application/json, text/html;q=0.5\r\n",
            "application/json",
        ),
        (
            "Accept: text/html;q=0.2, application/json;v=1;q=0.3\r\n",
            "application/json",
        ),
        (
            "Accept: */*\r\nAccept: application/json\r\n",
            "application/json",
        ),
        (
            "Accept: text/html, application/json;q=0.9\r\n",
            "text/plain",
        ),
        ("Accept: text/html, application/json\r\n", "text/plain"),
        ("Accept: application/json;q=0, */*\r\n", "text/plain"),
    ] {
        let answer = proxy.client().exchange(format!(
            "POST /secret HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n{lines}\r\n"
        ));
        assert_eq!(answer.status, 502);
        let found = answer.field("content-type").unwrap();
        assert!(found.starts_with(kind), "{lines:?}: {found}");
    }
}

#[test]
fn the_origins_own_errors_pass_untouched() {
    let origin = Origin::start(behaviour::answer(
        500,
        &["X-App: 1", "Content-Type: a/b"],
        "the app's own words",
    ));
    let proxy = Proxy::in_front_of(&[&origin]);
    let answer = proxy.get("/");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (500, "the app's own words")
    );
    assert_eq!(
        (answer.field("x-app"), answer.field("content-type")),
        (Some("1"), Some("a/b"))
    );
}

#[test]
fn requests_carry_zone_epoch_id_and_trace_to_the_app() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.exchange(
        "GET /a HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\
         X-Request-Id: mine\r\nFiredoor-Zone: fz-9\r\nFiredoor-Epoch: 99\r\nForwarded: for=192.0.2.9\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
    );
    let seen = origin.saw("/a");
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-host"), Some("app.example"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("firedoor-zone"), Some("fz-1"));
    assert!(
        seen.field("firedoor-epoch")
            .is_some_and(|epoch| epoch != "99" && epoch.parse::<u64>().is_ok())
    );
    assert!(
        seen.field("x-request-id")
            .is_some_and(|id| id != "mine" && !id.is_empty())
    );
    assert_eq!(seen.field("forwarded"), None);
    assert!(
        seen.field("traceparent")
            .is_some_and(|parent| parent.contains("0af7651916cd43dd8448eb211c80319c"))
    );
}

#[test]
fn a_trusted_peer_is_believed() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .listener("trusted_proxies = [\"127.0.0.0/8\"]")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    client.exchange(
        "GET /a HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Host: front.example\r\nX-Forwarded-Proto: https\r\n\
         X-Request-Id: mine\r\nFiredoor-Zone: fz-9\r\n\r\n",
    );
    let seen = origin.saw("/a");
    assert_eq!(
        seen.all("x-forwarded-for").join(", "),
        "192.0.2.9, 127.0.0.1"
    );
    assert_eq!(seen.field("x-forwarded-host"), Some("front.example"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.field("x-request-id"), Some("mine"));
    assert_eq!(seen.field("firedoor-zone"), Some("fz-1"));
}
