//! Receivers that fail, hang, talk nonsense, or aren't there.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::pager::{Pager, events, progress};
use crate::support::pair::{EAGER, Pair, until_active, until_both_serve};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Proxy, port};

const ON: &str = "on = [\"flip\"]\ntimeout = \"3s\"\n";

/// From here to there and back by orders, so many times.
fn flips(proxy: &Proxy, zones: &[&str]) {
    for zone in zones {
        let answer = proxy.admin_post(&format!("/v1/zones/{zone}/activate"), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn fields<'a>(requests: &'a [Value], name: &str) -> Vec<&'a str> {
    let fields = requests
        .iter()
        .map(|request| request["fields"][name].as_str().unwrap());
    fields.collect()
}

#[test]
fn what_fails_for_now_is_posted_again_with_the_same_delivery_before_what_comes_after() {
    let receiver = Pager::start();
    let pair = Pair::start();
    let proxy = pair.proxy(&format!("{EAGER}{}", receiver.terms(ON)));
    for mood in [
        json!({"status": 503, "times": 1}),
        json!({"status": 429, "times": 1, "headers": {"Retry-After": "1"}}),
        json!({"does": "hang", "times": 1}),
        json!({"does": "nonsense", "times": 1}),
        json!({"does": "reset", "times": 1}),
    ] {
        let before = receiver.requests().len();
        receiver.mood(&mood);
        flips(&proxy, &["fz-2", "fz-1"]);
        eventually(PATIENCE, "all is delivered", || {
            receiver.requests().len() >= before + 3
        });
        let came = receiver.requests().split_off(before);
        let order: Vec<_> = came
            .iter()
            .map(|request| request["body"]["to"].as_str().unwrap())
            .collect();
        assert_eq!(order, ["fz-2", "fz-2", "fz-1"], "{mood}");
        let deliveries = fields(&came, "firedoor-delivery");
        assert_eq!(deliveries[0], deliveries[1]);
        assert_ne!(deliveries[1], deliveries[2]);
        assert!(
            came.iter().all(|request| request["signed"] == true),
            "{came:#?}"
        );
    }
    eventually(PATIENCE, "all are counted", || {
        progress(&proxy, "delivered") == 10
    });
    assert_eq!(progress(&proxy, "failed"), 0);
    assert!(proxy.status()["notify"][0]["error"].is_null());
}

#[test]
fn what_is_refused_for_good_is_counted_and_the_next_one_is_posted() {
    let receiver = Pager::start();
    let pair = Pair::start();
    let proxy = pair.proxy(&format!("{EAGER}{}", receiver.terms(ON)));
    let elsewhere = format!("http://{}/elsewhere", receiver.server.address);
    for (failed, mood) in [
        (1, json!({"status": 400, "times": 1})),
        (
            2,
            json!({"status": 307, "times": 1, "headers": {"Location": elsewhere}}),
        ),
    ] {
        receiver.mood(&mood);
        flips(&proxy, &["fz-2"]);
        eventually(PATIENCE, "it is given up", || {
            progress(&proxy, "failed") == failed
        });
        let error = proxy.status()["notify"][0]["error"]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(error.starts_with("it answers "), "{error}");
        flips(&proxy, &["fz-1"]);
        eventually(PATIENCE, "the next one is taken", || {
            progress(&proxy, "delivered") == failed
        });
    }
    let requests = receiver.requests();
    assert_eq!(
        events(&requests).len(),
        4,
        "nothing is asked twice, and nobody is followed elsewhere"
    );
    assert!(
        requests
            .iter()
            .all(|request| request["path"] == "/events?key=1")
    );
}

#[test]
fn a_receiver_that_hangs_delays_no_flip_and_one_whose_answer_never_ends_has_taken_the_event() {
    for does in ["hang", "endless"] {
        let receiver = Pager::start();
        let mut pair = Pair::start();
        let mut proxy = pair.proxy(&format!("{EAGER}{}", receiver.terms("on = [\"flip\"]")));
        receiver.mood(&json!({"does": does}));
        let begun = Instant::now();
        flips(&proxy, &["fz-2", "fz-1", "fz-2", "fz-1"]);
        pair.preferred.database.refuse();
        until_active(&proxy, "fz-2");
        // One attempt alone takes ten.
        assert!(
            begun.elapsed() < Duration::from_secs(9),
            "{:?}",
            begun.elapsed()
        );
        match does {
            "hang" => assert!(progress(&proxy, "waiting") > 0),
            _ => eventually(PATIENCE, "all are taken", || {
                progress(&proxy, "delivered") == 5
            }),
        }
        proxy.signal(Signal::TERM);
        assert!(proxy.wait_for_exit(PATIENCE).success());
    }
}

#[test]
fn whoever_is_never_there_costs_events_after_a_while_and_these_are_counted() {
    let nobody = port::free();
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!(
        "{EAGER}[[notify]]\nurl = \"http://{nobody}\"\nretry_for = \"2s\"\non = [\"flip\"]\n"
    ));
    flips(&proxy, &["fz-2", "fz-1"]);
    eventually(PATIENCE, "both are given up", || {
        progress(&proxy, "failed") == 2
    });
    assert_eq!(
        (progress(&proxy, "waiting"), progress(&proxy, "delivered")),
        (0, 0)
    );
    assert_eq!(proxy.status()["notify"][0]["name"], "127.0.0.1");
    eventually(PATIENCE, "it is logged", || {
        let told = "notify 127.0.0.1: it is not told of flip: can't connect";
        proxy.log().contains(told)
    });
    // Nobody else minds.
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
}

#[test]
fn what_happens_as_the_process_ends_is_told_before_it_has_ended() {
    let receiver = Pager::start();
    let pair = Pair::start();
    let mut proxy = pair.proxy(&format!("{EAGER}{}", receiver.terms(ON)));
    flips(&proxy, &["fz-2"]);
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    assert_eq!(events(&receiver.requests()), ["flip"]);
}
