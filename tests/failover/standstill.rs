//! How long requests wait, where firedoor itself stood still meanwhile or they had not been waiting all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::support::behaviour::{self, Next};
use super::support::pair::{EAGER, sound, until_active, until_both_serve, until_verdict};
use super::support::process::{freeze, thaw};
use super::support::wait::{PATIENCE, within};
use super::support::{Origin, Proxy, RawClient, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
/// What a request may wait for, and for how long firedoor stands still.
const LIMIT: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_secs(6);

/// Stops firedoor for longer than anything may take, and says so when it has looked at its clock again.
fn stop_for_long(proxy: &Proxy, meanwhile: impl FnOnce()) {
    let process = Pid::from_raw(proxy.pid().cast_signed()).unwrap();
    freeze(process);
    meanwhile();
    within(LONGER, || false);
    thaw(process);
    eventually(PATIENCE, "it has looked at its clock", || {
        proxy.log().contains("stood still for ")
    });
}

fn asking(proxy: &Proxy) -> RawClient {
    let mut client = proxy.client();
    client.send(GET);
    client
}

/// Both zones are dead, and one of them comes back while firedoor stands still. It takes three checks to see that.
#[test]
fn the_time_in_which_firedoor_stood_still_is_not_counted_against_who_waits_for_a_zone() {
    let mut origins = ["fz-1", "fz-2"].map(|zone| Origin::start(sound(zone, "app")));
    let check = "path = \"/health\"\ninterval = \"500ms\"\ntimeout = \"10s\"\nconfirm_interval = \"500ms\"\nfall = 1\nrise = 3";
    let proxy = Proxy::builder()
        .check(check)
        .toml(&EAGER.replace("10s", "5s"))
        .zone("fz-1", &[&origins[0]])
        .zone("fz-2", &[&origins[1]])
        .start();
    until_both_serve(&proxy);
    origins.iter_mut().for_each(Origin::refuse);
    for zone in ["fz-1", "fz-2"] {
        until_verdict(&proxy, zone, "failed");
    }
    let mut client = asking(&proxy);
    proxy.until_status("it waits", |status| status["holds"] == 1);
    stop_for_long(&proxy, || origins[1].restart());
    assert_eq!(client.response().status, 200);
}

#[test]
fn the_time_in_which_firedoor_stood_still_is_not_counted_against_a_backend_that_owes_an_answer() {
    let open = Arc::new(AtomicBool::new(false));
    let origin = Origin::start(behaviour::gated(&open, sound("fz-1", "app")));
    let proxy = Proxy::builder()
        .toml("[upstream]\nresponse_timeout = \"5s\"\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let mut client = asking(&proxy);
    eventually(PATIENCE, "it is there", || origin.count() == 1);
    stop_for_long(&proxy, || ());
    let early = client.some(Duration::from_millis(500));
    assert!(early.is_err(), "it was answered: {early:?}");
    open.store(true, Ordering::SeqCst);
    assert_eq!(client.response().status, 200);
}

/// It has waited for a zone, and was served for longer than anybody may wait when that zone lost it.
#[test]
fn the_time_at_a_backend_is_not_counted_as_waiting_for_a_zone() {
    let over = Arc::new(AtomicBool::new(false));
    let lost = behaviour::gated(&over, Arc::new(|_| Next::Reset));
    let mut origins = [Origin::start(sound("fz-1", "app")), Origin::start(lost)];
    let check = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"10s\"\nconfirm_interval = \"20ms\"\nfall = 2\nrise = 1";
    let proxy = Proxy::builder()
        .check(check)
        .toml(&EAGER.replace("10s", "5s"))
        .zone("fz-1", &[&origins[0]])
        .zone("fz-2", &[&origins[1]])
        .start();
    until_both_serve(&proxy);
    origins.iter_mut().for_each(Origin::refuse);
    for zone in ["fz-1", "fz-2"] {
        until_verdict(&proxy, zone, "failed");
    }
    let begun = Instant::now();
    let mut client = asking(&proxy);
    proxy.until_status("it waits", |status| status["holds"] == 1);
    origins[1].restart();
    until_active(&proxy, "fz-2");
    eventually(PATIENCE, "it is there", || origins[1].count() == 1);
    origins[0].restart();
    until_verdict(&proxy, "fz-1", "serving");
    eventually(PATIENCE, "nobody may wait for so long", || {
        begun.elapsed() > LIMIT
    });
    over.store(true, Ordering::SeqCst);
    proxy.until_status("it waits again", |status| status["holds"] == 1);
    origins[1].refuse();
    assert_eq!(client.response().status, 200);
}
