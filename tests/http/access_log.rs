//! One line per request, with what an operator needs and nothing about a person that was not asked for.

use crate::support::behaviour;
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy};

const REQUEST: &str = "POST /in/the/log?password=hunter2 HTTP/1.1\r\nHost: app.example\r\nUser-Agent: a \"b\"\\c\r\nCookie: session=hunter2\r\n\
                       Authorization: Bearer hunter2\r\nReferer: http://app.example/?password=hunter2\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_json_line_has_every_field_of_the_contract() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    let answer = proxy.client().exchange(REQUEST);
    let line = proxy.access_line("/in/the/log");
    let fields = "time method scheme host path status bytes_in bytes_out duration_ms client user_agent protocol request_id trace_id \
                  zone pool backend connect_ms ttfb_ms retries held_ms epoch termination";
    for field in fields.split_whitespace() {
        assert!(!line[field].is_null(), "{field} is missing in {line}");
    }
    for (field, value) in [
        ("method", "POST"),
        ("scheme", "http"),
        ("host", "app.example"),
        ("client", "127.0.0.0"),
        ("user_agent", "a \"b\"\\c"),
        ("protocol", "HTTP/1.1"),
        ("zone", "fz-1"),
        ("pool", "default"),
        ("backend", "app-1"),
        ("termination", "--"),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    for (field, value) in [
        ("status", 200),
        ("bytes_in", 5),
        ("bytes_out", 6),
        ("retries", 0),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    let id = origin
        .saw("/in/the/log?password=hunter2")
        .field("x-request-id")
        .unwrap()
        .to_owned();
    assert_eq!(line["request_id"], id.as_str());
    if let Some(shown) = answer.field("x-request-id") {
        assert_eq!(shown, id);
    }
    let timestamp = line["time"].as_str().unwrap();
    assert!(
        timestamp.ends_with('Z') && timestamp.len() == "2026-01-01T00:00:00.000Z".len(),
        "{timestamp}"
    );
    assert!(line["duration_ms"].as_f64().unwrap() >= line["ttfb_ms"].as_f64().unwrap());
    assert!(
        !proxy.access_text().contains("hunter2"),
        "{}",
        proxy.access_text()
    );
    assert!(!proxy.log().contains("hunter2"), "{}", proxy.log());
}

#[test]
fn the_path_of_a_line_has_no_query() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    proxy
        .client()
        .exchange("GET /a%20b?c=d HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert_eq!(proxy.access_line("/a%20b")["status"], 200);
}

#[test]
fn bodies_are_counted_as_they_pass() {
    let origin = Origin::start(behaviour::huge(3_000_000));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 200_000, "x".repeat(200_000));
    client.exchange(format!(
        "POST /a HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    ));
    let line = proxy.access_line("/a");
    assert_eq!(
        (line["bytes_in"].as_u64(), line["bytes_out"].as_u64()),
        (Some(200_000), Some(3_000_000))
    );
}

#[test]
fn who_ended_a_request_is_said() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml("[upstream]\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    origin.behave(behaviour::cut(10, "hello"));
    let mut client = proxy.client();
    client.send("GET /cut HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.response_within("GET", PATIENCE).is_err());
    let line = proxy.access_line("/cut");
    assert_eq!(line["termination"].as_str().unwrap(), "SD", "{line}");

    origin.behave(behaviour::hang());
    let mut client = proxy.client();
    client.send("GET /left HTTP/1.1\r\nHost: app.example\r\n\r\n");
    origin.saw("/left");
    drop(client);
    let line = proxy.access_line("/left");
    assert!(
        line["termination"].as_str().unwrap().starts_with('C'),
        "{line}"
    );

    origin.behave(behaviour::huge(100_000_000));
    let mut client = proxy.client();
    client.send("GET /bored HTTP/1.1\r\nHost: app.example\r\n\r\n");
    client.head();
    client.reset();
    let line = proxy.access_line("/bored");
    assert_eq!(line["termination"].as_str().unwrap(), "CD", "{line}");
}

#[test]
fn a_refused_request_has_a_line_too() {
    let origin = Origin::named("hello");
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET /bad HTTP/1.1\r\nHost: app.example\r\nHost: app.example\r\n\r\n");
    client.response();
    let line = proxy.access_line("/bad");
    assert_eq!(
        (line["status"].as_u64(), line["backend"].as_str()),
        (Some(400), Some(""))
    );
    let mut client = proxy.client();
    client.send("nonsense\r\n\r\n");
    let _ = client.response_within("GET", PATIENCE);
    eventually(PATIENCE, "a line for what was no request", || {
        proxy.access_text().lines().count() == 2
    });
}

#[test]
fn common_and_combined_lines_are_apaches() {
    let origin = Origin::named("thanks");
    for format in ["common", "combined"] {
        let proxy = Proxy::builder()
            .access_log(&format!("path = \"access.log\"\nformat = \"{format}\""))
            .zone("fz-1", &[&origin])
            .start();
        proxy.client().exchange(REQUEST);
        eventually(PATIENCE, "a line", || proxy.access_text().ends_with('\n'));
        let text = proxy.access_text();
        let (before, after) = text.split_once(" [").expect("a time");
        assert_eq!(before, "127.0.0.0 - -");
        let (time, after) = after.split_once("] ").expect("the end of the time");
        assert_eq!(time.len(), "01/Jan/2026:00:00:00 +0000".len());
        assert!(
            after.starts_with("\"POST /in/the/log HTTP/1.1\" 200 6"),
            "{after}"
        );
        assert_eq!(
            after.contains("\"a \\\"b\\\"\\\\c\""),
            format == "combined",
            "{after}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn addresses_are_shown_only_as_far_as_allowed() {
    let origin = Origin::named("thanks");
    for (setting, shown) in [
        ("masked", "127.0.0.0"),
        ("full", "127.0.0.1"),
        ("none", "-"),
    ] {
        let proxy = Proxy::builder()
            .access_log(&format!("path = \"access.log\"\nclient_ip = \"{setting}\""))
            .zone("fz-1", &[&origin])
            .start();
        proxy.get("/a");
        assert_eq!(proxy.access_line("/a")["client"], shown);
    }
}

#[test]
fn lines_go_to_standard_output_where_asked_and_nowhere_when_off() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::builder()
        .access_log("path = \"-\"")
        .zone("fz-1", &[&origin])
        .start();
    proxy.get("/to/stdout");
    eventually(PATIENCE, "a line on standard output", || {
        proxy.stdout().contains("/to/stdout")
    });
    let proxy = Proxy::builder()
        .access_log("path = \"off\"")
        .zone("fz-1", &[&origin])
        .start();
    proxy.get("/to/nowhere");
    assert_eq!(proxy.access_text(), "");
    assert!(!proxy.stdout().contains("/to/nowhere"));
}

#[test]
fn the_file_is_opened_anew_when_told() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::in_front_of(&[&origin]);
    proxy.get("/before");
    proxy.access_line("/before");
    let (file, old) = (
        proxy.directory().join("access.log"),
        proxy.directory().join("access.log.1"),
    );
    std::fs::rename(&file, &old).unwrap();
    proxy.signal(rustix::process::Signal::USR1);
    eventually(PATIENCE, "a new file", || {
        proxy.get("/after");
        file.exists()
    });
    proxy.access_line("/after");
}
