//! What spans say.

use serde_json::Value;

use crate::collector::{AtWork, Collector};
use crate::support::behaviour;
use crate::support::pair::{EAGER, Pair, active, until_active, until_both_serve};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy};

/// Begun and ended in that order.
fn assert_sound(span: &Value) {
    let (start, end) = (
        span["start"].as_u64().unwrap(),
        span["end"].as_u64().unwrap(),
    );
    assert!(start <= end, "{span:#}");
    // After 2020: nanoseconds, and not some other unit.
    assert!(start > 1_577_836_800_000_000_000, "{span:#}");
    assert_eq!(span["resource"]["service.name"], "firedoor");
    assert_eq!(
        span["resource"]["service.version"],
        env!("CARGO_PKG_VERSION")
    );
}

fn assert_within(part: &Value, whole: &Value) {
    assert_sound(part);
    assert_eq!(part["trace"], whole["trace"]);
    // The two ends of a request are read off one clock, so there is no play between them.
    assert!(
        part["start"].as_u64() >= whole["start"].as_u64(),
        "{part:#} {whole:#}"
    );
    assert!(
        part["end"].as_u64() <= whole["end"].as_u64(),
        "{part:#} {whole:#}"
    );
}

#[test]
fn a_request_is_a_span_with_one_for_its_attempt_and_nothing_secret_in_them() {
    let collector = Collector::start();
    let origin = Origin::named("thanks");
    let proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    proxy.client().exchange(
        "GET /a/path?password=hunter2 HTTP/1.1\r\nHost: app.example:81\r\nCookie: hunter2\r\nAuthorization: Bearer hunter2\r\n\r\n",
    );
    let (whole, parts) = collector.trace("/a/path");
    assert_sound(&whole);
    let said = &whole["attributes"];
    let seen = origin.saw("/a/path?password=hunter2");
    for (key, value) in [
        ("http.request.method", "GET".into()),
        ("url.scheme", "http".into()),
        ("server.address", "app.example".into()),
        ("server.port", 81.into()),
        ("client.address", "127.0.0.0".into()),
        ("network.protocol.version", "1.1".into()),
        ("http.response.status_code", 200.into()),
        ("firedoor.zone", "fz-1".into()),
        ("firedoor.pool", "default".into()),
        ("firedoor.backend", "app-1".into()),
        ("firedoor.epoch", 1.into()),
        ("firedoor.termination", "--".into()),
        (
            "firedoor.request_id",
            seen.field("x-request-id").unwrap().into(),
        ),
    ] {
        let value: Value = value;
        assert_eq!(said[key], value, "{key} in {whole:#}");
    }
    assert!(said["error.type"].is_null(), "{whole:#}");
    assert_eq!(
        (&whole["name"], &whole["parent"], &whole["code"]),
        (&"GET".into(), &"".into(), &0.into())
    );

    assert_eq!(parts.len(), 1);
    let part = &parts[0];
    assert_within(part, &whole);
    assert_eq!(
        (&part["kind"], &part["name"]),
        (&"client".into(), &"GET".into())
    );
    let said = &part["attributes"];
    assert_eq!(said["server.address"], "127.0.0.1");
    assert_eq!(said["server.port"], origin.address().port());
    assert_eq!(said["http.response.status_code"], 200);
    assert!(said["firedoor.connect_us"].as_u64() > Some(0), "{part:#}");
    assert!(said["http.request.resend_count"].is_null() && said["error.type"].is_null());
    // The app goes on from the attempt.
    let told = seen.field("traceparent").unwrap();
    let expected = format!(
        "00-{}-{}-01",
        whole["trace"].as_str().unwrap(),
        part["id"].as_str().unwrap()
    );
    assert_eq!(told, expected);
    assert_eq!(proxy.access_line("/a/path")["trace_id"], whole["trace"]);

    let all = serde_json::to_string(&collector.spans()).unwrap();
    assert!(
        !all.contains("hunter2") && !all.contains("127.0.0.1:"),
        "{all}"
    );
}

#[test]
fn each_attempt_is_a_span_and_says_why_it_was_not_the_last() {
    let collector = Collector::start();
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let proxy = collector
        .builder()
        .toml("[upstream]\nretry_on_status = [503]\nretry_budget = \"100%\"\nbalance = \"round-robin\"\n[failover]\nhold_time = \"0s\"")
        .zone("fz-1", &[&first, &second])
        .at_work();
    proxy.until_all_up();
    first.behave(behaviour::answer(503, &[], "busy"));
    // One of two goes to the busy one first.
    for number in 0..2 {
        assert_eq!(proxy.get(&format!("/busy/{number}")).status, 200);
    }
    let traces = [0, 1].map(|number| collector.trace(&format!("/busy/{number}")));
    let (whole, parts) = traces
        .iter()
        .find(|(_, parts)| parts.len() == 2)
        .expect("a retry");
    parts.iter().for_each(|part| assert_within(part, whole));
    assert_eq!(whole["attributes"]["http.response.status_code"], 200);
    assert_eq!(whole["attributes"]["firedoor.backend"], "app-2");
    let told = |part: &Value, key: &str| part["attributes"][key].clone();
    assert_eq!(told(&parts[0], "error.type"), "503");
    assert_eq!(told(&parts[0], "firedoor.backend"), "app-1");
    assert_eq!(
        (&parts[0]["code"], &parts[1]["code"]),
        (&2.into(), &0.into())
    );
    assert_eq!(told(&parts[1], "http.request.resend_count"), 1);
    assert_eq!(told(&parts[1], "firedoor.backend"), "app-2");
    // Each app goes on from its own attempt.
    let path = whole["attributes"]["url.path"].as_str().unwrap();
    for (origin, part) in [(&first, &parts[0]), (&second, &parts[1])] {
        let seen = origin.saw(path);
        let context = seen
            .field("traceparent")
            .unwrap()
            .split('-')
            .nth(2)
            .unwrap();
        assert_eq!(context, part["id"], "{part:#}");
    }

    first.behave(behaviour::reset());
    second.behave(behaviour::reset());
    let answer = proxy.get("/reset");
    assert_eq!(answer.status, 502);
    let (whole, parts) = collector.trace("/reset");
    assert_eq!(whole["attributes"]["error.type"], "502");
    assert_eq!(
        (&whole["code"], &whole["attributes"]["firedoor.termination"]),
        (&2.into(), &"SH".into())
    );
    assert!(parts.len() >= 2, "{parts:#?}");
    for part in &parts {
        // A kept connection may have been about to close anyway.
        let error = told(part, "error.type");
        assert!(error == "reset" || error == "stale", "{part:#}");
        assert!(part["attributes"]["http.response.status_code"].is_null());
    }
    assert_eq!(told(parts.last().unwrap(), "error.type"), "reset");
    assert_eq!(whole["attributes"]["firedoor.reason"], "reset");
}

#[test]
fn a_request_that_breaks_off_and_one_that_is_left_say_so() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let proxy = collector.builder().zone("fz-1", &[&origin]).at_work();
    origin.behave(behaviour::cut(100, "part"));
    let mut client = proxy.client();
    client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.response_within("GET", PATIENCE).is_err());
    let (whole, parts) = collector.trace("/cut");
    assert_eq!(whole["attributes"]["error.type"], "broken_off");
    assert_eq!(parts[0]["attributes"]["error.type"], "broken_off");
    assert_eq!(whole["attributes"]["http.response.status_code"], 200);

    origin.behave(behaviour::hang());
    let mut client = proxy.client();
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.saw("/left");
    drop(client);
    let (whole, parts) = collector.trace("/left");
    assert_eq!(whole["attributes"]["firedoor.termination"], "CH");
    assert!(
        whole["attributes"]["http.response.status_code"].is_null(),
        "{whole:#}"
    );
    assert_eq!(
        (&whole["code"], &parts[0]["attributes"]["error.type"]),
        (&0.into(), &"client_left".into())
    );
}

#[test]
fn a_wait_is_a_span_and_the_attempt_after_a_flip_names_the_new_zone() {
    let collector = Collector::start();
    let mut pair = Pair::start();
    let sections = format!("{EAGER}{}", collector.terms(""));
    let proxy = pair.proxy(&sections);
    // Running requests keep the planned flip from being committed: new ones wait.
    pair.preferred
        .servers
        .iter()
        .for_each(|server| server.behave(behaviour::hang()));
    let mut running = proxy.client();
    running.send("GET /running HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually(PATIENCE, "it runs", || {
        pair.preferred
            .servers
            .iter()
            .any(|server| !server.seen_for("/running").is_empty())
    });
    std::thread::scope(|scope| {
        let flip = scope.spawn(|| proxy.admin_post("/v1/zones/fz-2/activate", "").status);
        proxy.until_status("requests wait", |status| status["admission"] == "hold");
        let mut held = proxy.client();
        held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut left = proxy.client();
        left.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
        proxy.until_status("both are held", |status| status["holds"] == 2);
        drop(left);
        proxy.until_status("one is held", |status| status["holds"] == 1);
        drop(running);
        assert_eq!(held.response().status, 200);
        assert_eq!(flip.join().unwrap(), 200);
    });
    assert_eq!(active(&proxy), "fz-2");
    let (whole, parts) = collector.trace("/held");
    parts.iter().for_each(|part| assert_within(part, &whole));
    let names: Vec<_> = parts
        .iter()
        .map(|part| (part["name"].as_str(), part["kind"].as_str()))
        .collect();
    assert_eq!(
        names,
        [
            (Some("hold"), Some("internal")),
            (Some("GET"), Some("client"))
        ]
    );
    assert!(parts[0]["end"].as_u64() > parts[0]["start"].as_u64());
    assert!(
        parts[0]["end"].as_u64() <= parts[1]["start"].as_u64(),
        "{parts:#?}"
    );
    assert_eq!(whole["attributes"]["firedoor.zone"], "fz-2");
    assert_eq!(parts[1]["attributes"]["firedoor.epoch"], 2);
    // It has never gone anywhere, and its waiting is told all the same, also by the access log.
    let (whole, parts) = collector.trace("/left");
    assert_eq!(parts.len(), 1);
    assert_eq!(
        (
            &parts[0]["name"],
            &whole["attributes"]["firedoor.termination"]
        ),
        (&"hold".into(), &"CH".into())
    );
    assert!(proxy.access_line("/left")["held_ms"].as_f64() > Some(0.0));

    // An unplanned one: the zone's servers are gone, and the last requests find their way into the other.
    pair.preferred
        .servers
        .iter()
        .for_each(|server| server.behave(behaviour::ok("well")));
    until_both_serve(&proxy);
    for server in &mut pair.standby.servers {
        server.refuse();
    }
    assert_eq!(proxy.get("/crossing").status, 200);
    until_active(&proxy, "fz-1");
    let (whole, parts) = collector.trace("/crossing");
    assert_eq!(whole["attributes"]["firedoor.zone"], "fz-1");
    let failed = &parts[0]["attributes"];
    assert_eq!(failed["firedoor.zone"], "fz-2", "{parts:#?}");
    assert!(!failed["error.type"].is_null(), "{parts:#?}");
    let last = &parts.last().unwrap()["attributes"];
    assert_eq!(
        (&last["firedoor.zone"], &last["firedoor.epoch"]),
        (&"fz-1".into(), &3.into())
    );
}

#[test]
fn what_a_client_makes_up_is_no_name_and_what_firedoor_answers_itself_has_no_attempt() {
    let collector = Collector::start();
    let origin = Origin::named("a");
    let proxy = collector
        .builder()
        .toml("[[route]]\nhost = \"app.example\"\npool = \"default\"")
        .zone("fz-1", &[&origin])
        .at_work();
    let mut client = proxy.client();
    client.exchange("BREW /pot HTTP/1.1\r\nHost: app.example\r\n\r\n");
    let (whole, parts) = collector.trace("/pot");
    assert_eq!(
        (&whole["name"], &parts[0]["name"]),
        (&"HTTP".into(), &"HTTP".into())
    );
    assert_eq!(whole["attributes"]["http.request.method"], "_OTHER");

    let answer = client.exchange("GET /nowhere HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(answer.status, 421);
    let (whole, parts) = collector.trace("/nowhere");
    assert_eq!(
        (
            parts.len(),
            &whole["attributes"]["http.response.status_code"]
        ),
        (0, &421.into())
    );
    assert_eq!(
        (&whole["code"], &whole["attributes"]["firedoor.termination"]),
        (&0.into(), &"PR".into())
    );
}

#[test]
fn all_of_a_clients_address_is_told_only_where_that_is_wanted() {
    let origin = Origin::named("a");
    for (setting, shown) in [("full", Value::from("203.0.113.77")), ("none", Value::Null)] {
        let collector = Collector::start();
        let proxy: Proxy = collector
            .builder()
            .listener("trusted_proxies = [\"127.0.0.1\"]")
            .access_log(&format!("path = \"off\"\nclient_ip = \"{setting}\""))
            .zone("fz-1", &[&origin])
            .at_work();
        proxy
            .client()
            .exchange("GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.77\r\n\r\n");
        assert_eq!(
            collector.trace("/a").0["attributes"]["client.address"],
            shown
        );
    }
}
