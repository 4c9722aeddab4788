//! How long a planned flip waits for what is in flight: never until those who wait meanwhile are out of patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::behaviour::{answer, gated};
use super::support::pair::{EAGER, Pair, sound, until_active, until_both_serve};
use super::support::wait::PATIENCE;
use super::support::{Origin, Proxy, eventually};
use super::{PATIENT, activate, start, start_with};

/// Orders a flip to fz-2 while a POST in fz-1 doesn't end, and ends that after `meanwhile`.
fn while_draining(pair: &Pair, proxy: &Proxy, meanwhile: impl FnOnce()) {
    let open = Arc::new(AtomicBool::new(false));
    for server in &pair.preferred.servers {
        server.behave(gated(&open, sound("fz-1", "app")));
    }
    let mut slow = proxy.client();
    slow.send("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\none");
    eventually(PATIENCE, "the POST is there", || {
        pair.preferred.count() == 1
    });
    thread::scope(|scope| {
        let flip = scope.spawn(|| activate(proxy, "fz-2"));
        proxy.until_status("it drains", |status| {
            status["decision"] == "flip to fz-2: waiting for fz-1 to drain"
        });
        meanwhile();
        open.store(true, Ordering::SeqCst);
        assert_eq!(flip.join().unwrap().status, 200);
    });
    assert_eq!(slow.response().status, 200);
}

#[test]
fn it_is_over_before_the_hold_time_of_any_route_is() {
    let pair = Pair::start();
    let sections = EAGER.replace("10s", "1m");
    let routes = "[[route]]\npath = \"/api\"\npool = \"default\"\nhold_time = \"5s\"\n\
        [[route]]\npath = \"/never\"\npool = \"default\"\nhold_time = \"0s\"\n\
        [[route]]\npool = \"default\"\n";
    let proxy = start(&pair, &format!("{sections}{routes}"));
    while_draining(&pair, &proxy, || {
        assert_eq!(proxy.get("/never").status, 503, "it wants no drain at all");
        let held = proxy.get("/api");
        assert_eq!(held.status, 200, "{}", held.text());
        assert!(held.text().starts_with("fz-2 "), "{}", held.text());
    });
}

#[test]
fn a_reload_to_a_shorter_hold_time_hurries_it() {
    let pair = Pair::start();
    let sections = EAGER.replace("10s", "2m");
    let server = "drain_timeout = \"2m\"";
    let proxy = start_with(&pair, &sections, server);
    while_draining(&pair, &proxy, || {
        let builder = pair.builder(&sections.replace("2m", "0s"));
        let text = builder.check(PATIENT).server(server);
        let text = text.text(proxy.address, proxy.admin);
        std::fs::write(proxy.config_file(), text).unwrap();
        let answer = proxy.admin_post("/v1/reload", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        until_active(&proxy, "fz-2");
    });
}

#[test]
fn it_does_not_wait_for_who_waits_for_a_better_answer() {
    let one = Origin::start(answer(503, &[], "busy"));
    let other = Origin::start(sound("fz-2", "app"));
    // The probes are given long to find out what is wrong, and the drain is, too.
    let check = format!("{PATIENT}\n").replace("\"20ms\"", "\"1m\"");
    let proxy = Proxy::builder()
        .check(&check)
        .server("workers = 1\ndrain_timeout = \"2m\"")
        .toml(&EAGER.replace("10s", "3m"))
        .toml("[upstream]\nretry_on_status = [503]")
        .zone("fz-1", &[&one])
        .zone("fz-2", &[&other])
        .start();
    until_both_serve(&proxy);
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    proxy.until_status("it waits", |status| status["holds"] == 1);
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    let better = client.response();
    assert_eq!((better.status, better.text().as_str()), (200, "fz-2 app"));
    assert_eq!(one.count(), 1);
}

/// One that wasn't counted while it was kept is in flight again when it is passed on, and over at its end.
#[test]
fn an_answer_that_was_kept_in_vain_is_counted_as_any_other() {
    let one = Origin::start(answer(503, &[], "busy"));
    let other = Origin::start(sound("fz-2", "app"));
    let proxy = Proxy::builder()
        .check(PATIENT)
        .server("workers = 1")
        .toml("[failover]\ngray = \"report\"\n[upstream]\nretry_on_status = [503]")
        .zone("fz-1", &[&one])
        .zone("fz-2", &[&other])
        .start();
    until_both_serve(&proxy);
    for _ in 0..3 {
        let kept = proxy.get("/");
        assert_eq!((kept.status, kept.text().as_str()), (503, "busy"));
    }
    proxy.until_status("nothing is in flight", |status| {
        status["zones"][0]["components"][0]["in_flight"] == 0
    });
    assert_eq!(activate(&proxy, "fz-2").status, 200);
    assert_eq!(proxy.get("/").status, 200);
}
