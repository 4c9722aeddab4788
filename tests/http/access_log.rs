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

const FORWARDED: &str = "GET /forwarded HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.9, 203.0.113.77, 127.0.0.8\r\n\
                         Forwarded: for=\"[2001:db8:1:2::3]:4711\"\r\n\r\n";

#[test]
fn behind_a_proxy_that_is_trusted_the_client_is_whom_it_names() {
    let origin = Origin::named("thanks");
    let trusted = "trusted_proxies = [\"127.0.0.0/8\"]";
    let forwarded = "[upstream]\nforwarded = \"forwarded\"";
    for (listener, upstream, masked, full) in [
        (trusted, "", "203.0.113.0", "203.0.113.77"),
        (trusted, forwarded, "2001:db8:1::", "2001:db8:1:2::3"),
        ("", "", "127.0.0.0", "127.0.0.1"),
    ] {
        for (setting, shown) in [("masked", masked), ("full", full), ("none", "-")] {
            let log = format!("path = \"access.log\"\nclient_ip = \"{setting}\"");
            let proxy = Proxy::builder()
                .listener(listener)
                .access_log(&log)
                .toml(upstream)
                .zone("fz-1", &[&origin])
                .start();
            proxy.client().exchange(FORWARDED);
            assert_eq!(proxy.access_line("/forwarded")["client"], shown);
            if setting != "full" {
                for text in [proxy.access_text(), proxy.log()] {
                    assert!(!text.contains("113.77") && !text.contains("::3"), "{text}");
                }
            }
        }
    }
}

#[test]
fn the_client_that_a_proxy_header_names_is_the_client() {
    let origin = Origin::named("thanks");
    let proxy = Proxy::builder()
        .listener("proxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    client.send("PROXY TCP4 203.0.113.77 192.0.2.1 4711 80\r\nGET /introduced HTTP/1.1\r\nHost: app.example\r\n\r\n");
    client.response();
    assert_eq!(proxy.access_line("/introduced")["client"], "203.0.113.0");
}

#[test]
fn queries_and_header_fields_are_logged_where_they_are_switched_on_and_addresses_in_them_stay_masked()
 {
    let origin = Origin::named("thanks");
    let request = "GET /a?token=1 HTTP/1.1\r\nHost: app.example\r\nUser-Agent: me\r\nReferer: http://b.example/?c\r\n\
                   X-Forwarded-For: 203.0.113.77\r\nX-Forwarded-For: 198.51.100.9\r\nCookie: secret\r\n\r\n";
    let on = "path = \"access.log\"\nquery = true\nheaders = [\"Referer\", \"X-Forwarded-For\", \"Absent\"]\n";
    let proxy = |format| {
        Proxy::builder()
            .access_log(&format!("{on}format = \"{format}\""))
            .zone("fz-1", &[&origin])
            .start()
    };
    let json = proxy("json");
    json.client().exchange(request);
    let line = json.access_line("/a");
    assert_eq!(line["query"], "token=1");
    assert_eq!(
        line["headers"],
        serde_json::json!({"referer": "http://b.example/?c", "x-forwarded-for": "203.0.113.0, 198.51.100.0"})
    );
    assert!(!json.access_text().contains("secret"));
    assert_eq!(
        origin.saw("/a?token=1").field("x-forwarded-for"),
        Some("127.0.0.1"),
        "the app is told exactly who asks"
    );
    let combined = proxy("combined");
    combined.client().exchange(request);
    eventually(PATIENCE, "a line", || {
        combined.access_text().ends_with('\n')
    });
    let text = combined.access_text();
    assert!(
        text.ends_with("\"GET /a?token=1 HTTP/1.1\" 200 6 \"http://b.example/?c\" \"me\"\n"),
        "{text}"
    );
}
