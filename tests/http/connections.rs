//! Whether a client may send its next request on the same connection: only if it isn't told otherwise.

use std::time::Duration;

use crate::support::behaviour::{self, Next, response};
use crate::support::wait::{PATIENCE, within};
use crate::support::{Origin, Proxy, RawClient};

const ROUTES: &str = "[[route]]\npath = \"/redirect\"\nredirect = { to = \"https://x.example{path}\" }\n\
    [[route]]\npath = \"/respond\"\nrespond = { status = 200, body = \"ok\" }\n\
    [[route]]\npath = \"/rate\"\nrate = \"1/h\"\npool = \"default\"\n\
    [[route]]\npath = \"/reset\"\npool = \"default\"\n\
    [[route]]\npath = \"/early\"\npool = \"default\"\n\
    [[route]]\npath = \"/next\"\npool = \"default\"\n\
    [upstream]\nretries = 0\n";
const PLACES: [(&str, u16); 6] = [
    ("/redirect", 308),
    ("/respond", 200),
    ("/rate", 429),
    ("/none", 404),
    ("/reset", 502),
    ("/early", 403),
];
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: app.example\r\n\r\n";

fn lab() -> (Origin, Proxy) {
    let origin = Origin::start(behaviour::custom(|exchange| {
        if exchange.head.line.contains("/reset") {
            return Next::Reset;
        }
        if exchange.head.line.contains("/early") {
            exchange.send(&response(403, &[], b"no need"));
            exchange.read_body();
            return Next::Keep;
        }
        exchange.read_body();
        exchange.send(&response(200, &[], b"next"))
    }));
    let proxy = Proxy::builder()
        .toml(ROUTES)
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/rate").status, 200, "the only one in an hour");
    (origin, proxy)
}

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: app.example\r\nContent-Length: {length}\r\n\r\n")
}

/// Reads the answer; whether it is the last one.
fn is_last(client: &mut RawClient, path: &str, status: u16) -> bool {
    let answer = client.response_to("POST");
    assert_eq!(answer.status, status, "{path}");
    let told = answer.field("connection").map(str::to_owned);
    assert!(matches!(told.as_deref(), None | Some("close")), "{told:?}");
    told.is_some()
}

#[test]
fn who_has_not_sent_all_of_its_request_is_told_of_the_close() {
    let (_origin, proxy) = lab();
    for (path, status) in PLACES {
        // What is as small as this is awaited whole before a backend is asked.
        let sizes = [100_000, 5000];
        let sizes = &sizes[..if status == 502 || status == 403 { 1 } else { 2 }];
        for size in sizes {
            let mut client = proxy.client();
            client.send(post(path, *size)).send(vec![b'x'; 1000]);
            assert!(is_last(&mut client, path, status), "{path}, {size} bytes");
            assert!(client.ends_within(PATIENCE));

            let chunked = format!(
                "POST {path} HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            );
            let mut client = proxy.client();
            client.send(chunked);
            assert!(is_last(&mut client, path, status), "{path}, chunked");
            assert!(client.ends_within(PATIENCE));

            let old =
                post(path, *size).replace("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n");
            let mut client = proxy.client();
            client.send(old);
            assert!(is_last(&mut client, path, status), "{path}, HTTP/1.0");
            assert!(client.ends_within(PATIENCE));
        }
    }
}

#[test]
fn who_waits_to_be_asked_for_its_body_is_not_asked_for_what_nobody_wants() {
    let (_origin, proxy) = lab();
    for (path, status) in [("/redirect", 308), ("/rate", 429), ("/early", 403)] {
        let mut client = proxy.client();
        client.send(post(path, 5).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
        let answer = client.response_to("POST");
        assert_eq!(
            (answer.status, answer.interims.len()),
            (status, 0),
            "{path}"
        );
        assert_eq!(answer.field("connection"), Some("close"), "{path}");
        assert!(client.ends_within(PATIENCE));
    }
}

#[test]
fn who_has_sent_a_small_body_goes_on() {
    let (_origin, proxy) = lab();
    let mut client = proxy.client();
    for (path, status) in PLACES {
        for size in [0, 5, 5000] {
            client.send(post(path, size) + &"x".repeat(size));
            assert!(!is_last(&mut client, path, status), "{path}, {size} bytes");
        }
    }
    assert_eq!(client.exchange(NEXT).text(), "next");
}

#[test]
fn a_connection_that_is_not_said_to_end_serves_the_next_request() {
    let (_origin, proxy) = lab();
    for (path, status) in PLACES {
        for size in [5000, 20_000, 100_000, 1_000_000] {
            for apart in [false, true] {
                let mut client = proxy.client();
                let (head, body) = (post(path, size), vec![b'x'; size]);
                if apart {
                    client.send(head);
                    let _pause = within(Duration::from_millis(20), || false);
                    client.send(body);
                } else {
                    client.send([head.as_bytes(), &body].concat());
                }
                if is_last(&mut client, path, status) {
                    assert!(client.ends_within(PATIENCE));
                } else {
                    let what = format!("{path}, {size} bytes, apart: {apart}");
                    let next = client.send(NEXT).response_within("GET", PATIENCE);
                    let next = next.unwrap_or_else(|broken| panic!("{what}: {broken:?}"));
                    assert_eq!(next.text(), "next", "{what}");
                }
            }
        }
    }
}

#[test]
fn an_answer_to_all_of_an_upload_ends_nothing() {
    let (_origin, proxy) = lab();
    let mut client = proxy.client();
    for _ in 0..3 {
        client
            .send(post("/next", 300_000))
            .send(vec![b'x'; 300_000]);
        assert!(!is_last(&mut client, "/next", 200));
        client.send("POST /next HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        assert!(!is_last(&mut client, "/next", 200));
    }
}
