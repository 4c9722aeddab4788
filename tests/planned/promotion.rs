//! `promote_command`: runs between drain and commit, and decides whether there is one.

use std::path::{Path, PathBuf};
use std::thread;

use super::support::pair::{
    EAGER, Pair, active, assert_none_failed, journal, journal_of, until_active, until_both_serve,
};
use super::support::wait::{PATIENCE, eventually_some};
use super::support::{Proxy, eventually};
use super::{activate, load, start};

/// A place for what a script leaves behind.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A configuration whose flips run this shell script, with `$D` as this place.
    pub(super) fn promote_by(&self, script: &str, timeout: &str) -> String {
        let place = self.0.path().display();
        format!(
            "{EAGER}promote_command = [\"sh\", \"-c\", '''D={place}; {script}''']\npromote_timeout = \"{timeout}\"\n"
        )
    }

    /// What a script has written, once its line is complete.
    #[track_caller]
    fn line(&self, name: &str) -> String {
        eventually_some(PATIENCE, &format!("{name} is written"), || {
            let text = std::fs::read_to_string(self.file(name)).ok()?;
            text.ends_with('\n').then(|| text.trim().to_owned())
        })
    }
}

/// Whether a process runs; a zombie doesn't.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Zombies among the proxy's children.
fn zombies(proxy: &Proxy) -> Vec<String> {
    let path = format!("/proc/{0}/task/{0}/children", proxy.pid());
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().map(str::to_owned);
    children.filter(|pid| !runs(pid)).collect()
}

#[test]
fn it_runs_once_for_each_planned_flip_and_the_flip_waits_for_it() {
    let pair = Pair::start();
    let place = Place::new();
    let script = "while [ ! -e $D/go ]; do sleep 0.01; done; \
                  echo $FIREDOOR_FROM $FIREDOOR_TO $FIREDOOR_EPOCH $FIREDOOR_REASON >> $D/ran; echo promoted";
    let proxy = start(&pair, &place.promote_by(script, "1m"));
    let load = load(&proxy);
    load.wait_for_more(30);
    thread::scope(|scope| {
        let flip = scope.spawn(|| activate(&proxy, "fz-2"));
        proxy.until_status("the command runs", |status| {
            status["decision"] == "flip to fz-2: promote_command is running"
        });
        proxy.until_status("requests wait", |status| {
            status["holds"].as_u64().unwrap() > 3
        });
        assert_eq!(active(&proxy), "fz-1");
        assert_eq!(pair.standby.count(), 0);
        // Nobody overtakes it.
        let refused = proxy.admin_post("/v1/zones/fz-2/activate", "{\"hold\": false}");
        assert_eq!(refused.status, 409);
        assert!(
            refused.text().contains("promote_command"),
            "{}",
            refused.text()
        );
        std::fs::write(place.file("go"), "").unwrap();
        assert_eq!(flip.join().unwrap().status, 200);
    });
    load.wait_for_more(30);
    assert_none_failed(&load.finish());
    let ran = place.line("ran");
    assert!(
        ran.starts_with("fz-1 fz-2 2 an operator activated fz-2"),
        "{ran}"
    );
    assert_eq!(ran.lines().count(), 1);
    let entry = &journal_of(&proxy, "promotion", 1)[0];
    assert_eq!(
        (&entry["succeeded"], &entry["output"]),
        (&true.into(), &"promoted".into()),
        "{entry:#}"
    );
    assert_eq!(zombies(&proxy), Vec::<String>::new());
}

#[test]
fn when_it_fails_the_flip_is_given_up_and_those_who_wait_go_to_the_old_zone() {
    let pair = Pair::start();
    let place = Place::new();
    let script = "echo no quorum >&2; exit 3";
    let proxy = start(&pair, &place.promote_by(script, "1m"));
    let load = load(&proxy);
    load.wait_for_more(30);
    let answer = activate(&proxy, "fz-2");
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("exit code 3"), "{}", answer.text());
    load.wait_for_more(60);
    let records = load.finish();
    assert_none_failed(&records);
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(pair.standby.count(), 0);
    assert_eq!(pair.posts_twice(), Vec::<String>::new());
    let entry = &journal_of(&proxy, "promotion", 1)[0];
    assert_eq!(entry["output"], "no quorum");
    let given_up = &journal_of(&proxy, "flip_aborted", 1)[0];
    let explanation = given_up["explanation"].as_str().unwrap();
    assert!(explanation.contains("exit code 3"), "{given_up:#}");
    assert_eq!(journal(&proxy, "flip").len(), 0);
}

#[test]
fn when_it_hangs_it_is_killed_with_its_children_and_the_flip_is_given_up() {
    let pair = Pair::start();
    let place = Place::new();
    let script = "trap '' TERM; sleep 1000 & echo $! > $D/child; echo $$ > $D/self; wait";
    let proxy = start(&pair, &place.promote_by(script, "3s"));
    let load = load(&proxy);
    load.wait_for_more(30);
    let answer = activate(&proxy, "fz-2");
    assert_eq!(answer.status, 409);
    assert!(
        answer.text().contains("still running after 3s, killed"),
        "{}",
        answer.text()
    );
    for name in ["self", "child"] {
        let pid = place.line(name);
        eventually(PATIENCE, &format!("{name} is killed"), || !runs(&pid));
    }
    eventually(PATIENCE, "no zombie is left", || zombies(&proxy).is_empty());
    load.wait_for_more(60);
    assert_none_failed(&load.finish());
    assert_eq!(active(&proxy), "fz-1");
}

#[test]
fn requests_wait_for_it_no_longer_than_hold_time() {
    let pair = Pair::start();
    let place = Place::new();
    let script = "while [ ! -e $D/go ]; do sleep 0.01; done";
    let sections = place.promote_by(script, "1m").replace("10s", "1s");
    let proxy = start(&pair, &sections);
    thread::scope(|scope| {
        let flip = scope.spawn(|| activate(&proxy, "fz-2"));
        proxy.until_status("the command runs", |status| {
            status["decision"] == "flip to fz-2: promote_command is running"
        });
        let answer = proxy.get("/");
        assert_eq!(answer.status, 503);
        assert!(answer.field("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
        std::fs::write(place.file("go"), "").unwrap();
        assert_eq!(flip.join().unwrap().status, 200);
    });
    assert!(proxy.get("/").text().starts_with("fz-2 "));
}

#[test]
fn a_failed_zone_is_left_without_it() {
    let mut pair = Pair::start();
    let place = Place::new();
    let proxy = start(&pair, &place.promote_by("echo ran > $D/ran; exit 1", "1m"));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    assert!(!place.file("ran").exists());
    assert_eq!(journal(&proxy, "promotion").len(), 0);
}

#[test]
fn the_old_zone_may_fail_while_it_runs() {
    let mut pair = Pair::start();
    let place = Place::new();
    let script = "echo begun > $D/begun; while [ ! -e $D/go ]; do sleep 0.01; done";
    let proxy = start(&pair, &place.promote_by(script, "1m"));
    let refuse = |pair: &mut Pair| pair.preferred.database.refuse();
    let flip = {
        let admin = proxy.admin;
        thread::spawn(move || {
            super::support::RawClient::connect(admin).exchange(format!(
                "POST /v1/zones/fz-2/activate HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ))
        })
    };
    place.line("begun");
    refuse(&mut pair);
    proxy.until_status("fz-1 has failed", |status| {
        status["zones"][0]["verdict"] == "failed"
    });
    // The command may have stopped that database itself: going now would reach a zone that isn't promoted yet.
    assert_eq!(active(&proxy), "fz-1");
    std::fs::write(place.file("go"), "").unwrap();
    assert_eq!(flip.join().unwrap().status, 200);
    assert_eq!(active(&proxy), "fz-2");
}

#[test]
fn a_crash_while_it_runs_leaves_the_old_zone_active() {
    let pair = Pair::start();
    let place = Place::new();
    let script = "echo begun > $D/begun; while [ ! -e $D/go ]; do sleep 0.01; done";
    let mut proxy = start(&pair, &place.promote_by(script, "1m"));
    let mut client = super::support::RawClient::connect(proxy.admin);
    client.send(format!(
        "POST /v1/zones/fz-2/activate HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        proxy.admin
    ));
    place.line("begun");
    proxy.crash_and_restart();
    // What the dead process had begun goes on without it.
    std::fs::write(place.file("go"), "").unwrap();
    until_both_serve(&proxy);
    assert_eq!(active(&proxy), "fz-1");
    assert_eq!(proxy.status()["epoch"], 1);
    assert!(proxy.get("/").text().starts_with("fz-1 "));
}
