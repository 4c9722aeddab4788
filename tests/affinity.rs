//! Sticky sessions: a cookie brings a client back to its backend, through everything that doesn't take that backend away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use support::behaviour::{self, Behaviour, answer};
use support::pair::{EAGER, Pair, sound, until_active, until_both_serve};
use support::proxy::Builder;
use support::wait::PATIENCE;
use support::{Origin, Proxy, RawClient, Response, eventually};

const STICKY: &str =
    "[[pool]]\nname = \"default\"\nmin_healthy = 1\nsticky = { cookie = \"FIREDOOR\" }\n";

/// A check that no busy machine fails: a flap would pin clients anew.
const PATIENT: &str = "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"10s\"";

/// Both zones, with `[failover]` as `EAGER` has it, and more.
#[track_caller]
fn start(pair: &Pair, more: &str) -> Proxy {
    let builder = pair.builder(&format!("{EAGER}{more}"));
    let proxy = builder.check(PATIENT).start();
    proxy.until_all_up();
    proxy
}

/// `GET path` with these `Cookie` fields, on a connection of its own, so that any worker may get it.
#[track_caller]
fn get(proxy: &Proxy, path: &str, cookies: &[&str]) -> Response {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n");
    for cookie in cookies {
        request += &format!("Cookie: {cookie}\r\n");
    }
    proxy.client().exchange(request + "\r\n")
}

/// The pin that a response sets: `FIREDOOR=…`.
#[track_caller]
fn pin(response: &Response) -> Option<String> {
    let all = response.all("set-cookie");
    let mut ours = all.iter().filter(|v| v.starts_with("FIREDOOR="));
    let cookie = (*ours.next()?).to_owned();
    assert!(ours.next().is_none(), "several: {all:?}");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    Some(pair.to_owned())
}

/// A new client's answer and pin.
#[track_caller]
fn newcomer(proxy: &Proxy) -> (String, String) {
    let response = get(proxy, "/", &[]);
    assert_eq!(response.status, 200);
    (response.text(), pin(&response).expect("a pin"))
}

/// A client that is at home in the backend that answers with `text`.
#[track_caller]
fn at_home_in(proxy: &Proxy, text: &str) -> String {
    support::wait::eventually_some(PATIENCE, &format!("{text} gets a new client"), || {
        let (answer, cookie) = newcomer(proxy);
        (answer == text).then_some(cookie)
    })
}

/// Asserts that `cookie` leads to the backend that answers with `text`, on every worker, and isn't set again.
#[track_caller]
fn assert_at_home(proxy: &Proxy, cookie: &str, text: &str) {
    for _ in 0..12 {
        let response = get(proxy, "/", &[cookie]);
        assert_eq!((&*response.text(), pin(&response)), (text, None));
    }
}

/// The new home of a client whose old one can't take it: its answer and pin.
#[track_caller]
fn moved(proxy: &Proxy, cookie: &str) -> (String, String) {
    let response = get(proxy, "/", &[cookie]);
    assert_eq!(response.status, 200);
    let new = pin(&response).expect("a new pin");
    assert_ne!(new, cookie);
    assert_at_home(proxy, &new, &response.text());
    (response.text(), new)
}

fn order(proxy: &Proxy, path: &str) {
    let answer = proxy.admin_post(&format!("/v1/{path}"), "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
}

#[test]
fn a_client_stays_where_its_first_request_went_whatever_worker_it_meets() {
    let pair = Pair::start();
    let proxy = start(&pair, STICKY);
    let mut homes = BTreeSet::new();
    let mut pins = BTreeSet::new();
    eventually(PATIENCE, "both backends get new clients", || {
        let (text, cookie) = newcomer(&proxy);
        homes.insert((text, cookie.clone()));
        pins.insert(cookie);
        homes.len() == 2
    });
    assert_eq!(pins.len(), 2, "one id a backend: {homes:?}");
    for (text, cookie) in &homes {
        assert_at_home(&proxy, cookie, text);
        let id = cookie.strip_prefix("FIREDOOR=").unwrap();
        assert!(
            id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "opaque: {id}"
        );
    }
    // On one connection too.
    let (text, cookie) = homes.first().unwrap();
    let mut client = proxy.client();
    for _ in 0..5 {
        let response = client.exchange(format!(
            "GET / HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n\r\n"
        ));
        assert_eq!((&response.text(), pin(&response)), (text, None));
    }
}

#[test]
fn the_app_sees_every_cookie_but_ours() {
    let origin = Origin::start(behaviour::echo());
    let proxy = Proxy::builder()
        .toml(STICKY)
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let (_, cookie) = newcomer(&proxy);
    let middle = format!("a=1; {cookie}; b=\"2\"");
    for (path, sent, seen) in [
        ("/only", vec![&*cookie], vec![]),
        ("/middle", vec![&*middle], vec!["a=1; b=\"2\""]),
        (
            "/several",
            vec!["a=1", &middle, &cookie, "\u{e4}=\u{f6}; FIREDOOR2=x"],
            vec![
                "a=1",
                "a=1; b=\"2\"",
                "\u{c3}\u{a4}=\u{c3}\u{b6}; FIREDOOR2=x",
            ],
        ),
        (
            "/others",
            vec!["a=1;b=2 ;; firedoor=x"],
            vec!["a=1;b=2 ;; firedoor=x"],
        ),
    ] {
        let response = get(&proxy, path, &sent);
        assert_eq!(response.status, 200);
        assert_eq!(origin.saw(path).all("cookie"), seen, "{path}");
        assert_eq!(pin(&response).is_some(), path == "/others", "{path}");
    }
}

#[test]
fn whatever_a_client_makes_up_it_is_served_and_pinned_anew() {
    let pair = Pair::start();
    let proxy = start(&pair, STICKY);
    let (_, real) = newcomer(&proxy);
    let digits = real.strip_prefix("FIREDOOR=").unwrap();
    for forged in [
        String::new(),
        "app-1".to_owned(),
        "fz-1:app-1".to_owned(),
        pair.preferred.servers[0].address().to_string(),
        "0".repeat(16),
        "-000000000000001".to_owned(),
        format!("{digits}0"),
        digits[1..].to_owned(),
        format!("\"{digits}\""),
        "%00%ff".to_owned(),
        "\u{e4}\u{20ac}".to_owned(),
        "=".repeat(50),
        "f".repeat(20_000),
    ] {
        let response = get(&proxy, "/", &[&format!("FIREDOOR={forged}")]);
        assert_eq!(response.status, 200, "{forged:.40}");
        assert!(pin(&response).is_some(), "{forged:.40}");
        assert!(response.text().starts_with("fz-1 "), "{forged:.40}");
    }
    // Thousands of our own in one field, and more fields than anyone needs: the first real one counts.
    let many = format!("FIREDOOR=x;{real}; {}", "FIREDOOR=y;".repeat(2000));
    assert_eq!(pin(&get(&proxy, "/", &[&many])), None);
    let mut fields = vec!["FIREDOOR=x; a=1"; 60];
    fields.push(&real);
    assert_eq!(pin(&get(&proxy, "/many", &fields)), None);
    let huge = format!("{real}; {}", "a=1; ".repeat(10_000));
    assert_eq!(get(&proxy, "/", &[&huge]).status, 431);
    for server in &pair.preferred.servers {
        for seen in server.seen() {
            let cookies = seen.all("cookie").concat();
            assert!(!cookies.contains("FIREDOOR"), "{cookies:.100}");
        }
    }
}

#[test]
fn a_flip_pins_anew_and_the_way_back_finds_the_old_home() {
    let mut pair = Pair::start();
    let proxy = start(&pair, STICKY);
    let old = at_home_in(&proxy, "fz-1 app-2");
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let (text, _) = moved(&proxy, &old);
    assert!(text.starts_with("fz-2 "), "{text}");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    order(&proxy, "failback");
    assert_at_home(&proxy, &old, "fz-1 app-2");
}

#[test]
fn a_drain_keeps_its_sessions_and_maintenance_does_not() {
    let pair = Pair::start();
    let proxy = start(&pair, STICKY);
    let cookie = at_home_in(&proxy, "fz-1 app-1");
    order(&proxy, "zones/fz-1/backends/app-1/drain");
    // Also where a new connection to it is needed.
    pair.preferred.servers[0].close_connections();
    assert_at_home(&proxy, &cookie, "fz-1 app-1");
    for _ in 0..20 {
        assert_eq!(newcomer(&proxy).0, "fz-1 app-2");
    }
    order(&proxy, "zones/fz-1/backends/app-1/maintenance");
    let before = pair.preferred.servers[0].count();
    assert_eq!(moved(&proxy, &cookie).0, "fz-1 app-2");
    assert_eq!(pair.preferred.servers[0].count(), before);
    order(&proxy, "zones/fz-1/backends/app-1/ready");
    assert_at_home(&proxy, &cookie, "fz-1 app-1");
}

#[test]
fn with_every_backend_draining_sessions_go_on_and_newcomers_wait() {
    let [one, two] = ["one", "two"].map(Origin::named);
    let proxy = Proxy::builder()
        .toml(&format!("{EAGER}{STICKY}"))
        .zone("fz-1", &[&one, &two])
        .start();
    proxy.until_all_up();
    let cookie = at_home_in(&proxy, "one");
    for server in ["app-1", "app-2"] {
        order(&proxy, &format!("zones/fz-1/backends/{server}/drain"));
    }
    let mut waiting = proxy.client();
    waiting.send("GET /new HTTP/1.1\r\nHost: app.example\r\n\r\n");
    proxy.until_status("the newcomer waits", |status| status["holds"] == 1);
    assert_at_home(&proxy, &cookie, "one");
    order(&proxy, "zones/fz-1/backends/app-2/ready");
    assert_eq!(waiting.response().text(), "two");
}

#[test]
fn a_restart_a_crash_and_a_reload_keep_every_session() {
    let pair = Pair::start();
    let mut proxy = start(&pair, STICKY);
    let cookies: Vec<(String, String)> = ["fz-1 app-1", "fz-1 app-2"]
        .map(|text| (at_home_in(&proxy, text), text.to_owned()))
        .into();
    let assert_all_at_home = |proxy: &Proxy| {
        for (cookie, text) in &cookies {
            assert_at_home(proxy, cookie, text);
        }
    };
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(PATIENCE).success());
    proxy.start_again();
    until_both_serve(&proxy);
    assert_all_at_home(&proxy);
    proxy.crash_and_restart();
    until_both_serve(&proxy);
    assert_all_at_home(&proxy);

    // Another order of zones and backends, another one in between, and app-2 at another address.
    let third = Origin::start(sound("fz-1", "app-3"));
    let new_home = Origin::start(sound("fz-1", "app-2"));
    let [first, standby] = [&pair.preferred, &pair.standby];
    let builder = Proxy::builder()
        .check(PATIENT)
        .toml(&format!("{EAGER}{STICKY}"))
        .zone(standby.name, &[&standby.servers[0], &standby.servers[1]])
        .dependency("database", standby.database.address(), "")
        .zone(first.name, &[])
        .backend("app-3", third.address(), "")
        .backend("app-2", new_home.address(), "")
        .backend("app-1", first.servers[0].address(), "")
        .dependency("database", first.database.address(), "");
    proxy.rewrite_config(builder);
    order(&proxy, "reload");
    proxy.until_all_up();
    assert_all_at_home(&proxy);
    assert!(new_home.count() > 0);
}

/// A zone that serves with one of its backends could open before the other one has been probed.
#[test]
fn a_restart_waits_for_the_homes_of_sessions() {
    let pair = Pair::start();
    let mut proxy = start(&pair, STICKY);
    let cookie = at_home_in(&proxy, "fz-1 app-1");
    let slow = behaviour::after(Duration::from_millis(400), behaviour::healthy());
    pair.preferred.servers[0].behave_to_checks(slow);
    proxy.crash_and_restart();
    assert_at_home(&proxy, &cookie, "fz-1 app-1");
}

#[test]
fn a_client_moves_when_its_backend_is_down_and_stays_where_it_went() {
    let mut pair = Pair::start();
    let proxy = start(&pair, STICKY);
    // No connection to it is kept, so that the next request has to open one.
    let closing = answer(200, &["Connection: close"], "fz-1 app-1");
    pair.preferred.servers[0].behave(closing);
    let cookie = at_home_in(&proxy, "fz-1 app-1");
    pair.preferred.servers[0].refuse();
    // Whether a probe has failed yet or not: not one byte can be sent there, so even a POST moves.
    let response = proxy.client().exchange(format!(
        "POST / HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\nContent-Length: 2\r\n\r\nhi"
    ));
    assert_eq!(response.text(), "fz-1 app-2");
    let (_, new) = moved(&proxy, &cookie);
    assert_eq!(pin(&response).as_deref(), Some(&*new));
    pair.preferred.servers[0].restart();
    proxy.until_all_up();
    assert_at_home(&proxy, &new, "fz-1 app-2");
}

#[test]
fn a_retry_leaves_the_session_s_home_and_says_so() {
    let pair = Pair::start();
    let proxy = start(&pair, &format!("gray = \"report\"\n{STICKY}"));
    let cookie = at_home_in(&proxy, "fz-1 app-1");
    pair.preferred.servers[0].behave(behaviour::reset());
    let response = get(&proxy, "/", &[&cookie]);
    assert_eq!(response.text(), "fz-1 app-2");
    assert_eq!(pin(&response), Some(at_home_in(&proxy, "fz-1 app-2")));
    // What may have been executed is not repeated, so there is no other backend to pin to.
    let response = proxy.client().exchange(format!(
        "POST / HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\nContent-Length: 2\r\n\r\nhi"
    ));
    assert_eq!((response.status, pin(&response)), (502, None));
}

#[test]
fn a_client_whose_backend_is_full_is_balanced_anew() {
    let [busy, idle] = ["busy", "idle"].map(Origin::named);
    let proxy = Proxy::builder()
        .toml(STICKY)
        .zone("fz-1", &[])
        .backend("app-1", busy.address(), "max_in_flight = 1")
        .backend("app-2", idle.address(), "")
        .start();
    proxy.until_all_up();
    let cookie = at_home_in(&proxy, "busy");
    busy.behave(behaviour::hang());
    let before = busy.count();
    let mut stuck = proxy.client();
    stuck.send(format!(
        "GET /stuck HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n\r\n"
    ));
    eventually(PATIENCE, "it is full", || busy.count() == before + 1);
    assert_eq!(moved(&proxy, &cookie).0, "idle");
}

#[test]
fn a_client_leaves_a_backend_that_has_become_gray() {
    let [bad, good] = ["bad", "good"].map(Origin::named);
    let proxy = Proxy::builder()
        .toml(STICKY)
        .zone("fz-1", &[&bad, &good])
        .start();
    proxy.until_all_up();
    let home = at_home_in(&proxy, "bad");
    let other = at_home_in(&proxy, "good");
    bad.behave(answer(500, &[], "bad"));
    eventually(PATIENCE, "the bad one is gray", || {
        for cookie in [&home, &other] {
            get(&proxy, "/", &[cookie]);
        }
        proxy.status()["zones"][0]["components"][0]["gray"] == true
    });
    assert_eq!(moved(&proxy, &home), ("good".to_owned(), other));
}

#[test]
fn the_cookie_is_secure_where_the_client_came_over_https() {
    let origin = Origin::named("app");
    let start = |listener: &str| {
        let proxy = Proxy::builder()
            .toml(STICKY)
            .listener(listener)
            .zone("fz-1", &[&origin])
            .start();
        proxy.until_all_up();
        proxy
    };
    let cookie = |proxy: &Proxy, proto: &str| {
        let response = proxy.client().exchange(format!(
            "GET / HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-Proto: {proto}\r\n\r\n"
        ));
        response.field("set-cookie").unwrap().to_owned()
    };
    let trusting = start("trusted_proxies = [\"127.0.0.0/8\"]");
    assert!(cookie(&trusting, "https").ends_with("; SameSite=Lax; Secure"));
    assert!(cookie(&trusting, "http").ends_with("; SameSite=Lax"));
    let doubting = start("");
    assert!(cookie(&doubting, "https").ends_with("; SameSite=Lax"));
}

#[test]
fn a_response_that_sets_the_cookie_is_private_unless_the_app_says_otherwise() {
    let origin = Origin::named("app");
    let proxy = Proxy::builder()
        .toml(STICKY)
        .zone("fz-1", &[&origin])
        .start();
    proxy.until_all_up();
    let (_, cookie) = newcomer(&proxy);
    let fields = |behaviour: Behaviour, cookies: &[&str]| {
        origin.behave(behaviour);
        let response = get(&proxy, "/", cookies);
        let own = |name| -> Vec<String> {
            let all = response.all(name).into_iter();
            all.filter(|v| !v.starts_with("FIREDOOR="))
                .map(str::to_owned)
                .collect()
        };
        (
            own("cache-control"),
            own("set-cookie"),
            pin(&response).is_some(),
        )
    };
    let plain = || {
        answer(
            200,
            &["Set-Cookie: sid=1; Path=/", "Set-Cookie: FIREDOOR=app"],
            "",
        )
    };
    let public = || {
        answer(
            404,
            &["Cache-Control: public", "Cache-Control: max-age=60"],
            "",
        )
    };
    let sid = || vec!["sid=1; Path=/".to_owned()];
    let said = || vec!["public".to_owned(), "max-age=60".to_owned()];
    assert_eq!(
        fields(plain(), &[]),
        (vec!["private".to_owned()], sid(), true)
    );
    assert_eq!(fields(plain(), &[&cookie]), (vec![], sid(), false));
    assert_eq!(fields(public(), &[]), (said(), vec![], true));
    assert_eq!(fields(public(), &[&cookie]), (said(), vec![], false));
}

#[test]
fn a_tunnel_is_pinned_by_its_101_and_opened_at_home() {
    let origins = [behaviour::upgrade(), behaviour::upgrade()].map(Origin::start);
    let proxy = Proxy::builder()
        .toml(STICKY)
        .zone("fz-1", &[&origins[0], &origins[1]])
        .start();
    proxy.until_all_up();
    let open = |cookie: &str| {
        let mut client = proxy.client();
        client.send(format!(
            "GET /chat HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n"
        ));
        let head = client.head();
        assert!(head.line.starts_with("HTTP/1.1 101"), "{}", head.line);
        client.send("hello");
        assert_eq!(client.exact(5).unwrap(), b"HELLO");
        head
    };
    let head = open("");
    let cookie = head
        .field("set-cookie")
        .expect("a pin")
        .split(';')
        .next()
        .unwrap();
    let counts = || origins.each_ref().map(Origin::count);
    let home = counts().iter().position(|count| *count == 1).unwrap();
    for _ in 0..5 {
        let head = open(&format!("Cookie: {cookie}\r\n"));
        assert_eq!(head.field("set-cookie"), None);
    }
    assert_eq!(counts()[home], 6);
}

/// Two pools on two paths; the second one has `sticky`, or none.
fn two_pools(origins: &[Origin; 2], sticky: &str) -> Builder {
    Proxy::builder()
        .toml(&format!("[[pool]]\nname = \"hq\"\n{sticky}"))
        .toml("[[route]]\npath = \"/hq\"\npool = \"hq\"\n[[route]]\npool = \"default\"")
        .zone("fz-1", &[])
        .backend("app-1", origins[0].address(), "")
        .backend("hq-1", origins[1].address(), "pool = \"hq\"")
}

#[test]
fn a_pool_without_sticky_neither_sets_nor_takes_and_a_reload_changes_that() {
    let origins = ["default", "hq"].map(Origin::named);
    let sticky = "sticky = { cookie = \"FIREDOOR\", ttl = \"90s\" }";
    let mut proxy = two_pools(&origins, sticky).start();
    proxy.until_all_up();
    let plain = get(&proxy, "/plain", &["FIREDOOR=mine; a=1"]);
    assert_eq!(plain.all("set-cookie"), [""; 0]);
    assert_eq!(plain.all("cache-control"), [""; 0]);
    assert_eq!(
        origins[0].saw("/plain").all("cookie"),
        ["FIREDOOR=mine; a=1"]
    );
    let response = get(&proxy, "/hq/a", &["FIREDOOR=mine; a=1"]);
    let cookie = response.field("set-cookie").expect("a pin");
    assert!(cookie.ends_with("; SameSite=Lax; Max-Age=90"), "{cookie}");
    assert_eq!(origins[1].saw("/hq/a").all("cookie"), ["a=1"]);

    let mut client = RawClient::connect(proxy.address);
    proxy.rewrite_config(two_pools(&origins, ""));
    order(&proxy, "reload");
    let response =
        client.exchange("GET /hq/b HTTP/1.1\r\nHost: app.example\r\nCookie: FIREDOOR=mine\r\n\r\n");
    assert_eq!(response.all("set-cookie"), [""; 0]);
    assert_eq!(origins[1].saw("/hq/b").all("cookie"), ["FIREDOOR=mine"]);
}
