//! Statuses that the configuration calls worth a retry: a whole zone that answers with them loses no idempotent request.

use std::time::{Duration, Instant};

use crate::support::behaviour::{self, answer};
use crate::support::proxy::Builder;
use crate::support::{Origin, Proxy};

const POST: &str =
    "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: 1\r\nContent-Length: 5\r\n\r\nhello";

/// Probes so rare that only a live request can hasten them.
fn rarely_probed(confirm_interval: &str) -> Builder {
    Proxy::builder()
        .check(&format!(
            "path = \"/health\"\ninterval = \"1h\"\ntimeout = \"20s\"\nconfirm_interval = \"{confirm_interval}\"\nfall = 2"
        ))
        .toml("[upstream]\nbalance = \"round-robin\"\nretry_on_status = [500, 503]")
        .toml("[failover]\ngray = \"report\"\nhold_time = \"30s\"")
}

#[test]
fn a_get_waits_for_the_flip_when_its_whole_zone_answers_badly() {
    let (first, second) = (Origin::named("first"), Origin::named("second"));
    let standby = Origin::named("standby");
    let proxy = rarely_probed("2s")
        .zone("fz-1", &[&first, &second])
        .zone("fz-2", &[&standby])
        .start();
    proxy.until_all_up();
    for sick in [&first, &second] {
        sick.behave(answer(503, &[], "sick"));
        sick.behave_to_checks(answer(503, &[], "sick"));
    }
    // Nothing but this one request tells the monitor.
    let got = proxy.get("/");
    assert_eq!((got.status, got.text().as_str()), (200, "standby"));
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[test]
fn a_post_takes_the_answer_that_it_got() {
    let (sick, standby) = (Origin::named("sick"), Origin::named("standby"));
    let proxy = rarely_probed("50ms")
        .zone("fz-1", &[&sick])
        .zone("fz-2", &[&standby])
        .start();
    proxy.until_all_up();
    sick.behave(answer(500, &[], "sick"));
    sick.behave_to_checks(answer(500, &[], "sick"));
    let got = proxy.client().exchange(POST);
    assert_eq!((got.status, got.text().as_str()), (500, "sick"));
    proxy.until_status("fz-2 is active", |status| status["active_zone"] == "fz-2");
    assert_eq!(standby.count(), 0);
}

#[test]
fn the_answer_itself_comes_when_the_probes_find_nothing_wrong() {
    let (odd, standby) = (Origin::named("odd"), Origin::named("standby"));
    let proxy = rarely_probed("50ms")
        .zone("fz-1", &[&odd])
        .zone("fz-2", &[&standby])
        .start();
    proxy.until_all_up();
    odd.behave(answer(500, &["X-Error: 42"], "a bug of the application"));
    let begun = Instant::now();
    let got = proxy.get("/");
    assert_eq!(
        (got.status, got.text().as_str(), got.field("x-error")),
        (500, "a bug of the application", Some("42"))
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it was held for {:?}",
        begun.elapsed()
    );
    assert_eq!((odd.count(), standby.count()), (1, 0));
    odd.behave(behaviour::healthy());
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn a_request_that_a_sibling_saved_still_hastens_the_probes() {
    let (sick, sound) = (Origin::named("sick"), Origin::named("sound"));
    let standby = Origin::named("standby");
    let proxy = rarely_probed("50ms")
        .zone("fz-1", &[&sick, &sound])
        .zone("fz-2", &[&standby])
        .start();
    proxy.until_all_up();
    sick.behave(answer(503, &[], "sick"));
    sick.behave_to_checks(answer(503, &[], "sick"));
    for _ in 0..2 {
        assert_eq!(proxy.get("/").status, 200);
    }
    proxy.until_status("fz-2 is active", |status| status["active_zone"] == "fz-2");
}
