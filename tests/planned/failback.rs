//! The way back by itself is a planned flip too, and costs nobody a request.

use jiff::{Timestamp, ToSpan};

use super::support::pair::{
    EAGER, Pair, assert_none_failed, journal_of, until_active, until_both_serve,
};
use super::{load, start};

/// Fails over and back by these settings, under load.
fn back_by(settings: &str) {
    let mut pair = Pair::start();
    let proxy = start(
        &pair,
        &format!("{EAGER}failback_after = \"200ms\"\n{settings}"),
    );
    let load = load(&proxy);
    load.wait_for_more(60);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    until_active(&proxy, "fz-1");
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    let begun = &journal_of(&proxy, "flip_begun", 1)[0];
    assert_eq!(begun["to"], "fz-1", "{begun:#}");
    assert_eq!(journal_of(&proxy, "flip", 2)[1]["cause"], "failback");
}

#[test]
fn automatic_failback_is_planned() {
    back_by("failback = \"auto\"");
}

#[test]
fn failback_within_its_window_is_planned() {
    // Open now, and for longer than any test takes, whatever the time of day.
    let time = |at: Timestamp| at.strftime("%H:%M").to_string();
    let now = Timestamp::now();
    let (from, to) = (now - 2.hours(), now + 2.hours());
    back_by(&format!(
        "failback = \"window\"\nfailback_window = \"{}-{} UTC\"",
        time(from),
        time(to)
    ));
}
