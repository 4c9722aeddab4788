//! Flips and their parts, holds, retries, firedoor's own answers, checks, certificates, and a disk that refuses.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use super::page::{Page, certificate, certified, until};
use crate::support::behaviour::{self, Next};
use crate::support::load::Plan;
use crate::support::pair::{EAGER, Pair, until_active};
use crate::support::{Origin, Proxy};

const FLIP: &str = "firedoor_flip_seconds_count";

#[test]
fn a_failover_under_load_has_all_its_parts_measured_and_a_planned_flip_those_that_it_has() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(50);
    let began = std::time::Instant::now();
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let page = until(&proxy, "all parts are measured", |page| {
        ["detect", "decide", "commit", "first_response"]
            .iter()
            .all(|phase| page.value(FLIP, &[("phase", phase)]) == 1.0)
    });
    let most = began.elapsed().as_secs_f64();
    let took = |page: &Page, phase| page.value("firedoor_flip_seconds_sum", &[("phase", phase)]);
    let all: f64 = ["detect", "decide", "commit", "first_response"]
        .map(|phase| took(&page, phase))
        .iter()
        .sum();
    assert!(all > 0.0 && all < most, "{all} of {most}");
    // Nothing keeps this one waiting: the decision is computing time.
    assert!(took(&page, "decide") < 1.0, "{}", took(&page, "decide"));
    let labels = [("from", "fz-1"), ("to", "fz-2"), ("cause", "failover")];
    assert_eq!(page.value("firedoor_flips_total", &labels), 1.0);
    assert_eq!(page.value("firedoor_epoch", &[]), 2.0);
    let zone = |page: &Page, name, zone| page.value(name, &[("zone", zone)]);
    assert_eq!(zone(&page, "firedoor_zone_active", "fz-1"), 0.0);
    assert_eq!(zone(&page, "firedoor_zone_active", "fz-2"), 1.0);
    assert_eq!(zone(&page, "firedoor_zone_serving", "fz-1"), 0.0);
    let database = [("zone", "fz-1"), ("component", "database")];
    assert_eq!(page.value("firedoor_component_up", &database), 0.0);
    let refused = [database[0], database[1], ("reason", "L4CON")];
    assert!(page.value("firedoor_check_failures_total", &refused) >= 2.0);
    assert!(page.value("firedoor_check_duration_seconds_count", &database) >= 3.0);
    assert_eq!(page.value("firedoor_flips_left", &[]), 999.0);

    pair.preferred.database.restart();
    until(&proxy, "fz-1 serves again", |page| {
        zone(page, "firedoor_zone_serving", "fz-1") == 1.0
    });
    assert_eq!(proxy.admin_post("/v1/failback", "").status, 200);
    let page = until(&proxy, "the failback is measured", |page| {
        page.value(FLIP, &[("phase", "first_response")]) == 2.0
    });
    assert_eq!(page.value(FLIP, &[("phase", "commit")]), 2.0);
    assert_eq!(page.value(FLIP, &[("phase", "detect")]), 1.0);
    assert_eq!(page.value(FLIP, &[("phase", "decide")]), 1.0);
    drop(load);
}

#[test]
fn a_decision_that_a_rule_keeps_waiting_is_measured_with_the_wait() {
    let mut pair = Pair::start();
    let proxy = pair.proxy("[failover]\nmin_stay = \"4s\"\nmax_flips_per_hour = 1000\n");
    assert_eq!(proxy.admin_post("/v1/zones/fz-2/activate", "").status, 200);
    // One of two app servers: fz-2 could still serve something, so that min_stay holds.
    pair.standby.servers[0].refuse();
    until_active(&proxy, "fz-1");
    let page = until(&proxy, "it is measured", |page| {
        page.value(FLIP, &[("phase", "decide")]) == 1.0
    });
    let sum = page.value("firedoor_flip_seconds_sum", &[("phase", "decide")]);
    assert!((0.5..6.0).contains(&sum), "{sum}");
}

#[test]
fn requests_that_wait_are_held_and_each_end_of_a_wait_has_its_name() {
    let mut origin = Origin::named("app");
    let proxy = Proxy::builder()
        .toml("[failover]\nhold_time = \"3s\"\nhold_requests = 2\n")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    origin.refuse();
    let ask = |path: &str| {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"));
        client
    };
    let held = |count: f64| {
        until(&proxy, &format!("{count} wait"), |page| {
            page.value("firedoor_held_requests", &[]) == count
        })
    };
    let leaves = ask("/leaves");
    held(1.0);
    leaves.reset();
    held(0.0);
    let (mut first, mut second) = (ask("/first"), ask("/second"));
    held(2.0);
    assert_eq!(proxy.get("/third").status, 503);
    assert_eq!(first.response().status, 503);
    assert_eq!(second.response().status, 503);
    let mut released = ask("/released");
    held(1.0);
    origin.restart();
    assert_eq!(released.response().status, 200);
    let page = until(&proxy, "all are counted", |page| {
        page.sum("firedoor_holds_total", &[]) == 5.0
            && page.sum("firedoor_requests_total", &[]) == 5.0
    });
    let result = |result| page.value("firedoor_holds_total", &[("result", result)]);
    assert_eq!(
        ["released", "expired", "refused", "left"].map(result),
        [1.0, 2.0, 1.0, 1.0]
    );
    // Those that never had a backend are in their pool, and in no zone.
    let nowhere = [("zone", ""), ("pool", "default"), ("code", "503")];
    let tried = [("zone", "fz-1"), ("pool", "default"), ("code", "503")];
    let refused =
        page.sum("firedoor_requests_total", &nowhere) + page.sum("firedoor_requests_total", &tried);
    assert_eq!(refused, 3.0, "{}", page.text);
    let by_proxy = |reason| page.value("firedoor_responses_by_proxy_total", &[("reason", reason)]);
    assert_eq!((by_proxy("no_zone"), by_proxy("hold_full")), (2.0, 1.0));
    assert_eq!(page.value("firedoor_held_requests", &[]), 0.0);
}

#[test]
fn each_answer_of_firedoor_itself_has_its_reason_and_no_other_is_counted() {
    let origin = Origin::named("app");
    let proxy = Proxy::builder()
        .toml("[limits]\nmax_body_size = \"1KiB\"\n[upstream]\nretries = 0\n[[route]]\nhost = \"app.example\"\npath = \"/app/hangs\"\npool = \"default\"\nresponse_timeout = \"300ms\"\n[[route]]\nhost = \"app.example\"\npath = \"/app\"\npool = \"default\"\n")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let get = |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        proxy.client().exchange(request).status
    };
    let raw = |request: &str| proxy.client().exchange(request).status;
    let mut expected = Vec::new();
    let mut expect = |reason, status, got| {
        assert_eq!(got, status, "{reason}");
        expected.push(reason);
    };
    expect("no_route", 404, get("/other", "app.example"));
    expect("unknown_host", 421, get("/app", "other.example"));
    expect(
        "malformed",
        400,
        raw("GET /app HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    );
    expect("malformed", 400, raw("nonsense\r\n\r\n"));
    expect(
        "method",
        405,
        raw("CONNECT app.example:80 HTTP/1.1\r\nHost: app.example\r\n\r\n"),
    );
    let post = "POST /app HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5000\r\n\r\n";
    expect(
        "too_large",
        413,
        raw(&format!("{post}{}", "x".repeat(5000))),
    );
    origin.behave(behaviour::hang());
    expect("response_timeout", 504, get("/app/hangs", "app.example"));
    origin.behave(behaviour::close());
    expect("reset", 502, get("/app", "app.example"));
    origin.behave(behaviour::raw("nonsense\r\n\r\n", Next::Close));
    expect("protocol", 502, get("/app", "app.example"));
    let page = until(&proxy, "all are counted", |page| {
        page.sum("firedoor_requests_total", &[]) == expected.len() as f64
    });
    for sample in page.of_name("firedoor_responses_by_proxy_total", &[]) {
        let reason = &sample.labels["reason"];
        let times = expected.iter().filter(|is| *is == reason).count();
        assert_eq!(sample.value, times as f64, "{reason}");
    }
}

/// Checks so rare that only live requests can find out what a backend does.
const RARELY: &str =
    "kind = \"tcp\"\ninterval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"1h\"\nfall = 1000";

#[test]
fn a_retry_is_counted_by_what_became_of_the_attempt_before() {
    let (mut bad, good) = (Origin::named("bad"), Origin::named("good"));
    let proxy = Proxy::builder()
        .check(RARELY)
        .toml("[failover]\ngray = \"report\"\n[upstream]\nbalance = \"round-robin\"\nretry_on_status = [503]\nretry_budget = \"100%\"\nmax_idle_per_worker = 0\n")
        .server("workers = 1")
        .zone("fz-1", &[&bad, &good])
        .start();
    proxy.until_all_up();
    let mut expected = 0.0;
    let mut retried = |reason: &str| {
        // Every other request begins at the bad one.
        for _ in 0..4 {
            assert_eq!(proxy.get("/").text(), "good");
        }
        expected += 2.0;
        let page = until(&proxy, reason, |page| {
            page.value("firedoor_retries_total", &[("reason", reason)]) == 2.0
        });
        assert_eq!(page.sum("firedoor_retries_total", &[]), expected);
    };
    bad.behave(behaviour::answer(503, &[], ""));
    retried("status");
    bad.behave(behaviour::close());
    retried("reset");
    bad.behave(behaviour::raw("nonsense\r\n\r\n", Next::Close));
    retried("protocol");
    bad.refuse();
    retried("connect");
}

#[test]
fn a_retry_since_a_kept_connection_had_closed_is_no_failure_of_its_backend() {
    let served = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::start(behaviour::custom(move |exchange| {
        exchange.read_body();
        match served.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
            0 => exchange.send(&behaviour::response(200, &[], b"served")),
            _ => Next::Reset,
        }
    }));
    let proxy = Proxy::builder()
        .check(RARELY)
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let mut client = proxy.client();
    let get = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(client.exchange(get).status, 200);
    assert_eq!(client.exchange(get).status, 200);
    let page = until(&proxy, "both are counted", |page| {
        page.sum("firedoor_requests_total", &[("code", "200")]) == 2.0
    });
    assert_eq!(
        page.value("firedoor_retries_total", &[("reason", "stale")]),
        1.0
    );
    assert_eq!(page.sum("firedoor_retries_total", &[]), 1.0);
}

#[test]
fn the_end_of_each_certificate_is_told_by_name() {
    let origin = Origin::named("app");
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let tls = certificate(folder.path());
    let proxy = Proxy::builder()
        .listener(&tls)
        .zone("fz-1", &[&origin])
        .start();
    let page = Page::of(&proxy);
    for name in ["app.example", "www.app.example"] {
        let end = page.value("firedoor_certificate_not_after_seconds", &[("name", name)]);
        let left = end - now.as_secs_f64();
        let month = Duration::from_secs(30 * 24 * 3600).as_secs_f64();
        assert!((left - month).abs() < 3600.0, "{left}");
    }
}

/// No alert would ever fire for a certificate that has no series.
#[test]
fn the_end_of_a_certificate_without_dns_names_is_told_all_the_same() {
    let origin = Origin::named("app");
    let addresses = "subjectAltName=email:a@a.example,IP:192.0.2.1,IP:2001:db8:0:1::1";
    // Larger than a number of 64 bits, before what is looked for.
    let uuid = "2.25.329800735698586629295641978511506172918=ASN1:NULL";
    for (names, told) in [
        (
            &["-subj", "/CN=app", "-addext", uuid, "-addext", addresses][..],
            &["192.0.2.1", "2001:db8:0:1::1"][..],
        ),
        (&["-subj", "/O=a/CN=app, the 1st"], &["app, the 1st"]),
        (&["-subj", "/O=a"], &["cert.pem"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let builder = Proxy::builder().listener(&certified(folder.path(), names));
        let proxy = builder.zone("fz-1", &[&origin]).start();
        let page = Page::of(&proxy);
        let name = "firedoor_certificate_not_after_seconds";
        for told in told {
            assert!(page.value(name, &[("name", told)]) > 0.0, "{told}");
        }
        assert_eq!(
            page.text.matches(&format!("\n{name}{{")).count(),
            told.len()
        );
    }
}

#[test]
fn a_disk_that_refuses_is_told_and_what_it_refuses() {
    let origin = Origin::named("app");
    let proxy = Proxy::builder()
        .small_disk("64k")
        .zone("fz-1", &[&origin])
        .zone("fz-2", &[&origin])
        .start();
    proxy.until_all_up();
    let name = "firedoor_state_write_failing";
    assert_eq!(Page::of(&proxy).sum(name, &[]), 0.0);
    let ballast = proxy.state_file("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    until(&proxy, "memory and journal are refused", |page| {
        // Its files may have some room left in what they take up already: each order is an entry.
        for order in ["unpin", "pin"] {
            proxy.admin_post(&format!("/v1/zones/fz-1/{order}"), "");
        }
        ["memory", "journal"]
            .iter()
            .all(|what| page.value(name, &[("what", what)]) == 1.0)
    });
    drop(file);
    std::fs::remove_file(&ballast).unwrap();
    let page = until(&proxy, "they are taken again", |page| {
        page.sum(name, &[]) == 0.0
    });
    assert_eq!(page.value("firedoor_zone_pinned", &[("zone", "fz-1")]), 1.0);
    assert_eq!(page.value("firedoor_zone_pinned", &[("zone", "fz-2")]), 0.0);
}
