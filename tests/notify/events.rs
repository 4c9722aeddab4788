//! What is told of, and how.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::pager::{Pager, SECRET, events, progress};
use crate::support::pair::{EAGER, Pair, journal, until_active, until_both_serve};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::{Origin, Proxy};

#[test]
fn events_are_posted_in_order_as_they_stand_in_the_journal_and_signed() {
    let receiver = Pager::start();
    let mut pair = Pair::start();
    let on = "on = [\"flip\", \"standby-lost\", \"standby-ready\", \"flip\"]";
    let proxy = pair.proxy(&format!("{EAGER}{}", receiver.terms(on)));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    let answer = proxy.admin_post("/v1/failback", "{\"reason\": \"mended\"}");
    assert_eq!(answer.status, 200);
    let taken = receiver.taken(4);
    let told: Vec<&Value> = taken.iter().map(|request| &request["body"]).collect();
    let mut expected: Vec<Value> = ["flip", "standby"]
        .iter()
        .flat_map(|kind| journal(&proxy, kind))
        .filter(|entry| {
            entry["kind"] == "flip" || told.iter().any(|body| body["number"] == entry["number"])
        })
        .collect();
    expected.sort_by_key(|entry| entry["number"].as_u64());
    for entry in &mut expected {
        entry["firedoor"] = env!("CARGO_PKG_VERSION").into();
        entry["event"] = match (entry["kind"].as_str(), entry["ready"].as_bool()) {
            (Some("flip"), _) => "flip",
            (_, Some(true)) => "standby-ready",
            _ => "standby-lost",
        }
        .into();
    }
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    let names: HashSet<&str> = events(&taken).into_iter().collect();
    assert_eq!(
        names,
        HashSet::from(["flip", "standby-lost", "standby-ready"])
    );
    let flip = told.iter().find(|body| body["event"] == "flip").unwrap();
    assert!(
        flip["message"]
            .as_str()
            .unwrap()
            .starts_with("FLIP fz-1 → fz-2 (epoch 2), failover")
    );
    for request in &taken {
        assert_eq!(request["signed"], true, "{request:#}");
        assert!(request["age"].as_f64().unwrap().abs() < 60.0, "{request:#}");
        assert_eq!(request["path"], "/events?key=1");
        let fields = &request["fields"];
        assert_eq!(fields["content-type"], "application/json");
        assert_eq!(fields["firedoor-event"], request["body"]["event"]);
    }
    let deliveries: HashSet<_> = taken
        .iter()
        .map(|request| request["fields"]["firedoor-delivery"].as_str())
        .collect();
    assert_eq!(deliveries.len(), taken.len());
    eventually(PATIENCE, "all are counted", || {
        progress(&proxy, "delivered") == taken.len() as u64
    });
    assert_eq!(
        (progress(&proxy, "failed"), progress(&proxy, "waiting")),
        (0, 0)
    );
    assert!(!proxy.log().contains(SECRET));
}

#[test]
fn a_used_up_budget_and_nowhere_to_go_are_told() {
    let receiver = Pager::start();
    let mut pair = Pair::start();
    let few = "[failover]\nmin_stay = \"0s\"\nmax_flips_per_hour = 1\n";
    let proxy = pair.proxy(&format!(
        "{few}{}",
        receiver.terms("on = [\"budget-used-up\", \"nowhere-to-go\"]")
    ));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    pair.standby.database.refuse();
    let taken = receiver.taken(1);
    assert_eq!(taken[0]["body"]["event"], "budget-used-up");
    assert_eq!(
        (&taken[0]["body"]["kind"], &taken[0]["body"]["rule"]),
        (&"withheld".into(), &"max_flips_per_hour".into())
    );
    pair.preferred.database.refuse();
    let taken = receiver.taken(2);
    assert_eq!(taken[1]["body"]["event"], "nowhere-to-go");
}

#[test]
fn a_journal_that_can_not_be_written_and_the_flips_that_are_not_in_it_are_told_all_the_same() {
    let receiver = Pager::start();
    let mut pair = Pair::start();
    let sections = format!(
        "{EAGER}{}",
        receiver.terms("on = [\"journal-failing\", \"flip\"]")
    );
    let proxy = pair.builder(&sections).small_disk("128k").start();
    until_both_serve(&proxy);
    let mut ballast = File::create(proxy.state_file("ballast")).unwrap();
    let filling = std::iter::repeat_with(|| ballast.write_all(&[0; 512]));
    assert!(filling.take(10_000).any(|written| written.is_err()));
    drop(ballast);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let taken = receiver.taken(2);
    let mut told = events(&taken);
    told.sort_unstable();
    assert_eq!(told, ["flip", "journal-failing"]);
    let failing = taken
        .iter()
        .find(|request| request["body"]["event"] == "journal-failing")
        .unwrap();
    assert_eq!(failing["body"]["number"], Value::Null);
    let message = failing["body"]["message"].as_str().unwrap();
    let told = ["can't be written", "can't be stored"];
    assert!(
        told.iter().any(|words| message.contains(words)),
        "{message}"
    );
}

#[test]
fn a_certificate_that_ends_soon_is_told_once_and_one_that_does_not_is_not() {
    let receiver = Pager::start();
    let origin = Origin::named("a");
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.sign(directory.path(), "soon", "soon.example", 3);
    authority.sign(directory.path(), "later", "later.example", 100);
    let mut tls = String::from("[listener.tls]\n");
    for name in ["soon", "later"] {
        let file = directory.path().join(name);
        let file = file.display();
        tls.push_str(&format!(
            "[[listener.tls.certificate]]\ncert = \"{file}.pem\"\nkey = \"{file}.key\"\n"
        ));
    }
    let builder = Proxy::builder().listener(&tls).toml(&receiver.terms(""));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    let taken = receiver.taken(1);
    let message = taken[0]["body"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("the certificate for soon.example ends at "),
        "{message}"
    );
    assert_eq!(taken[0]["body"]["event"], "certificate-expiring");
    assert_eq!(taken[0]["signed"], true);
    // It is looked for once a second.
    let now = proxy.status()["uptime_seconds"].as_u64().unwrap();
    proxy.until_status("some more looks", |status| {
        status["uptime_seconds"].as_u64().unwrap() > now + 2
    });
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_webhook_over_tls_is_verified_and_gets_the_fields_that_it_wants() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("the tests' authority");
    authority.write(directory.path());
    authority.sign(directory.path(), "server", "127.0.0.1", 100);
    let ca = directory.path().join("ca.pem");
    let stranger = TempDir::new().unwrap();
    Authority::new("another").write(stranger.path());
    let other = stranger.path().join("ca.pem");
    let receiver = Pager::with(directory, &["--tls"]);
    let mut pair = Pair::start();
    let address = receiver.server.address;
    let sections = format!(
        "{EAGER}[[notify]]\nname = \"pager\"\nurl = \"https://{address}\"\nca = {ca:?}\nheaders = {{ Authorization = \"Bearer ${{TOKEN}}\" }}\n\
         [[notify]]\nname = \"stranger\"\nurl = \"https://{address}\"\nca = {other:?}\nretry_for = \"1ms\"\n"
    );
    let proxy = pair
        .builder(&sections)
        .environment("TOKEN", "tell-nobody")
        .start();
    until_both_serve(&proxy);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    eventually(PATIENCE, "one takes it and the other is not told", || {
        let status = proxy.status();
        let targets = &status["notify"];
        targets[0]["delivered"].as_u64() > Some(0) && targets[1]["failed"].as_u64() > Some(0)
    });
    let status = proxy.status();
    assert_eq!(status["notify"][1]["delivered"], 0);
    let error = status["notify"][1]["error"]["text"].as_str().unwrap();
    assert!(error.contains("no TLS"), "{error}");
    assert!(!proxy.log().contains("tell-nobody"));
}

#[test]
fn a_reload_brings_and_removes_targets_and_the_ones_that_stay_go_on() {
    let (first, second) = (Pager::start(), Pager::start());
    let mut pair = Pair::start();
    let only = |terms: &str| pair.builder(&format!("{EAGER}{terms}"));
    let (before, after) = (
        only(&first.terms("on = [\"flip\"]")),
        only(&second.terms("on = [\"flip\"]")),
    );
    let mut proxy = before.start();
    until_both_serve(&proxy);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    first.taken(1);
    proxy.rewrite_config(after);
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    pair.preferred.database.restart();
    until_both_serve(&proxy);
    assert_eq!(proxy.admin_post("/v1/failback", "").status, 200);
    assert_eq!(second.taken(1)[0]["body"]["to"], json!("fz-1"));
    assert_eq!(first.requests().len(), 1);
}
