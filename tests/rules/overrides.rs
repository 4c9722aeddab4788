//! `[[route]]` instead of `[upstream]`, `[limits]` and `[failover]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::behaviour;
use crate::support::proxy::Builder;
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Behaviour, Origin, Proxy};

/// `/special` with `keys`, and everything else without.
fn with(keys: &str) -> Builder {
    Proxy::builder().toml(&format!(
        "[[route]]\npath = \"/special\"\npool = \"default\"\n{keys}\n[[route]]\npool = \"default\""
    ))
}

/// Two backends of which whichever is asked first does `first`; all other requests are served.
pub fn failing_once(first: Behaviour) -> [Origin; 2] {
    let asked = Arc::new(AtomicBool::new(false));
    [(); 2].map(|()| {
        let (first, asked) = (Arc::clone(&first), Arc::clone(&asked));
        Origin::start(behaviour::custom(move |exchange| {
            exchange.read_body();
            if asked.swap(true, Ordering::Relaxed) {
                exchange.send(&behaviour::response(200, &[], b"served"))
            } else {
                first(exchange)
            }
        }))
    })
}

/// Checks so rare that only live requests can find out what a backend does.
pub const RARELY: &str =
    "kind = \"tcp\"\ninterval = \"1h\"\ntimeout = \"5s\"\nconfirm_interval = \"1h\"\nfall = 1000";

fn post(path: &str, fields: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: app.example\r\nX-Id: {path}\r\n{fields}Content-Length: 5\r\n\r\nhello"
    )
}

#[test]
fn a_route_may_wait_shorter_for_its_answers() {
    let origin = Origin::start(behaviour::after(
        Duration::from_secs(2),
        behaviour::ok("late"),
    ));
    let proxy = with("response_timeout = \"100ms\"\nretries = 0")
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/special").status, 504);
    assert_eq!(proxy.get("/other").text(), "late");
}

#[test]
fn a_route_may_take_larger_or_smaller_bodies() {
    let origin = Origin::named("hello");
    let proxy = with("max_body_size = \"8B\"")
        .toml("[[route]]\npath = \"/upload\"\npool = \"default\"\nmax_body_size = \"0\"\n[limits]\nmax_body_size = \"16B\"")
        .zone("fz-1", &[&origin])
        .start();
    let chunked = |path: &str, size: usize| {
        let body = "x".repeat(size);
        format!(
            "POST {path} HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let known = |path: &str, size: usize| {
        let body = "x".repeat(size);
        format!("POST {path} HTTP/1.1\r\nHost: app.example\r\nContent-Length: {size}\r\n\r\n{body}")
    };
    for (path, size, status) in [
        ("/special", 8, 200),
        ("/special", 9, 413),
        ("/other", 16, 200),
        ("/other", 17, 413),
        ("/upload", 1000, 200),
    ] {
        for request in [chunked(path, size), known(path, size)] {
            assert_eq!(
                proxy.client().exchange(request).status,
                status,
                "{path} {size}"
            );
        }
    }
}

#[test]
fn a_route_may_bear_with_slower_bodies() {
    let origin = Origin::named("hello");
    let proxy = with("body_timeout = \"30s\"")
        .toml("[limits]\nbody_timeout = \"200ms\"")
        .zone("fz-1", &[&origin])
        .start();
    let begin = |path: &str| {
        let mut client = proxy.client();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\n\r\nhe"
        ));
        client
    };
    let (mut patient, mut impatient) = (begin("/special"), begin("/other"));
    assert_eq!(
        impatient.response_within("POST", PATIENCE).unwrap().status,
        408
    );
    // As long again as the other one was given.
    assert!(
        patient
            .response_within("POST", Duration::from_millis(400))
            .is_err()
    );
    patient.send("llo");
    assert_eq!(
        patient.response_within("POST", PATIENCE).unwrap().status,
        200
    );
}

#[test]
fn a_route_may_repeat_what_others_do_not() {
    for (path, status, count) in [("/special", 200, 2), ("/other", 503, 1)] {
        let [first, second] = failing_once(behaviour::answer(503, &[], "poor"));
        let proxy = with("retry_on_status = [503]")
            .check(RARELY)
            .zone("fz-1", &[&first, &second])
            .start();
        proxy.until_all_up();
        assert_eq!(proxy.get(path).status, status);
        assert_eq!(first.count() + second.count(), count);
    }
}

#[test]
fn a_route_may_repeat_less() {
    for (path, count) in [("/special", 1), ("/other", 3)] {
        let origins = [(); 3].map(|()| Origin::start(behaviour::reset()));
        let proxy = with("retries = 0")
            .check(RARELY)
            .zone("fz-1", &[&origins[0], &origins[1], &origins[2]])
            .start();
        proxy.until_all_up();
        assert_eq!(proxy.get(path).status, 502);
        assert_eq!(
            origins.iter().map(Origin::count).sum::<usize>(),
            count,
            "{path}"
        );
    }
}

#[test]
fn a_post_with_a_key_is_repeated_only_where_its_route_says_so() {
    let cases = [
        ("/special", "Idempotency-Key: 7c3\r\n", 200),
        ("/special", "", 502),
        ("/special", "Idempotency-Key:\r\n", 502),
        ("/other", "Idempotency-Key: 7c3\r\n", 502),
    ];
    for (path, fields, status) in cases {
        let [first, second] = failing_once(behaviour::reset());
        let proxy = with("idempotency_key = true")
            .check(RARELY)
            .zone("fz-1", &[&first, &second])
            .start();
        proxy.until_all_up();
        let answer = proxy.client().exchange(post(path, fields));
        assert_eq!(answer.status, status, "{path} {fields:?}");
        let bodies: Vec<Vec<u8>> = [&first, &second]
            .into_iter()
            .flat_map(Origin::seen)
            .map(|seen| seen.body)
            .collect();
        assert_eq!(
            bodies.len(),
            if status == 200 { 2 } else { 1 },
            "{path} {fields:?}"
        );
        assert!(bodies.iter().all(|body| body == b"hello"), "{bodies:?}");
    }
}

#[test]
fn a_route_may_wait_longer_or_not_at_all_for_a_zone() {
    let mut origin = Origin::named("hello");
    let proxy = with("hold_time = \"0s\"")
        .toml("[failover]\nhold_time = \"60s\"")
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    origin.refuse();
    proxy.until_status("the backend is down", |status| {
        status["zones"][0]["components"][0]["status"] == "down"
    });
    let mut held = proxy.client();
    held.send("GET /other HTTP/1.1\r\nHost: app.example\r\n\r\n");
    eventually(PATIENCE, "it is held", || proxy.status()["holds"] == 1);
    assert_eq!(proxy.get("/special").status, 503);
    origin.restart();
    assert_eq!(
        held.response_within("GET", PATIENCE).unwrap().text(),
        "hello"
    );
}
