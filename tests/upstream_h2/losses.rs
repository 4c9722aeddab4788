//! What many requests lose with one shared connection: one failure, in all that the decision goes by, and one retry of the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::faults::in_front_of_frames;
use crate::frames::{self, DATA, END_HEADERS, HEADERS, OK, RST_STREAM, SETTINGS, Wire};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Proxy, RawClient};

const MANY: usize = 40;
/// So many that a backend has a past to be compared with.
const BEFORE: usize = 20;
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// More than are made again at once.
const BUDGET: &str = "[upstream]\nretry_budget = \"100%\"";
const RECORDED: &str = "[journal]\noutcomes = \"all\"\n";

/// In front of a lone backend that has done well over its first connection, which does `lose` to the next ones; later ones answer.
fn losing(many: usize, lose: fn(&mut Wire, Vec<u32>), sections: &str) -> Proxy {
    let (address, _) = frames::backend(move |wire| {
        if wire.number == 0 {
            // WebSockets may be opened.
            wire.send(SETTINGS, 0, 0, &[0, 8, 0, 0, 0, 1]);
            for _ in 0..BEFORE {
                let next = wire.request()?;
                wire.answer(next, b"before");
            }
            let mut streams = Vec::new();
            while streams.len() < many {
                streams.push(wire.request()?);
            }
            lose(wire, streams);
            return Ok(());
        }
        loop {
            let next = wire.request()?;
            wire.answer(next, b"again");
        }
    });
    let proxy = in_front_of_frames(address, &format!("{RECORDED}{sections}"));
    for _ in 0..BEFORE {
        assert_eq!(proxy.get("/").text(), "before");
    }
    proxy
}

fn send_all(proxy: &Proxy, many: usize, request: &str) -> Vec<RawClient> {
    let mut clients: Vec<_> = (0..many).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(request);
    }
    clients
}

/// Requests and failures, as the decision has learnt of them.
fn evidence(proxy: &Proxy) -> (u64, u64) {
    let text = std::fs::read_to_string(proxy.state_file("outcomes.jsonl")).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let (mut requests, mut failures) = (0, 0);
    for line in lines {
        let line: Value = line;
        for tally in line["tallies"].as_array().into_iter().flatten() {
            requests += tally["requests"].as_u64().unwrap();
            failures += tally["failures"].as_u64().unwrap();
        }
    }
    (requests, failures)
}

/// Makes one more request, whose count is the last one, and compares.
#[track_caller]
fn until_counted(proxy: &Proxy, requests: usize, failures: usize) {
    assert_eq!(proxy.get("/").text(), "again");
    let expected = (requests as u64 + 1, failures as u64);
    eventually(PATIENCE, "all is counted", || {
        evidence(proxy).0 >= expected.0
    });
    assert_eq!(evidence(proxy), expected);
    proxy.until_status("it is gray for many only", |status| {
        status["zones"][0]["components"][0]["gray"] == (failures > 1)
    });
}

#[test]
fn requests_that_wait_for_an_answer_are_one() {
    let proxy = losing(MANY, |wire, _| wire.close(), "");
    for mut client in send_all(&proxy, MANY, POST) {
        assert_eq!(client.response().status, 502);
    }
    until_counted(&proxy, BEFORE + 1, 1);
}

#[test]
fn those_that_are_made_again_are_one_and_count_where_they_are_answered() {
    let proxy = losing(MANY, |wire, _| wire.close(), BUDGET);
    for mut client in send_all(&proxy, MANY, GET) {
        assert_eq!(client.response().text(), "again");
    }
    until_counted(&proxy, BEFORE + 1 + MANY, 1);
}

#[test]
fn answers_that_break_off_are_one() {
    let lose = |wire: &mut Wire, streams| {
        for stream in streams {
            wire.send(HEADERS, END_HEADERS, stream, OK);
            wire.send(DATA, 0, stream, b"half");
        }
        wire.close();
    };
    let proxy = losing(MANY, lose, "");
    for mut client in send_all(&proxy, MANY, GET) {
        assert!(client.response_within("GET", PATIENCE).is_err());
    }
    until_counted(&proxy, BEFORE + 1, 1);
}

#[test]
fn tunnels_that_break_off_are_one() {
    let lose = |wire: &mut Wire, streams: Vec<u32>| {
        for stream in streams {
            wire.send(HEADERS, END_HEADERS, stream, OK);
        }
        // Each has its 101 once its first word is here.
        let mut words = 0;
        while words < MANY {
            match wire.frame() {
                Ok(frame) => words += usize::from(frame.kind == DATA),
                Err(_) => return,
            }
        }
        wire.close();
    };
    let proxy = losing(MANY, lose, "");
    let mut clients = send_all(&proxy, MANY, ASK);
    for client in &mut clients {
        assert_eq!(client.head().line, "HTTP/1.1 101 Switching Protocols");
        client.send("word");
    }
    for mut client in clients {
        let _end = client.rest(PATIENCE);
    }
    until_counted(&proxy, BEFORE + 1, 1);
}

/// Nothing comes any more, not even an echo.
fn fall_silent(wire: &mut Wire, _: Vec<u32>) {
    while wire.frame().is_ok() {}
}

#[test]
fn those_of_one_that_is_given_up_for_its_silence_are_one() {
    let proxy = losing(
        MANY,
        fall_silent,
        "[upstream]\nping_interval = \"2s\"\nconnect_timeout = \"5s\"",
    );
    for mut client in send_all(&proxy, MANY, POST) {
        let status = client.response_within("POST", PATIENCE).unwrap().status;
        assert_eq!(status, 502);
    }
    until_counted(&proxy, BEFORE + 1, 1);
}

#[test]
fn those_of_one_that_is_silent_while_another_answers_are_one() {
    let proxy = losing(
        MANY,
        fall_silent,
        "[upstream]\nping_interval = \"5m\"\nconnect_timeout = \"1s\"\nresponse_timeout = \"6s\"",
    );
    let clients = send_all(&proxy, MANY, POST);
    let mut left = 0;
    eventually(PATIENCE, "another connection answers", || {
        let mut client = proxy.client();
        client.send(POST);
        let answer = client.response_within("POST", Duration::from_millis(300));
        left += usize::from(answer.is_err());
        answer.is_ok()
    });
    for mut client in clients {
        let status = client.response_within("POST", PATIENCE).unwrap().status;
        assert_eq!(status, 504);
    }
    // One of them, the one that was answered, and those that their clients have called off.
    until_counted(&proxy, BEFORE + 1 + 1 + left, 1);
}

#[test]
fn streams_that_end_one_by_one_count_one_by_one() {
    let lose = |wire: &mut Wire, streams| {
        for stream in streams {
            wire.send(RST_STREAM, 0, stream, &2_u32.to_be_bytes());
        }
        while let Ok(next) = wire.request() {
            wire.answer(next, b"again");
        }
    };
    let proxy = losing(MANY, lose, "");
    for mut client in send_all(&proxy, MANY, POST) {
        assert_eq!(client.response().status, 502);
    }
    until_counted(&proxy, BEFORE + MANY, MANY);
}

#[test]
fn those_of_one_take_one_retry_together() {
    let proxy = losing(100, |wire, _| wire.close(), "");
    for mut client in send_all(&proxy, 100, GET) {
        assert_eq!(client.response().text(), "again");
    }
}

/// What was lost first is made again, all of it; after that there is the budget, and nothing else, however many attempts each has left.
#[test]
fn a_backend_that_breaks_each_connection_gets_them_once_more_and_the_budget() {
    let again = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&again);
    let (address, _) = frames::backend(move |wire| {
        if wire.number == 0 {
            for _ in 0..BEFORE {
                let next = wire.request()?;
                wire.answer(next, b"before");
            }
            for _ in 0..100 {
                wire.request()?;
            }
            return Ok(());
        }
        loop {
            wire.request()?;
            count.fetch_add(1, Ordering::SeqCst);
            // Until all of those that come at once are here.
            wire.patience(Duration::from_millis(500));
        }
    });
    // Each may go there once more when the checks have had their say, for two seconds.
    let proxy = Proxy::builder()
        .server("workers = 1")
        .check("kind = \"tcp\"\ninterval = \"1h\"\ntimeout = \"2s\"\nconfirm_interval = \"10ms\"\nfall = 1")
        .toml("[upstream]\nretries = 5\n[failover]\nhold_time = \"1m\"")
        .zone_at("fz-1", &[])
        .backend_at("app-1", &format!("h2c://{address}"), "")
        .start();
    proxy.until_all_up();
    for _ in 0..BEFORE {
        assert_eq!(proxy.get("/").text(), "before");
    }
    for mut client in send_all(&proxy, 100, GET) {
        let status = client.response_within("GET", PATIENCE).unwrap().status;
        assert_eq!(status, 502);
    }
    let again = again.load(Ordering::SeqCst);
    let budget = 10 + (BEFORE + 100) / 5;
    assert!((100..100 + budget).contains(&again), "{again}");
}
