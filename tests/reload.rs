//! A reload puts the file in force as a whole or not at all, and disturbs nothing that it doesn't change.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::behaviour;
use support::load::Plan;
use support::pair::{EAGER, Pair, active, assert_none_failed, journal_of, sound, until_both_serve};
use support::wait::{PATIENCE, eventually_some};
use support::{Origin, Proxy, RawClient, eventually, port};

#[test]
fn a_file_with_problems_changes_nothing_and_every_problem_is_named() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let before = proxy.status()["config_generation"].clone();
    proxy.rewrite_config(
        pair.builder(EAGER)
            .toml("[limits]\nheader_timeoutt = \"1s\"\nmax_headers = \"many\""),
    );
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 422, "{}", answer.text());
    for problem in ["header_timeoutt", "max_headers"] {
        assert!(answer.text().contains(problem), "{}", answer.text());
    }
    assert_eq!(proxy.status()["config_generation"], before);

    proxy.signal(Signal::HUP);
    let said = eventually_some(PATIENCE, "the log names the problems", || {
        let log = proxy.log();
        let mut lines = log.lines();
        lines
            .rfind(|line| line.contains("not reloaded"))
            .map(str::to_owned)
    });
    for problem in ["header_timeoutt", "max_headers"] {
        assert!(said.contains(problem), "all in one line: {said}");
    }
    assert!(!said.contains("\\n"), "{said}");
    let refused = journal_of(&proxy, "order", 1);
    let refused = refused.last().unwrap()["message"].as_str().unwrap();
    assert!(!refused.contains('\n'), "{refused}");
    assert_eq!(proxy.status()["config_generation"], before);
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let file = proxy.config_file();
    std::fs::remove_file(&file).unwrap();
    let missing = proxy.admin_post("/v1/reload", "");
    std::fs::write(&file, b"\xff").unwrap();
    let unreadable = proxy.admin_post("/v1/reload", "");
    for answer in [missing, unreadable] {
        assert_eq!(answer.status, 422, "{}", answer.text());
        let problems = answer.json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{problems:#}");
        assert_eq!(problems[0]["file"], file.to_str().unwrap());
        let message = problems[0]["message"].as_str().unwrap();
        assert!(message.starts_with("it can't be read: "), "{message}");
    }
    std::fs::write(&file, b"[server]\nworkers = 1 # \xe4\n").unwrap();
    let said = proxy.command(&["reload"]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(
        said.contains("it can't be read: line 2 is not UTF-8"),
        "{said}"
    );
}

/// Pipes that nobody writes to stand for a disk that hangs.
#[test]
fn a_file_that_cannot_be_read_to_its_end_holds_up_neither_the_next_reload_nor_the_end() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let hang = |proxy: &mut Proxy, name| {
        let pipe = proxy.directory().join(name);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let lines = format!("path = \"${{file:{name}}}\"");
        proxy.rewrite_config(pair.builder(EAGER).access_log(&lines));
        pipe
    };
    hang(&mut proxy, "first");
    let said = proxy.admin_post("/v1/reload", "").text();
    assert!(said.contains("on a disk that hangs"), "{said}");
    proxy.rewrite_config(pair.builder(EAGER).toml("[limits]\nmax_headers = 99"));
    assert_eq!(reload(&proxy)["changes"][0], "[limits] changed");

    let pipe = hang(&mut proxy, "second");
    proxy.signal(Signal::HUP);
    let mut writing = OpenOptions::new();
    writing.write(true).custom_flags(libc::O_NONBLOCK);
    let _silent_writer = eventually_some(PATIENCE, "somebody reads the pipe", || {
        writing.open(&pipe).ok()
    });
    proxy.signal(Signal::TERM);
    assert!(proxy.wait_for_exit(Duration::from_secs(8)).success());
}

#[test]
fn what_waits_for_a_restart_is_told_until_nothing_does() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let waiting = |proxy: &Proxy| {
        let changes = reload(proxy)["changes"].to_string();
        assert!(!changes.contains("workers") || changes.contains("only a restart applies it"));
        changes.contains("server.workers")
    };
    assert!(!waiting(&proxy), "as at the start");
    proxy.rewrite_config(pair.builder(EAGER).server("workers = 7"));
    for _ in 0..2 {
        assert!(waiting(&proxy));
    }
    proxy.rewrite_config(pair.builder(EAGER));
    for _ in 0..2 {
        assert!(!waiting(&proxy), "as at the start again");
    }
}

#[test]
fn a_reload_that_changes_nothing_is_no_news() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let reload = || {
        let answer = proxy.admin_post("/v1/reload", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(reload()["changes"].to_string(), "[]");
    proxy.rewrite_config(pair.builder(EAGER).toml("[limits]\nmax_headers = 99"));
    let answer = proxy.admin_post("/v1/reload", "").json();
    let said = journal_of(&proxy, "reloaded", 1);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0]["generation"], answer["generation"]);
}

#[test]
fn a_hup_under_load_adds_a_backend_and_keeps_health_epoch_and_connections() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let third = Origin::start(sound("fz-1", "app-3"));
    let mut client = proxy.client();
    assert_eq!(client.exchange(GET).status, 200);
    let before = proxy.status();
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);

    let zone =
        |builder: support::proxy::Builder, zone: &support::pair::Zone, extra: Option<&Origin>| {
            let mut servers: Vec<&Origin> = zone.servers.iter().collect();
            servers.extend(extra);
            builder
                .zone(zone.name, &servers)
                .dependency("database", zone.database.address(), "")
        };
    let builder = Proxy::builder().check(support::pair::PROMPT).toml(EAGER);
    let builder = zone(builder, &pair.preferred, Some(&third));
    proxy.rewrite_config(zone(builder, &pair.standby, None));
    proxy.signal(Signal::HUP);
    let after = proxy.until_status("the new configuration is in force", |status| {
        status["config_generation"].as_u64() > before["config_generation"].as_u64()
    });

    eventually(PATIENCE, "the new app server gets requests", || {
        third.count() > 0
    });
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(client.exchange(GET).status, 200, "the connection lived on");
    assert_eq!(after["epoch"], before["epoch"]);
    assert_eq!(active(&proxy), "fz-1");
    for at in 0..2 {
        let (before, after) = (
            &before["zones"][0]["components"][at],
            &after["zones"][0]["components"][at],
        );
        assert_eq!(after["status"], "up");
        assert_eq!(after["since"], before["since"], "{after:#}");
    }
    let said = journal_of(&proxy, "reloaded", 1);
    assert!(
        said.last().unwrap()["changes"]
            .to_string()
            .contains("app-3"),
        "{said:#?}"
    );
}

#[test]
fn a_reload_without_the_active_zone_says_where_the_traffic_is_now() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    assert_eq!(proxy.admin_post("/v1/zones/fz-1/pin", "").status, 200);
    let only = Proxy::builder()
        .toml(EAGER)
        .zone("fz-2", &[&pair.standby.servers[0]]);
    proxy.rewrite_config(only);
    let changes = reload(&proxy)["changes"].to_string();
    let told =
        "fz-1 was active and pinned, and is no longer configured: fz-2 is active now, epoch 2";
    assert!(changes.contains(told), "{changes}");
    assert_eq!(active(&proxy), "fz-2");
    eventually(PATIENCE, "it warns as at the start", || {
        proxy.log().contains("there is only one zone")
    });
}

#[test]
fn a_changed_preference_is_told_by_the_zone_that_is_preferred_now() {
    let pair = Pair::start();
    let zones = |names: [&str; 2]| {
        let builder = Proxy::builder().check(support::pair::PROMPT).toml(EAGER);
        names.into_iter().fold(builder, |builder, name| {
            let mut zones = pair.zones().into_iter();
            let zone = zones.find(|zone| zone.name == name).unwrap();
            builder.zone(name, &[&zone.servers[0]])
        })
    };
    let mut proxy = zones(["fz-1", "fz-2"]).start();
    until_both_serve(&proxy);
    proxy.rewrite_config(zones(["fz-2", "fz-1"]));
    let told = "fz-2 is the preferred zone now, then fz-1";
    let changes = reload(&proxy)["changes"].clone();
    assert!(
        changes.as_array().unwrap().contains(&told.into()),
        "{changes:#}"
    );
    let said = journal_of(&proxy, "reloaded", 1);
    assert_eq!(said[0]["changes"], serde_json::json!([told]), "{said:#?}");
    assert_eq!(active(&proxy), "fz-1", "a preference is no reason to leave");
    assert_eq!(reload(&proxy)["changes"].to_string(), "[]");
}

#[test]
fn a_removed_backend_is_never_picked_again_and_finishes_what_it_has() {
    let pair = Pair::start();
    let mut proxy = Proxy::builder()
        .check(support::pair::PROMPT)
        .toml(EAGER)
        .zone(
            "fz-1",
            &[&pair.preferred.servers[0], &pair.preferred.servers[1]],
        )
        .start();
    support::pair::until_verdict(&proxy, "fz-1", "serving");
    pair.preferred.servers[1].behave(behaviour::drip(
        "slowly but surely",
        2,
        Duration::from_millis(30),
    ));
    let mut client = proxy.client();
    let mut sent = 0;
    while pair.preferred.servers[1].count() == 0 {
        client = proxy.client();
        client.send(GET);
        sent += 1;
        eventually(PATIENCE, "the request is at an app server", || {
            pair.preferred.count() == sent
        });
    }
    let remaining = Proxy::builder()
        .check(support::pair::PROMPT)
        .toml(EAGER)
        .zone("fz-1", &[&pair.preferred.servers[0]]);
    proxy.rewrite_config(remaining);
    reload(&proxy);
    assert_eq!(client.response().text(), "slowly but surely");
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "fz-1 app-1");
    }
    assert_eq!(pair.preferred.servers[1].count(), 1);
}

#[test]
fn a_new_listener_appears_and_an_old_one_goes_without_a_refused_connection_elsewhere() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let second = port::free();
    let load = Plan {
        rate: 200,
        ..Plan::to(proxy.address)
    }
    .start();
    // And clients that make a connection for every request, since a refused one is what this is about.
    load.wait_for_more(60);
    for _ in 0..3 {
        proxy.rewrite_config(
            pair.builder(EAGER)
                .toml(&format!("[[listener]]\nbind = \"{second}\"")),
        );
        reload(&proxy);
        assert_eq!(support::client::get(second, "/").status, 200);
        fresh_connections(proxy.address);
        let mut kept = RawClient::connect(second);
        assert_eq!(kept.exchange(GET).status, 200);
        proxy.rewrite_config(pair.builder(EAGER));
        reload(&proxy);
        eventually(PATIENCE, "the second listener is gone", || {
            RawClient::try_connect(second).is_err()
        });
        fresh_connections(proxy.address);
        drop(kept);
    }
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
}

#[test]
fn a_listener_that_cannot_be_bound_leaves_everything_as_it_was() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let before = proxy.status()["config_generation"].clone();
    let taken = [port::listen(), port::listen()];
    let addresses = [0, 1].map(|at| taken[at].local_addr().unwrap());
    let [one, other] = addresses.map(|address| format!("[[listener]]\nbind = \"{address}\"\n"));
    proxy.rewrite_config(
        pair.builder(&EAGER.replace("10s", "1s"))
            .toml(&format!("{one}{other}")),
    );
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 422, "{}", answer.text());
    let problems = answer.json()["problems"].clone();
    assert_eq!(problems.as_array().unwrap().len(), 2, "{problems:#}");
    for (at, address) in addresses.iter().enumerate() {
        let problem = &problems[at];
        assert_eq!(problem["key"], format!("listener[{}].bind", at + 1));
        assert_eq!(problem["file"], proxy.config_file().to_str().unwrap());
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(&address.to_string()), "{message}");
    }
    let last = proxy.status()["configuration"]["last_reload"].clone();
    assert_eq!(last["problems"], problems);
    assert_eq!(proxy.status()["config_generation"], before);
    assert_eq!(proxy.get("/").status, 200);
}

#[test]
fn an_access_log_that_cannot_be_opened_leaves_everything_as_it_was() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let before = proxy.status()["config_generation"].clone();
    let gone = proxy.directory().join("gone/access.log");
    let directory = proxy.directory().join("state");
    for (path, reason) in [(gone, "No such file"), (directory, "Is a directory")] {
        let lines = format!("path = \"{}\"\nformat = \"json\"", path.display());
        let builder = pair.builder(&EAGER.replace("10s", "1s"));
        proxy.rewrite_config(builder.access_log(&lines));
        let answer = proxy.admin_post("/v1/reload", "");
        assert_eq!(answer.status, 422, "{}", answer.text());
        let problems = answer.json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{problems:#}");
        assert_eq!(problems[0]["key"], "access_log.path");
        let message = problems[0]["message"].as_str().unwrap();
        let wanted = format!("access log {}: {reason}", path.display());
        assert!(message.starts_with(&wanted), "{message}");
        assert!(problems[0]["hint"].is_string(), "{problems:#}");
        assert_eq!(proxy.status()["config_generation"], before);
    }
    assert_eq!(proxy.get("/still-here").status, 200);
    proxy.access_line("/still-here");

    let other = proxy.directory().join("other.log");
    let lines = format!("path = \"{}\"\nformat = \"json\"", other.display());
    let builder = pair.builder(EAGER).access_log(&lines);
    let taken = port::listen();
    let listener = format!("[[listener]]\nbind = \"{}\"", taken.local_addr().unwrap());
    proxy.rewrite_config(builder.clone().toml(&listener));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 422);
    assert!(!other.exists(), "a refused reload leaves nothing behind");
    proxy.rewrite_config(builder);
    reload(&proxy);
    assert_eq!(proxy.get("/over-there").status, 200);
    eventually(PATIENCE, "its line is in the new file", || {
        std::fs::read_to_string(&other).is_ok_and(|text| text.contains("/over-there"))
    });
}

#[test]
fn a_configuration_without_the_active_zone_moves_the_traffic() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let load = Plan::to(proxy.address).start();
    load.wait_for_more(60);
    let remaining = Proxy::builder()
        .check(support::pair::PROMPT)
        .toml(EAGER)
        .zone(
            "fz-2",
            &[&pair.standby.servers[0], &pair.standby.servers[1]],
        )
        .dependency("database", pair.standby.database.address(), "");
    let epoch = proxy.status()["epoch"].as_u64().unwrap();
    proxy.rewrite_config(remaining);
    reload(&proxy);
    assert_eq!(active(&proxy), "fz-2");
    assert!(proxy.status()["epoch"].as_u64().unwrap() > epoch);
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(
        journal_of(&proxy, "flip", 1).last().unwrap()["cause"],
        "reload"
    );
}

#[test]
fn new_limits_hold_for_new_requests() {
    let pair = Pair::start();
    let mut proxy = pair.proxy(EAGER);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: app.example\r\nX-Long: {}\r\n\r\n",
        "a".repeat(10_000)
    );
    assert_eq!(proxy.client().exchange(&long).status, 200);
    proxy.rewrite_config(
        pair.builder(EAGER)
            .toml("[limits]\nmax_header_size = \"8KiB\""),
    );
    reload(&proxy);
    assert_eq!(proxy.client().exchange(&long).status, 431);
    until_both_serve(&proxy);
}

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

fn reload(proxy: &Proxy) -> Value {
    let answer = proxy.admin_post("/v1/reload", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn fresh_connections(address: SocketAddr) {
    for _ in 0..50 {
        assert_eq!(support::client::get(address, "/").status, 200);
    }
}
