//! What is sent again, and what never is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::behaviour::{self, Behaviour, Next};
use crate::support::proxy::Builder;
use crate::support::wait::PATIENCE;
use crate::support::{Origin, Proxy};

/// Checks so rare that only live requests can find out what a backend does.
fn rarely_checked() -> Builder {
    Proxy::builder().check("kind = \"tcp\"\ninterval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"1h\"\nfall = 1000")
}

/// Answers the first `count` requests and resets at every later one.
fn resetting_after(count: usize) -> Behaviour {
    let served = AtomicUsize::new(0);
    behaviour::custom(move |exchange| {
        exchange.read_body();
        if served.fetch_add(1, Ordering::Relaxed) < count {
            exchange.send(&behaviour::response(200, &[], b"served"))
        } else {
            Next::Reset
        }
    })
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    for broken in [
        behaviour::close(),
        behaviour::reset(),
        behaviour::raw("HTTP/1.1 2", Next::Close),
    ] {
        let (first, second) = (Origin::start(broken.clone()), Origin::start(broken));
        let proxy = rarely_checked().zone("fz-1", &[&first, &second]).start();
        let answer = proxy.client().exchange(
            "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: 1\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert_eq!(answer.status, 502);
        assert_eq!(first.count() + second.count(), 1);
    }
}

#[test]
fn a_post_on_a_kept_connection_that_dies_is_not_sent_again() {
    let origin = Origin::start(resetting_after(1));
    let proxy = rarely_checked()
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let post = |id: u32| {
        format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: {id}\r\nContent-Length: 5\r\n\r\nhello"
        )
    };
    assert_eq!(client.exchange(post(1)).text(), "served");
    assert_eq!(client.exchange(post(2)).status, 502);
    assert_eq!(
        origin.posts(),
        [("1".to_owned(), 1), ("2".to_owned(), 1)].into()
    );
}

#[test]
fn a_get_on_a_kept_connection_that_dies_is_sent_again() {
    let first = AtomicUsize::new(0);
    let origin = Origin::start(behaviour::custom(move |exchange| {
        // The second request dies on the connection of the first.
        if first.fetch_add(1, Ordering::Relaxed) == 1 {
            Next::Reset
        } else {
            exchange.send(&behaviour::response(200, &[], b"served"))
        }
    }));
    let proxy = rarely_checked()
        .server("workers = 1")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(
            client
                .exchange("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n")
                .text(),
            "served"
        );
    }
    assert_eq!(origin.count(), 4);
}

#[test]
fn a_kept_connection_that_dies_costs_no_retry() {
    // Either resets its second request: the third of the client meets a kept connection that dies, and then a fresh one.
    let resets_second = || {
        let served = AtomicUsize::new(0);
        Origin::start(behaviour::custom(move |exchange| {
            if served.fetch_add(1, Ordering::Relaxed) == 1 {
                Next::Reset
            } else {
                exchange.send(&behaviour::response(200, &[], b"served"))
            }
        }))
    };
    let (first, second) = (resets_second(), resets_second());
    let proxy = rarely_checked()
        .server("workers = 1")
        .toml("[upstream]\nretries = 1\nbalance = \"round-robin\"\n[failover]\ngray = \"report\"")
        .zone("fz-1", &[&first, &second])
        .start();
    let mut client = proxy.client();
    for at in 0..3 {
        let request = format!("GET /{at} HTTP/1.1\r\nHost: app.example\r\n\r\n");
        assert_eq!(client.exchange(request).text(), "served", "request {at}");
    }
    assert_eq!(first.count() + second.count(), 5);
}

#[test]
fn without_retries_nothing_is_sent_again() {
    let origin = Origin::start(resetting_after(1));
    let proxy = rarely_checked()
        .server("workers = 1")
        .toml("[upstream]\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let get = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";
    assert_eq!(client.exchange(get).status, 200);
    assert_eq!(client.exchange(get).status, 502);
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_request_that_has_used_up_its_retries_waits_for_the_flip() {
    // A zone that dies while requests are on their way: whatever comes is reset, and the probes find it out a moment later.
    let dying: Vec<Origin> = (0..4).map(|_| Origin::start(behaviour::close())).collect();
    let standby = Origin::named("standby");
    let proxy = Proxy::builder()
        .check("interval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"2s\"")
        .toml("[failover]\nhold_time = \"30s\"")
        .zone("fz-1", &dying.iter().collect::<Vec<_>>())
        .zone("fz-2", &[&standby])
        .start();
    proxy.until_all_up();
    for origin in &dying {
        origin.behave_to_checks(behaviour::close());
    }
    assert_eq!(proxy.get("/").text(), "standby");
    let attempts: usize = dying.iter().map(Origin::count).sum();
    assert_eq!(
        attempts, 3,
        "one attempt and two retries in the zone that dies"
    );
}

#[test]
fn connections_that_the_backend_closed_while_idle_harm_nobody() {
    let origin = Origin::named("hello");
    let proxy = rarely_checked().zone("fz-1", &[&origin]).start();
    let mut client = proxy.client();
    for at in 0..50 {
        let answer = client.exchange(format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: {at}\r\nContent-Length: 5\r\n\r\nhello"
        ));
        assert_eq!(answer.status, 200, "request {at}");
        origin.close_connections();
        crate::support::eventually(PATIENCE, "the connection is gone", || {
            origin.open_connections() == 0
        });
    }
    assert!(origin.posts().values().all(|count| *count == 1));
}

#[test]
fn what_could_not_be_sent_goes_to_the_sibling_whatever_its_method() {
    let (mut dead, alive) = (Origin::named("dead"), Origin::named("alive"));
    let proxy = rarely_checked().zone("fz-1", &[&dead, &alive]).start();
    proxy.until_all_up();
    dead.refuse();
    for at in 0..20 {
        for method in ["GET", "POST"] {
            let answer = proxy.client().exchange(format!(
                "{method} / HTTP/1.1\r\nHost: app.example\r\nX-Id: {at}\r\nContent-Length: 5\r\n\r\nhello"
            ));
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "alive"),
                "{method} {at}"
            );
        }
    }
    assert_eq!(alive.posts().len(), 20);
    assert!(alive.posts().values().all(|count| *count == 1));
}

#[test]
fn an_idempotent_request_that_was_lost_goes_to_the_sibling() {
    let (broken, sound) = (Origin::start(behaviour::close()), Origin::named("sound"));
    let proxy = rarely_checked()
        .toml("[upstream]\nbalance = \"round-robin\"\n[failover]\ngray = \"report\"")
        .zone("fz-1", &[&broken, &sound])
        .start();
    for at in 0..6 {
        let request =
            format!("PUT /{at} HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(proxy.client().exchange(request).text(), "sound");
        assert_eq!(sound.saw(&format!("/{at}")).body, b"hello");
    }
    assert!(
        broken.count() > 0,
        "it was never asked, so nothing was sent again"
    );
}

#[test]
fn an_idempotent_request_that_was_answered_with_nonsense_goes_to_the_sibling_and_a_post_does_not() {
    let served = AtomicUsize::new(0);
    let turning = Origin::start(behaviour::custom(move |exchange| {
        exchange.read_body();
        // Sound at first, so that the nonsense comes over a kept connection too.
        if served.fetch_add(1, Ordering::Relaxed) == 0 {
            return exchange.send(&behaviour::response(200, &[], b"sound"));
        }
        exchange.send(b"\x16\x03nonsense\r\n\r\n");
        Next::Close
    }));
    let sound = Origin::named("sound");
    let proxy = rarely_checked()
        .server("workers = 1")
        .toml("[upstream]\nbalance = \"round-robin\"\nretries = 1\n[failover]\ngray = \"report\"")
        .zone("fz-1", &[&turning, &sound])
        .start();
    let mut client = proxy.client();
    for at in 0..6 {
        let request =
            format!("PUT /{at} HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.exchange(request).text(), "sound", "request {at}");
    }
    assert!(
        turning.count() > 1,
        "it was never asked, so nothing was sent again"
    );

    let statuses: Vec<u16> = (0..6)
        .map(|at| {
            let request = format!(
                "POST / HTTP/1.1\r\nHost: app.example\r\nX-Id: {at}\r\nContent-Length: 5\r\n\r\nhello"
            );
            proxy.client().exchange(request).status
        })
        .collect();
    assert!(statuses.contains(&502), "{statuses:?}");
    for (id, count) in turning.posts() {
        assert_eq!((count, sound.posts().get(&id)), (1, None), "POST {id}");
    }
}

#[test]
fn a_body_beyond_the_replay_buffer_is_not_sent_again() {
    let (first, second) = (
        Origin::start(behaviour::close()),
        Origin::start(behaviour::close()),
    );
    let proxy = rarely_checked()
        .toml("[upstream]\nreplay_buffer = \"1KiB\"")
        .zone("fz-1", &[&first, &second])
        .start();
    let body = "x".repeat(2000);
    let answer = proxy.client().exchange(format!(
        "PUT / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 2000\r\n\r\n{body}"
    ));
    assert_eq!(answer.status, 502);
    assert_eq!(first.count() + second.count(), 1);
}

#[test]
fn retries_end_after_their_number() {
    let origins: Vec<Origin> = (0..5).map(|_| Origin::start(behaviour::close())).collect();
    let proxy = rarely_checked()
        .toml("[failover]\nhold_time = \"60s\"")
        .zone("fz-1", &origins.iter().collect::<Vec<_>>())
        .start();
    let begun = Instant::now();
    let answer = proxy.get("/");
    assert_eq!(answer.status, 502);
    assert_eq!(
        origins.iter().map(Origin::count).sum::<usize>(),
        3,
        "one attempt and two retries"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it was held for {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_lone_backend_that_breaks_off_becomes_502_when_no_flip_saves_the_request() {
    let origin = Origin::start(behaviour::close());
    let proxy = rarely_checked()
        .toml("[failover]\nhold_time = \"300ms\"")
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/").status, 502);
}

#[test]
fn a_lone_backend_that_answers_nonsense_becomes_502_at_once() {
    let origin = Origin::start(behaviour::raw(
        "220 mail.example ESMTP\r\n\r\n",
        Next::Close,
    ));
    let proxy = rarely_checked()
        .toml("[failover]\nhold_time = \"60s\"")
        .zone("fz-1", &[&origin])
        .start();
    let begun = Instant::now();
    assert_eq!(proxy.get("/").status, 502);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it was held for {:?}",
        begun.elapsed()
    );
}

#[test]
fn an_answer_in_time_is_demanded_and_its_lack_said() {
    let origin = Origin::start(behaviour::hang());
    let proxy = rarely_checked()
        .toml("[upstream]\nresponse_timeout = \"300ms\"\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    for method in ["GET", "POST"] {
        let answer = proxy.client().exchange(format!(
            "{method} / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n\r\n"
        ));
        assert_eq!(answer.status, 504, "{method}");
    }
}

#[test]
fn statuses_worth_a_retry_are_asked_again_for_idempotent_requests_only() {
    let (busy, free) = (
        Origin::start(behaviour::answer(503, &[], "busy")),
        Origin::named("free"),
    );
    let proxy = rarely_checked()
        .toml("[upstream]\nbalance = \"round-robin\"\nretry_on_status = [503]\n[failover]\ngray = \"report\"")
        .zone("fz-1", &[&busy, &free])
        .start();
    for _ in 0..6 {
        assert_eq!(proxy.get("/").text(), "free");
    }
    let posts: Vec<u16> = (0..6)
        .map(|_| {
            proxy
                .client()
                .exchange("POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 0\r\n\r\n")
                .status
        })
        .collect();
    assert!(posts.contains(&503), "{posts:?}");
}

/// Whether the only backend is `up` or `down`.
fn is(status: &serde_json::Value, wanted: &str) -> bool {
    status["zones"][0]["components"][0]["status"] == wanted
}

#[test]
fn requests_wait_for_a_backend_and_then_are_told_when_to_come_back() {
    let mut origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"\ninterval = \"50ms\"\ntimeout = \"2s\"\nfall = 1\nrise = 1")
        .toml("[failover]\nhold_time = \"700ms\"")
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/").text(), "hello");
    origin.refuse();
    proxy.until_status("the backend is down", |status| is(status, "down"));
    let begun = Instant::now();
    let answer = proxy.get("/");
    let waited = begun.elapsed();
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .field("retry-after")
            .is_some_and(|after| after.parse::<u32>().is_ok())
    );
    assert!(
        waited >= Duration::from_millis(600),
        "it was not held: {waited:?}"
    );
    origin.restart();
    proxy.until_status("the backend is up", |status| is(status, "up"));
    assert_eq!(proxy.get("/").text(), "hello");
}

#[test]
fn a_held_request_goes_on_as_soon_as_a_backend_is_up() {
    let mut origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"\ninterval = \"50ms\"\ntimeout = \"2s\"\nfall = 1\nrise = 1")
        .toml("[failover]\nhold_time = \"20s\"")
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/").text(), "hello");
    origin.refuse();
    proxy.until_status("the backend is down", |status| is(status, "down"));
    let mut client = proxy.client();
    client.send(
        "POST /held HTTP/1.1\r\nHost: app.example\r\nX-Id: 1\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert!(
        client
            .response_within("POST", Duration::from_millis(300))
            .is_err(),
        "it was not held"
    );
    let begun = Instant::now();
    origin.restart();
    assert_eq!(client.response().text(), "hello");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(origin.posts()["1"], 1);
}

#[test]
fn no_more_requests_wait_than_may() {
    let mut origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .check("kind = \"tcp\"\ninterval = \"50ms\"\ntimeout = \"2s\"\nfall = 1\nrise = 1")
        .toml("[failover]\nhold_time = \"20s\"\nhold_requests = 2")
        .zone("fz-1", &[&origin])
        .start();
    origin.refuse();
    proxy.until_status("the backend is down", |status| is(status, "down"));
    let mut held: Vec<_> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut held {
        client.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    }
    proxy.until_status("two requests wait", |status| status["holds"] == 2);
    assert_eq!(proxy.get("/").status, 503);
    origin.restart();
    for client in &mut held {
        assert_eq!(client.response().text(), "hello");
    }
}
