//! Requests, durations and what is in flight, under load, across flips and reloads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::page::{Page, until};
use crate::support::behaviour::{self, answer, custom};
use crate::support::load::Plan;
use crate::support::pair::{EAGER, Pair, until_active};
use crate::support::wait::{PATIENCE, eventually, within};
use crate::support::{Origin, Proxy};

const COUNT: &str = "firedoor_request_duration_seconds_count";
const REQUESTS: &str = "firedoor_requests_total";

/// Answers by what the path says: `/status/404`.
fn as_told() -> behaviour::Behaviour {
    custom(|exchange| {
        exchange.read_body();
        let path = exchange.head.line.split(' ').nth(1).unwrap_or_default();
        let code = path.rsplit('/').next().and_then(|code| code.parse().ok());
        exchange.send(&behaviour::response(code.unwrap_or(200), &[], b"as told"))
    })
}

#[test]
fn every_code_of_every_client_is_counted_once_and_nothing_stays_in_flight() {
    let (first, second) = (Origin::start(as_told()), Origin::start(as_told()));
    let proxy = Proxy::in_front_of(&[&first, &second]);
    let codes = [200, 201, 204, 302, 404, 418, 500, 503, 599, 600, 999];
    let address = proxy.address;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = crate::support::RawClient::connect(address);
                for round in 0..10 {
                    for code in codes {
                        let request =
                            format!("GET /{round}/{code} HTTP/1.1\r\nHost: app.example\r\n\r\n");
                        assert_eq!(client.exchange(request).status, code);
                    }
                }
            });
        }
    });
    let all = 80.0 * codes.len() as f64;
    let page = until(&proxy, "all requests are counted", |page| {
        page.sum(REQUESTS, &[]) >= all
    });
    let here = [("zone", "fz-1"), ("pool", "default")];
    for code in codes {
        let label = match code {
            600 | 999 => "other".to_owned(),
            code => code.to_string(),
        };
        let expected = if label == "other" { 160.0 } else { 80.0 };
        let labels = [here[0], here[1], ("code", &*label)];
        assert_eq!(page.value(REQUESTS, &labels), expected, "{code}");
    }
    assert_eq!(page.value(COUNT, &here), all);
    let bucket = "firedoor_request_duration_seconds_bucket";
    assert_eq!(page.value(bucket, &[here[0], ("le", "+Inf")]), all);
    assert_eq!(page.value("firedoor_in_flight", &here), 0.0);
    let idle = until(&proxy, "no connection is active", |page| {
        let active = page.sum("firedoor_connections", &[("state", "active")]);
        active <= 1.0
    });
    let kept = idle.value(
        "firedoor_connections",
        &[("side", "upstream"), ("state", "idle")],
    );
    let open = first.open_connections() + second.open_connections();
    assert!(kept >= 2.0 && kept <= open as f64 + 1.0, "{kept} of {open}");
}

#[test]
fn what_clients_of_a_load_saw_through_two_flips_and_a_reload_is_what_was_counted_by_zone_and_code()
{
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let load = Plan {
        rate: 400,
        ..Plan::to(proxy.address)
    }
    .start();
    load.wait_for_more(200);
    proxy.admin_post("/v1/zones/fz-2/activate", "");
    until_active(&proxy, "fz-2");
    load.wait_for_more(200);
    // A reload that changes routes, and one that is refused.
    let more = pair.builder(&format!("{EAGER}\n[limits]\nmax_headers = 90\n"));
    proxy.rewrite_config(more);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    let before = Page::of(&proxy);
    assert_eq!(
        before.value("firedoor_config_last_reload_successful", &[]),
        1.0
    );
    load.wait_for_more(200);
    proxy.admin_post("/v1/failback", "");
    until_active(&proxy, "fz-1");
    load.wait_for_more(200);
    let records = load.finish();

    let mut seen: BTreeMap<(String, String), f64> = BTreeMap::new();
    for record in &records {
        let code = record
            .result
            .as_ref()
            .expect("answered")
            .as_u16()
            .to_string();
        let by = record.served_by.as_deref().unwrap_or("/");
        let zone = by.split('/').next().unwrap().to_owned();
        *seen.entry((zone, code)).or_default() += 1.0;
    }
    assert!(seen.len() >= 2, "both zones have answered: {seen:?}");
    let page = until(&proxy, "all requests are counted", |page| {
        page.sum(REQUESTS, &[]) >= records.len() as f64
    });
    let counted: BTreeMap<(String, String), f64> = page
        .of_name(REQUESTS, &[])
        .into_iter()
        .map(|s| {
            (
                (s.labels["zone"].clone(), s.labels["code"].clone()),
                s.value,
            )
        })
        .collect();
    assert_eq!(counted, seen);
    for zone in ["fz-1", "fz-2"] {
        let requests = page.sum(REQUESTS, &[("zone", zone)]);
        assert_eq!(page.value(COUNT, &[("zone", zone)]), requests);
        assert!(requests >= before.sum(REQUESTS, &[("zone", zone)]));
        assert_eq!(page.value("firedoor_in_flight", &[("zone", zone)]), 0.0);
    }
    let flips = |from, to, cause| {
        let labels = [("from", from), ("to", to), ("cause", cause)];
        page.value("firedoor_flips_total", &labels)
    };
    assert_eq!(flips("fz-1", "fz-2", "operator"), 1.0);
    assert_eq!(flips("fz-2", "fz-1", "operator"), 1.0);
    assert_eq!(page.value("firedoor_config_generation", &[]), 2.0);

    std::fs::write(proxy.config_file(), "nonsense").unwrap();
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 422);
    let page = Page::of(&proxy);
    assert_eq!(
        page.value("firedoor_config_last_reload_successful", &[]),
        0.0
    );
    assert_eq!(page.value("firedoor_config_generation", &[]), 2.0);
}

#[test]
fn requests_are_in_flight_while_a_backend_has_them_and_their_time_is_counted_to_the_end() {
    let gate = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&gate);
    let slow = Origin::start(custom(move |exchange| {
        exchange.read_body();
        within(PATIENCE, || open.load(Ordering::Acquire));
        exchange.send(&behaviour::response(200, &[], b"at last"))
    }));
    let proxy = Proxy::in_front_of(&[&slow]);
    let address = proxy.address;
    let clients: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(move || crate::support::client::get(address, "/").status))
        .collect();
    until(&proxy, "three are in flight", |page| {
        page.value("firedoor_in_flight", &[("zone", "fz-1")]) == 3.0
    });
    within(Duration::from_millis(300), || false);
    gate.store(true, Ordering::Release);
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    let page = until(&proxy, "none is in flight", |page| {
        page.value(COUNT, &[("zone", "fz-1")]) == 3.0
            && page.value("firedoor_in_flight", &[("zone", "fz-1")]) == 0.0
    });
    let sum = page.value("firedoor_request_duration_seconds_sum", &[("zone", "fz-1")]);
    assert!((0.9..30.0).contains(&sum), "{sum}");
    let quick = [("zone", "fz-1"), ("le", "0.25")];
    assert_eq!(
        page.value("firedoor_request_duration_seconds_bucket", &quick),
        0.0
    );
}

#[test]
fn a_pool_of_its_own_has_counts_of_its_own_and_keeps_them_while_it_is_gone_from_the_configuration()
{
    let (shop, rest) = (Origin::named("shop"), Origin::named("rest"));
    let with = |proxy: crate::support::proxy::Builder| {
        proxy
            .toml("[[pool]]\nname = \"shop\"\n[[pool]]\nname = \"default\"\n[[route]]\npath = \"/shop\"\npool = \"shop\"\n[[route]]\npath = \"/\"\npool = \"default\"\n")
            .zone("fz-1", &[&rest])
            .backend("shop-1", shop.address(), "pool = \"shop\"")
    };
    let without = |proxy: crate::support::proxy::Builder| proxy.zone("fz-1", &[&rest]);
    let mut proxy = with(Proxy::builder()).start();
    proxy.until_all_up();
    for path in ["/shop", "/shop/basket", "/"] {
        assert_eq!(proxy.get(path).status, 200);
    }
    let count = |pool| move |page: &Page| page.sum(REQUESTS, &[("pool", pool)]);
    until(&proxy, "all three are counted", |page| {
        (count("shop")(page), count("default")(page)) == (2.0, 1.0)
    });
    proxy.rewrite_config(without(Proxy::builder()));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    assert_eq!(proxy.get("/shop").status, 200);
    let page = until(&proxy, "the fourth is counted", |page| {
        count("default")(page) == 2.0
    });
    assert_eq!(count("shop")(&page), 2.0);
    assert!(
        page.of_name("firedoor_in_flight", &[("pool", "shop")])
            .is_empty()
    );
    proxy.rewrite_config(with(Proxy::builder()));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    proxy.until_all_up();
    assert_eq!(proxy.get("/shop").status, 200);
    until(&proxy, "it counts on", |page| count("shop")(page) == 3.0);
}

#[test]
fn a_client_that_leaves_and_a_response_that_breaks_off_are_counted_as_what_they_are() {
    let origin = Origin::start(behaviour::cut(100, "only a part of it"));
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    assert!(client.ends_within(PATIENCE));
    let page = until(&proxy, "it is counted", |page| {
        page.sum(REQUESTS, &[]) == 1.0
    });
    assert_eq!(page.value(REQUESTS, &[("code", "200")]), 1.0);
    let broken = "firedoor_request_errors_total";
    assert_eq!(page.value(broken, &[("zone", "fz-1")]), 1.0);

    origin.behave(behaviour::hang());
    let mut client = proxy.client();
    client.send("GET /hangs HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "the backend has it", || origin.count() == 2);
    client.reset();
    let page = until(&proxy, "it is counted", |page| {
        page.sum(REQUESTS, &[]) == 2.0
    });
    assert_eq!(
        page.value(REQUESTS, &[("zone", "fz-1"), ("code", "none")]),
        1.0
    );
    assert_eq!(page.value(broken, &[("zone", "fz-1")]), 1.0);
}

#[test]
fn streams_of_http_2_are_requests_like_any_other() {
    let origin = Origin::start(as_told());
    let proxy = Proxy::builder()
        .listener("h2c = true")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let urls = [200, 404, 503].map(|code| format!("http://{}/{code}", proxy.address));
    let output = std::process::Command::new("h2load")
        .args(["-n", "600", "-c", "5", "-m", "20"])
        .args(&urls)
        .output()
        .expect("h2load; tests/run installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    let all = "status codes: 200 2xx, 0 3xx, 200 4xx, 200 5xx";
    assert!(said.contains(all), "{said}");
    let page = until(&proxy, "all streams are counted", |page| {
        page.sum(REQUESTS, &[]) == 600.0
    });
    for code in ["200", "404", "503"] {
        let labels = [("zone", "fz-1"), ("pool", "default"), ("code", code)];
        assert_eq!(page.value(REQUESTS, &labels), 200.0, "{code}");
    }
    assert_eq!(page.value(COUNT, &[("zone", "fz-1")]), 600.0);
    assert_eq!(
        page.value("firedoor_request_errors_total", &[("zone", "fz-1")]),
        200.0
    );
    assert_eq!(page.value("firedoor_in_flight", &[("zone", "fz-1")]), 0.0);
}

#[test]
fn a_tunnel_is_counted_but_its_time_is_not_and_its_connections_are_active() {
    let origin = Origin::start(behaviour::upgrade());
    let proxy = Proxy::in_front_of(&[&origin]);
    let mut client = proxy.client();
    let head = client
        .send("GET / HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .head();
    assert!(head.line.contains("101"), "{}", head.line);
    let states = |page: &Page, side| {
        page.value(
            "firedoor_connections",
            &[("side", side), ("state", "active")],
        )
    };
    until(&proxy, "the tunnel is open", |page| {
        (states(page, "downstream"), states(page, "upstream")) == (1.0, 1.0)
    });
    drop(client);
    let page = until(&proxy, "it is counted, and closed", |page| {
        page.sum(REQUESTS, &[("code", "101")]) == 1.0 && states(page, "upstream") == 0.0
    });
    assert_eq!(page.value(COUNT, &[("zone", "fz-1")]), 0.0);
}

#[test]
fn counting_goes_on_while_somebody_scrapes_without_a_pause() {
    let origin = Origin::start(answer(200, &[], "1"));
    let proxy = Proxy::in_front_of(&[&origin]);
    let done = Arc::new(AtomicBool::new(false));
    let load = Plan {
        rate: 500,
        ..Plan::to(proxy.address)
    }
    .only_get()
    .start();
    std::thread::scope(|scope| {
        let stop = Arc::clone(&done);
        let proxy = &proxy;
        scope.spawn(move || {
            let mut last = 0.0;
            while !stop.load(Ordering::Acquire) {
                let now = Page::of(proxy).sum(REQUESTS, &[]);
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
        load.wait_for_more(500);
        done.store(true, Ordering::Release);
    });
    let records = load.finish();
    assert!(records.iter().all(crate::support::load::Record::succeeded));
    until(&proxy, "all are counted", |page| {
        page.sum(REQUESTS, &[]) == records.len() as f64
    });
}
