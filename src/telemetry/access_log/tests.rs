use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::config::{ClientIp, LogFormat};

fn line() -> Line<'static> {
    Line {
        time: Timestamp::UNIX_EPOCH,
        method: "GET",
        scheme: "http",
        host: b"kunde1.example",
        path: "/a\"b\n",
        query: Some("secret=1"),
        status: 200,
        bytes_in: 0,
        bytes_out: 12,
        duration: Duration::from_micros(1500),
        client: IpAddr::from([203, 0, 113, 77]),
        user_agent: b"curl/8 \"x\"",
        headers: &[],
        protocol: "HTTP/1.1",
        request_id: "abc",
        trace_id: "def",
        zone: "fz-1",
        pool: "default",
        backend: "app-1",
        connect: Duration::ZERO,
        ttfb: Duration::from_micros(1200),
        retries: 0,
        held: Duration::ZERO,
        epoch: 7,
        termination: "--",
        grpc_status: None,
    }
}

fn written(format: LogFormat, client_ip: ClientIp) -> String {
    let mut batch = Batch::default();
    let style = Style {
        format,
        client_ip,
        query: false,
    };
    batch.push(&line(), style);
    String::from_utf8(batch.take()).expect("UTF-8")
}

#[test]
fn a_json_line_is_one_line_of_json_with_every_field() {
    let text = written(LogFormat::Json, ClientIp::Masked);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fields = "time method scheme host path status bytes_in bytes_out duration_ms client user_agent protocol \
                  request_id trace_id zone pool backend connect_ms ttfb_ms retries held_ms epoch termination";
    for field in fields.split(' ') {
        assert!(json.get(field).is_some(), "{field} is missing in {text}");
    }
    assert_eq!(json["path"], "/a\"b\n");
    assert_eq!(json["client"], "203.0.113.0");
}

#[test]
fn a_client_can_not_write_log_lines_of_its_own() {
    let text = written(LogFormat::Combined, ClientIp::Full);
    assert_eq!(
        text,
        "203.0.113.77 - - [01/Jan/1970:00:00:00 +0000] \"GET /a\\\"b\\n HTTP/1.1\" 200 12 \"-\" \"curl/8 \\\"x\\\"\"\n"
    );
}

#[test]
fn what_a_request_has_not_got_is_a_dash_in_combined_lines() {
    for headers in [&[][..], &[(http::header::REFERER, String::new())][..]] {
        let mut batch = Batch::default();
        let line = Line {
            user_agent: b"",
            headers,
            ..line()
        };
        let style = Style {
            format: LogFormat::Combined,
            client_ip: ClientIp::Full,
            query: false,
        };
        batch.push(&line, style);
        let text = String::from_utf8(batch.take()).expect("UTF-8");
        assert!(text.ends_with(" 200 12 \"-\" \"-\"\n"), "{text}");
    }
}

#[test]
fn what_is_asked_for_besides_is_there_with_its_addresses_masked() {
    let headers = [
        (http::header::REFERER, "http://a.example/?\"q\"".to_owned()),
        (
            http::HeaderName::from_static("x-forwarded-for"),
            "203.0.113.77, 198.51.100.9".to_owned(),
        ),
    ];
    let line = Line {
        path: "/a",
        query: Some("b=\"c\""),
        headers: &headers,
        ..line()
    };
    let written = |format| {
        let mut batch = Batch::default();
        let style = Style {
            format,
            client_ip: ClientIp::Masked,
            query: true,
        };
        batch.push(&line, style);
        String::from_utf8(batch.take()).expect("UTF-8")
    };
    let json: serde_json::Value = serde_json::from_str(&written(LogFormat::Json)).expect("JSON");
    assert_eq!(json["query"], "b=\"c\"");
    assert_eq!(
        json["headers"],
        serde_json::json!({"referer": "http://a.example/?\"q\"", "x-forwarded-for": "203.0.113.0, 198.51.100.0"})
    );
    assert_eq!(
        written(LogFormat::Combined),
        "203.0.113.0 - - [01/Jan/1970:00:00:00 +0000] \"GET /a?b=\\\"c\\\" HTTP/1.1\" 200 12 \"http://a.example/?\\\"q\\\"\" \"curl/8 \\\"x\\\"\"\n"
    );
}

#[test]
fn times_and_durations_have_three_decimals_and_each_line_its_own_second() {
    let mut batch = Batch::default();
    let style = Style {
        format: LogFormat::Json,
        client_ip: ClientIp::None,
        query: false,
    };
    let times = [
        (
            "2026-03-01T23:59:59.999999Z",
            7,
            "2026-03-01T23:59:59.999Z",
            "0.007",
        ),
        (
            "2026-03-02T00:00:00Z",
            1_002_003,
            "2026-03-02T00:00:00.000Z",
            "1002.003",
        ),
        (
            "2026-03-01T23:59:59.05Z",
            1000,
            "2026-03-01T23:59:59.050Z",
            "1.000",
        ),
    ];
    for (time, micros, ..) in times {
        let line = Line {
            time: time.parse().expect("a time"),
            duration: Duration::from_micros(micros),
            ..line()
        };
        batch.push(&line, style);
    }
    let text = String::from_utf8(batch.take()).expect("UTF-8");
    for (line, (_, _, time, duration)) in text.lines().zip(times) {
        assert!(
            line.starts_with(&format!("{{\"time\":\"{time}\"")),
            "{line}"
        );
        assert!(
            line.contains(&format!("\"duration_ms\":{duration},")),
            "{line}"
        );
    }
}

#[test]
fn no_text_whatever_breaks_a_line() {
    for odd in [
        "\u{7f}\u{80}\u{2028}é",
        "\0\t\r\n\u{1b}[2J",
        "\"\\",
        "",
        "ä\"ö",
    ] {
        let line = Line {
            user_agent: odd.as_bytes(),
            ..line()
        };
        for format in [LogFormat::Json, LogFormat::Combined] {
            let mut batch = Batch::default();
            let style = Style {
                format,
                client_ip: ClientIp::Full,
                query: true,
            };
            batch.push(&line, style);
            let text = String::from_utf8(batch.take()).expect("UTF-8");
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            if format == LogFormat::Json {
                let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(json["user_agent"], odd);
            } else {
                let written = text.trim_end_matches('\n');
                assert!(!written.contains(char::is_control), "{text:?}");
            }
        }
    }
}
