//! How long a planned flip waits for what is in flight: never until those who wait meanwhile are out of patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::behaviour::gated;
use super::support::pair::{EAGER, Pair, sound, until_active};
use super::support::wait::PATIENCE;
use super::support::{Proxy, eventually};
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
