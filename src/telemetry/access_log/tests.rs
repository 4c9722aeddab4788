use super::*;

fn line() -> Line<'static> {
    Line {
        time: Timestamp::UNIX_EPOCH,
        method: "GET",
        scheme: "http",
        host: "kunde1.example",
        path: "/a\"b\n",
        status: 200,
        bytes_in: 0,
        bytes_out: 12,
        duration_ms: 1.5,
        client: IpAddr::from([203, 0, 113, 77]),
        user_agent: "curl/8 \"x\"",
        protocol: "HTTP/1.1",
        request_id: "abc",
        trace_id: "def",
        zone: "fz-1",
        pool: "default",
        backend: "app-1",
        connect_ms: 0.0,
        ttfb_ms: 1.2,
        retries: 0,
        held_ms: 0.0,
        epoch: 7,
        termination: "--",
    }
}

fn written(format: LogFormat, client_ip: ClientIp) -> String {
    let mut out = Vec::new();
    line().write(Style { format, client_ip }, &mut out);
    String::from_utf8(out).expect("UTF-8")
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
fn addresses_are_masked_to_24_and_48_bits() {
    let v6: IpAddr = "2001:db8:aaaa:bbbb::1".parse().expect("address");
    assert_eq!(shown(v6, ClientIp::Masked), "2001:db8:aaaa::");
    let mapped: IpAddr = "::ffff:203.0.113.77".parse().expect("address");
    assert_eq!(shown(mapped, ClientIp::Masked), "203.0.113.0");
    assert_eq!(shown(v6, ClientIp::None), "-");
}
