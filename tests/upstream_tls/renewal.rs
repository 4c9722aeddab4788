//! Files of a pool's TLS that change while the proxy serves, and reloads that change its terms.

use std::time::Duration;

use rustix::process::Signal;

use crate::authority::Authority;
use crate::site::{Site, secured};
use crate::support::wait::{PATIENCE, within};
use crate::support::{Origin, Proxy, behaviour, eventually};
use crate::terminator::server_config;

/// Several of the two seconds between two looks at the files.
pub const LOOKS: Duration = Duration::from_secs(10);

#[test]
fn a_new_authority_comes_into_force_without_a_reload_for_requests_and_checks() {
    let site = Site::new(Origin::start(behaviour::answer(
        200,
        &["Connection: close"],
        "x",
    )));
    let standby = Origin::named("standby");
    let builder = site.builder(&site.terms("")).zone("fz-2", &[&standby]);
    let proxy = builder
        .toml("[failover]\nfailback = \"auto\"\nfailback_after = \"100ms\"\nmin_stay = \"0s\"")
        .start();
    proxy.until_all_up();
    assert_eq!(proxy.get("/").text(), "x");
    // The backend is the first to move.
    let authority = Authority::new("the next authority");
    authority.sign(site.path(), "app", "127.0.0.1", 100);
    site.tls.show(server_config(site.path(), "app", None));
    proxy.until_status("the check sees that", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    authority.write(site.path());
    assert!(
        within(LOOKS, || proxy.status()["zones"][0]["active"] == true),
        "{:#}",
        proxy.status()
    );
    assert_eq!(proxy.get("/").text(), "x");
    assert!(
        proxy
            .log()
            .contains("pool default: its certificate files have changed")
    );
}

#[test]
fn broken_files_leave_the_old_ones_in_force() {
    let site = Site::new(Origin::start(behaviour::answer(
        200,
        &["Connection: close"],
        "x",
    )));
    let proxy = site.proxy();
    std::fs::write(site.path().join("ca.pem"), "nothing of use").unwrap();
    eventually(LOOKS, "the log says so", || {
        proxy.log().contains("the old certificates stay in force")
    });
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn after_a_reload_with_equal_terms_changed_files_are_still_taken_up() {
    let site = Site::new(Origin::start(behaviour::answer(
        200,
        &["Connection: close"],
        "x",
    )));
    let proxy = site.proxy();
    assert_eq!(proxy.get("/").status, 200);
    proxy.signal(Signal::HUP);
    eventually(PATIENCE, "it has reloaded", || {
        proxy.status()["config_generation"] == 2
    });
    let authority = Authority::new("the next authority");
    authority.sign(site.path(), "app", "127.0.0.1", 100);
    authority.write(site.path());
    site.tls.show(server_config(site.path(), "app", None));
    assert!(within(LOOKS, || proxy.get("/").status == 200
        && proxy.status()["zones"][0]["components"][0]["status"]
            == "up"));
}

/// The same address, cleartext before: what is kept of that is of no use any more.
#[test]
fn a_reload_may_move_a_backend_to_tls() {
    let site = Site::new(Origin::named("a"));
    let builder = Proxy::builder().toml(&site.terms(""));
    let mut proxy = Proxy::builder().zone("fz-1", &[&site.origin]).start();
    assert_eq!(proxy.get("/").status, 200);
    proxy.rewrite_config(secured(builder, "fz-1", &site.tls));
    proxy.signal(Signal::HUP);
    eventually(PATIENCE, "requests go over TLS", || {
        proxy.get("/").status == 200 && site.tls.shaken().iter().any(|s| !s.resumed)
    });
}
