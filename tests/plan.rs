//! A plan says what would follow, and what then happens is just that; the question itself changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::pair::{EAGER, Pair, active, journal, journal_of, until_active, until_verdict};
use support::{Proxy, Response};

#[test]
fn a_plan_names_the_flip_that_then_happens() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let before = proxy.status();
    let plan = plan(&proxy, &json!({"down": ["fz-1:database"]}));
    assert_eq!(plan["kind"], "flip", "{plan:#}");
    assert_eq!(plan["to"], "fz-2");
    let soon = plan["in_ms"].as_f64().unwrap();
    let hung = plan["in_ms_if_hung"].as_f64().unwrap();
    assert!(0.0 <= soon && soon < hung, "{plan:#}");
    let verdicts: Vec<&Value> = zones(&plan).iter().map(|zone| &zone["verdict"]).collect();
    assert_eq!(verdicts, ["failed", "serving"]);
    assert!(
        plan["reasons"][0]
            .as_str()
            .unwrap()
            .starts_with("fz-1: database is down")
    );

    let after = proxy.status();
    for unchanged in [
        "epoch",
        "active_zone",
        "generation",
        "decision",
        "flips_left",
    ] {
        assert_eq!(before[unchanged], after[unchanged], "{unchanged}");
    }
    assert!(journal(&proxy, "flip").is_empty());

    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let flip = &journal_of(&proxy, "flip", 1)[0];
    for same in ["to", "cause", "rule", "alternatives", "degraded"] {
        assert_eq!(plan[same], flip[same], "{same}");
    }
}

#[test]
fn one_journal_line_is_enough_for_an_audit_of_a_flip() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let flip = &journal_of(&proxy, "flip", 1)[0];
    let evidence = flip["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 1, "{flip:#}");
    assert_eq!(evidence[0]["component"], "fz-1:database");
    assert_eq!(evidence[0]["status"], "down");
    let outcomes = evidence[0]["outcomes"].as_array().unwrap();
    let codes: Vec<&str> = outcomes
        .iter()
        .map(|o| o["code"].as_str().unwrap())
        .collect();
    assert!(codes.ends_with(&["L4CON", "L4CON"]), "{codes:?}");
    assert!(codes.contains(&"L4OK"), "when it was well last: {codes:?}");
    for outcome in outcomes {
        assert!(
            outcome["ms"].is_f64() && outcome["time"].is_string(),
            "{outcome}"
        );
    }
    assert!(!flip["rule"].as_str().unwrap().is_empty());
    assert_eq!(flip["alternatives"], json!(["stay: fz-1 has failed"]));

    let explained = proxy.command(&["explain"]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    let address = pair.preferred.database.address();
    for part in [
        &format!("fz-1:database ({address}) was down\n"),
        "L4CON in ",
        "L4OK in ",
        "Not done\n  - stay: fz-1 has failed\n",
    ] {
        assert!(
            explained.contains(part),
            "{part:?} is missing in:\n{explained}"
        );
    }
}

#[test]
fn an_operators_flip_names_the_zone_entered_and_every_zone_refused() {
    let pair = Pair::start();
    let proxy = pair
        .builder(EAGER)
        .zone("fz-3", &[&pair.standby.servers[0]])
        .start();
    proxy.until_all_up();
    let answer = proxy.admin_post("/v1/zones/fz-2/activate", r#"{"hold": false}"#);
    assert_eq!(answer.status, 200);
    let flip = &journal_of(&proxy, "flip", 1)[0];
    let evidence = flip["evidence"].as_array().unwrap();
    let names: Vec<&Value> = evidence
        .iter()
        .map(|component| &component["component"])
        .collect();
    assert_eq!(names, ["fz-2:app-1", "fz-2:app-2", "fz-2:database"]);
    let refused = flip["alternatives"].to_string();
    assert!(
        refused.contains("stay: fz-1") && refused.contains("fz-3"),
        "{refused}"
    );
}

#[test]
fn a_whole_zone_and_every_zone_can_be_supposed() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let plan_of = |body: Value| plan(&proxy, &body);
    let zone = plan_of(json!({"down": ["fz-1"]}));
    assert_eq!(
        zone["down"],
        json!(["fz-1:app-1", "fz-1:app-2", "fz-1:database"])
    );
    assert_eq!(
        (&zone["kind"], &zone["to"]),
        (&json!("flip"), &json!("fz-2"))
    );
    // A component that is named itself is no longer meant by its zone.
    let spared = plan_of(json!({"down": ["fz-2"], "up": ["fz-2:database"]}));
    assert_eq!(spared["down"], json!(["fz-2:app-1", "fz-2:app-2"]));
    assert_eq!(spared["kind"], "stay");
    let events: Vec<&Value> = spared["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["kind"])
        .collect();
    assert!(
        events.contains(&&json!("standby")),
        "nothing is left to fall back on: {spared:#}"
    );
    let all = plan_of(json!({"down": ["fz-1", "fz-2"]}));
    // By the phases of the probes, the first may seem worse off than the second for a moment.
    let afterwards = all["afterwards"].as_str().unwrap();
    assert!(afterwards.starts_with("stay: nowhere to go: "), "{all:#}");
    assert_eq!(active(&proxy), "fz-1");
    assert!(plan_of(json!({}))["kind"] == "stay");
}

#[test]
fn a_rule_that_would_hold_a_flip_back_is_named_and_until_when() {
    let pair = Pair::start();
    let proxy = pair.proxy(&EAGER.replace("min_stay = \"0s\"", "min_stay = \"1h\""));
    let order = |path: &str| {
        let answer = proxy.admin_post(&format!("/v1/zones/{path}"), r#"{"hold": false}"#);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    order("fz-2/activate");
    let held = plan(&proxy, &json!({"down": ["fz-2:app-1"]}));
    assert_eq!(
        (&held["kind"], &held["to"]),
        (&json!("flip"), &json!("fz-1"))
    );
    assert_eq!(held["withheld"]["rule"], "min_stay");
    let wait = held["in_ms"].as_f64().unwrap();
    assert!(
        (3_000_000.0..=3_600_000.0).contains(&wait),
        "an hour after the last one: {wait}"
    );
    // Staying protects nothing where a zone can serve nothing.
    let at_once = plan(&proxy, &json!({"down": ["fz-2:database"]}));
    assert_eq!(at_once["withheld"], Value::Null);
    assert!(at_once["in_ms"].as_f64().unwrap() < 60_000.0);

    order("fz-2/pin");
    let pinned = plan(&proxy, &json!({"down": ["fz-2:database"]}));
    assert_eq!(
        (&pinned["kind"], &pinned["to"]),
        (&json!("withheld"), &json!("fz-1"))
    );
    assert_eq!(pinned["withheld"]["rule"], "pinned");
}

#[test]
fn what_would_come_back_is_planned_too() {
    let mut pair = Pair::start();
    let proxy = pair.proxy(&format!(
        "{EAGER}failback = \"auto\"\nfailback_after = \"2h\"\n"
    ));
    pair.preferred.database.refuse();
    until_active(&proxy, "fz-2");
    let stays = plan(&proxy, &json!({"down": ["fz-1:database"]}));
    assert_eq!(stays["kind"], "stay", "{stays:#}");
    let back = plan(&proxy, &json!({"up": ["fz-1:database"]}));
    assert_eq!(
        (&back["kind"], &back["to"]),
        (&json!("flip"), &json!("fz-1"))
    );
    assert_eq!(back["cause"], "failback");
    let hours = back["in_ms"].as_f64().unwrap() / 3_600_000.0;
    assert!((2.0..2.1).contains(&hours), "{hours}");
    until_verdict(&proxy, "fz-1", "failed");
}

#[test]
fn a_name_that_nothing_has_gets_a_suggestion() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    for (body, status, says) in [
        (
            r#"{"down": ["fz-1:databse"]}"#,
            404,
            "did you mean fz-1:database?",
        ),
        (
            r#"{"down": ["database"]}"#,
            404,
            "did you mean fz-1:database or fz-2:database?",
        ),
        (r#"{"up": ["fz1"]}"#, 404, "did you mean fz-1?"),
        (r#"{"down": ["x"]}"#, 404, "`firedoor status` lists them"),
        (
            r#"{"down": ["fz-1"], "up": ["fz-1"]}"#,
            400,
            "both down and up",
        ),
        (r#"{"down": "fz-1"}"#, 400, "must be a list of strings"),
        (r#"{"dwn": ["fz-1"]}"#, 400, "unknown member"),
        (r#"["fz-1"]"#, 400, "must be a JSON object"),
    ] {
        let answer = proxy.admin_post("/v1/plan", body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(
            answer.field("content-type"),
            Some("application/problem+json")
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{body}: {detail}");
    }
    assert_eq!(proxy.admin_get("/v1/plan").status, 405);

    let said = proxy.command(&["plan", "--down", "fz-1:databse"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(
        String::from_utf8(said.stderr)
            .unwrap()
            .contains("did you mean fz-1:database?")
    );
    assert_eq!(proxy.command(&["plan"]).status.code(), Some(2));
}

#[test]
fn the_command_says_first_whether_it_flips() {
    let pair = Pair::start();
    let proxy = pair.proxy(EAGER);
    let said = proxy.command(&["plan", "--down", "fz-1:app-1", "fz-1:database"]);
    assert_eq!(said.status.code(), Some(0));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.starts_with("If fz-1:app-1, fz-1:database go down:\n  FLIP fz-1 → fz-2 in "),
        "{said}"
    );
    assert!(
        said.ends_with("This was a question: nothing has changed.\n"),
        "{said}"
    );
    let json = proxy.command(&["plan", "--down", "fz-1", "--json"]).stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["to"], "fz-2");
}

#[track_caller]
fn plan(proxy: &Proxy, body: &Value) -> Value {
    let answer: Response = proxy.admin_post("/v1/plan", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn zones(plan: &Value) -> &Vec<Value> {
    plan["zones"].as_array().unwrap()
}
