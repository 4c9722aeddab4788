//! What comes over TLS and is no request gets its answer over TLS.

use serde_json::Value;

use crate::client::{Client, Response};
use crate::site::Site;
use crate::support::wait::{PATIENCE, eventually_some};
use crate::support::{Origin, Proxy};

const GOOD: &str = "GET /good HTTP/1.1\r\nHost: app.example\r\n\r\n";

#[test]
fn a_farewell_over_tls_is_whole_and_ends_it_properly() {
    let origin = Origin::named("hello");
    let site = Site::new();
    let proxy = Proxy::builder()
        .listener(&site.terms("hsts = \"365d\""))
        .toml("[limits]\nheader_timeout = \"1s\"")
        .zone("fz-1", &[&origin])
        .start();
    let no_http = "The request is not valid HTTP.";
    for (status, sentence, words) in [
        (400, no_http, "nonsense\r\n\r\n".to_owned()),
        (
            408,
            "The request did not come in time.",
            "GET /be".to_owned(),
        ),
        (
            431,
            "The request's header fields are too large.",
            format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(400_000)),
        ),
    ] {
        // The first on its connection, one on a kept one, and right behind a good one.
        let mut fresh = Client::connect(proxy.address, &site.trust());
        let answer = fresh.send(&words).response();
        is_farewell(&proxy, &mut fresh, status, sentence, &answer);

        let mut kept = Client::connect(proxy.address, &site.trust());
        assert_eq!(kept.get("/good").body, "hello");
        let answer = kept.send(&words).response();
        is_farewell(&proxy, &mut kept, status, sentence, &answer);

        // The time of a head that comes with the request before it is that of an idle connection.
        if status == 408 {
            continue;
        }
        let mut hasty = Client::connect(proxy.address, &site.trust());
        hasty.send(format!("{GOOD}{GOOD}{words}"));
        assert_eq!(hasty.response().body, "hello");
        assert_eq!(hasty.response().body, "hello");
        let answer = hasty.response();
        is_farewell(&proxy, &mut hasty, status, sentence, &answer);
    }
    assert_eq!(origin.count(), 7);
}

#[track_caller]
fn is_farewell(proxy: &Proxy, client: &mut Client, status: u16, sentence: &str, answer: &Response) {
    assert_eq!(answer.status, status);
    let field = |name: &str| {
        let mut lines = answer.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let id = field("x-request-id").expect("a request id");
    assert_eq!(answer.body, format!("{sentence}\nRequest {id}\n"));
    assert_eq!(field("connection"), Some("close"));
    let promised = field("strict-transport-security");
    assert_eq!(promised, Some("max-age=31536000"));
    let (more, end) = client.rest();
    assert!(more.is_empty() && end.is_ok(), "{more:?} {end:?}");
    let line = eventually_some(PATIENCE, &format!("the line of {id}"), || {
        let text = proxy.access_text();
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &Value| line["request_id"] == id)
    });
    assert_eq!(line["status"], status, "{line}");
    assert_eq!(line["scheme"], "https", "{line}");
}
