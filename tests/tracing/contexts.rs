//! Whose decision counts, and what others are told of it.

use serde_json::Value;

use crate::collector::{AtWork, Collector, tracing};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A request for `path` that is part of a trace, recorded or not.
fn request(proxy: &Proxy, path: &str, flags: &str) {
    let answer = proxy.client().exchange(format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: vendor=1\r\n\r\n"
    ));
    assert_eq!(answer.status, 200);
}

fn proxy(collector: &Collector, origin: &Origin, sample: &str, trusted: bool) -> Proxy {
    let builder = Proxy::builder().toml(&collector.terms(&format!("sample = \"{sample}\"")));
    let builder = match trusted {
        true => builder.listener("trusted_proxies = [\"127.0.0.1\"]"),
        false => builder,
    };
    builder.zone("fz-1", &[origin]).at_work()
}

/// Trace, parent and flags that the app was told.
fn told(origin: &Origin, path: &str) -> [String; 3] {
    let seen = origin.saw(path);
    let parts: Vec<&str> = seen.field("traceparent").unwrap().split('-').collect();
    assert_eq!(parts[0], "00");
    [1, 2, 3].map(|at| parts[at].to_owned())
}

#[test]
fn a_trusted_peers_decision_holds_both_ways() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    // Its own rate would have it the other way round each time.
    let never = proxy(&collector, &origin, "0%", true);
    request(&never, "/recorded", "03");
    let (whole, parts) = collector.trace("/recorded");
    assert_eq!(
        (&whole["trace"], &whole["parent"]),
        (&TRACE.into(), &PARENT.into())
    );
    assert_eq!(
        (&whole["state"], &parts[0]["state"]),
        (&"vendor=1".into(), &"vendor=1".into())
    );
    // Bits 8 and 9: it is known that the parent is somebody else's.
    assert_eq!(
        (&whole["flags"], &parts[0]["flags"]),
        (&0x301.into(), &0x101.into())
    );
    let [trace, parent, flags] = told(&origin, "/recorded");
    assert_eq!(
        (trace.as_str(), Value::from(parent), flags.as_str()),
        (TRACE, parts[0]["id"].clone(), "03")
    );
    assert_eq!(
        origin.saw("/recorded").field("tracestate"),
        Some("vendor=1")
    );

    let always = proxy(&collector, &origin, "100%", true);
    request(&always, "/unrecorded", "00");
    request(&always, "/witness", "01");
    collector.trace("/witness");
    let spans = collector.spans();
    assert!(
        !spans
            .iter()
            .any(|span| span["attributes"]["url.path"] == "/unrecorded")
    );
    let [trace, parent, flags] = told(&origin, "/unrecorded");
    assert_eq!(
        (trace.as_str(), parent.as_str(), flags.as_str()),
        (TRACE, PARENT, "00"),
        "it is passed on as it came"
    );
}

#[test]
fn a_strangers_wish_to_be_recorded_does_not_count_but_the_trace_goes_on() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let never = proxy(&collector, &origin, "0%", false);
    request(&never, "/wish", "01");
    let [trace, parent, flags] = told(&origin, "/wish");
    assert_eq!(
        (trace.as_str(), flags.as_str()),
        (TRACE, "00"),
        "nor does it make the app record"
    );
    assert_ne!(parent, PARENT, "a changed decision has a parent of its own");
    assert_eq!(never.access_line("/wish")["trace_id"], TRACE);
    request(&never, "/modest", "00");
    assert_eq!(told(&origin, "/modest")[1], PARENT);
    assert_eq!(tracing(&never, "spans_exported"), 0);

    let always = proxy(&collector, &origin, "100%", false);
    request(&always, "/ours", "00");
    let (whole, _) = collector.trace("/ours");
    assert_eq!(
        (&whole["trace"], &whole["parent"]),
        (&TRACE.into(), &PARENT.into())
    );
    assert_eq!(told(&origin, "/ours")[2], "01");
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn about_as_many_requests_are_traced_as_asked_for_and_the_others_are_passed_on_as_ever() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let proxy = proxy(&collector, &origin, "20%", false);
    let mut client = proxy.client();
    for _ in 0..1000 {
        client.exchange("GET /some HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let recorded = origin.seen_for("/some").into_iter();
    let recorded = recorded
        .filter(|seen| seen.field("traceparent").unwrap().ends_with("-01"))
        .count();
    // 8 standard deviations on either side.
    assert!((100..300).contains(&recorded), "{recorded}");
    eventually(PATIENCE, "all of them are there", || {
        collector.spans().len() == 2 * recorded
    });
}

#[test]
fn without_a_collector_contexts_are_passed_on_untouched() {
    let origin = Origin::named("a");
    let proxy = Proxy::builder()
        .toml("[tracing]\notlp_endpoint = \"\"\nsample = \"100%\"")
        .zone("fz-1", &[&origin])
        .at_work();
    request(&proxy, "/a", "01");
    assert_eq!(told(&origin, "/a"), [TRACE, PARENT, "01"]);
    assert!(proxy.status()["tracing"].is_null());
    proxy.get("/b");
    assert_eq!(told(&origin, "/b")[2], "00");
}
