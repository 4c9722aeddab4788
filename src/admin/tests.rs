//! Raw requests over real sockets against a real monitor, whose components are listeners of the test.

mod door;
mod orders;
mod socket;
mod strangers;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::serve::{ReloadError, Reloaded};
use crate::shutdown::Phase;
use door::{Door, get, post};

#[tokio::test]
async fn health_passes_while_a_standby_is_ready() {
    let door = Door::open(None).await;
    let answer = door.ask(&get("/health")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/health+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["status"], "pass");
    assert_eq!(body["active_zone"], "fz-1");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert!(body["epoch"].is_u64() && body["generation"].is_u64());
    let check = &body["checks"]["fz-1:database"][0];
    assert_eq!(check["status"], "pass");
    assert_eq!(check["observedUnit"], "ms");
    assert!(check["observedValue"].is_f64() && check["time"].is_string());
    assert!(
        check["output"].as_str().unwrap().starts_with("L4OK"),
        "{check}"
    );
}

#[tokio::test]
async fn health_warns_without_a_standby_and_fails_when_nothing_can_serve() {
    let mut door = Door::open(None).await;
    door.break_component("fz-2:database");
    let body = door
        .until("/health", |answer| answer.json()["status"] == "warn")
        .await
        .json();
    assert_eq!(body["checks"]["fz-2:database"][0]["status"], "fail");
    let output = body["output"].as_str().unwrap();
    assert!(output.contains("no standby is ready"), "{output}");
    assert!(output.contains("fz-2: database is down"), "{output}");

    door.break_component("fz-1:database");
    let answer = door.until("/health", |answer| answer.status == 503).await;
    assert_eq!(answer.json()["status"], "fail");
    let text = "GET /health HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n";
    let answer = door.ask(text).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (503, Some("text/plain; charset=utf-8"))
    );
    assert!(answer.body.starts_with("fail\n"), "{}", answer.body);
}

#[tokio::test]
async fn health_warns_while_the_preferred_zone_is_not_active() {
    let mut door = Door::open(None).await;
    door.break_component("fz-1:database");
    let body = door
        .until("/health", |answer| answer.json()["active_zone"] == "fz-2")
        .await
        .json();
    assert_eq!(body["status"], "warn");
    assert_eq!(body["epoch"], 2);
    let notes = body["notes"].to_string();
    assert!(notes.contains("fz-2 is active instead of fz-1"), "{notes}");
}

#[tokio::test]
async fn a_head_request_gets_the_head_only() {
    let door = Door::open(None).await;
    for path in ["/health", "/livez", "/v1/status"] {
        let answer = door
            .ask(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{path}");
        assert_ne!(answer.header("content-length"), Some("0"), "{path}");
    }
}

#[tokio::test]
async fn readyz_follows_the_phases_and_livez_does_not() {
    let door = Door::open(None).await;
    for (phase, status, line) in [
        (Phase::Starting, 503, "[-]listeners failed"),
        (Phase::Ready, 200, "[+]listeners ok"),
        (Phase::Draining, 503, "[-]not-draining failed"),
    ] {
        door.readiness.enter(phase);
        assert_eq!(door.ask(&get("/readyz")).await.status, status);
        let verbose = door.ask(&get("/readyz?verbose")).await;
        assert_eq!(verbose.status, status);
        assert!(verbose.body.contains(line), "{}", verbose.body);
        assert_eq!(door.ask(&get("/livez")).await.status, 200);
    }
}

#[tokio::test]
async fn status_tells_zones_components_and_pools_in_config_order() {
    let door = Door::open(None).await;
    // What is journaled is told a moment after the status has it.
    let told = |answer: &door::Answer| {
        let database = &answer.json()["zones"][0]["components"][1];
        database["transitions"].as_array().unwrap().len() == 1
    };
    let status = door.until("/v1/status", told).await.json();
    assert_eq!(status["active_zone"], "fz-1");
    assert_eq!(status["config_generation"], 1);
    assert_eq!(status["flips_left"], 12);
    assert_eq!(status["holds"], 0);
    assert_eq!(status["admission"], "open");
    let zones = status["zones"].as_array().unwrap();
    assert_eq!(
        (&zones[0]["name"], &zones[1]["name"]),
        (&json!("fz-1"), &json!("fz-2"))
    );
    assert_eq!(
        (&zones[0]["active"], &zones[1]["active"]),
        (&json!(true), &json!(false))
    );
    let components = zones[0]["components"].as_array().unwrap();
    assert_eq!(components[0]["name"], "app-1");
    assert_eq!(components[0]["kind"], "backend");
    assert_eq!(components[0]["pool"], "default");
    assert_eq!(components[0]["in_flight"], 0);
    assert_eq!(components[1]["kind"], "dependency");
    assert_eq!(components[1]["required"], true);
    assert_eq!(components[1]["last"]["code"], "L4OK");
    let turns = components[1]["transitions"].as_array().unwrap();
    assert_eq!(
        (&turns[0]["from"], &turns[0]["to"]),
        (&json!("unknown"), &json!("up"))
    );
    assert!(turns[0]["because"].as_str().unwrap().starts_with("L4OK"));
    assert!(turns[0]["number"].is_u64());
    let at = turns[0]["at"].as_str().unwrap();
    assert_eq!(
        (at.len(), at),
        (24, components[1]["since"].as_str().unwrap())
    );
    let configuration = &status["configuration"];
    assert_eq!(configuration["path"], "firedoor.toml");
    assert!(configuration["loaded_at"].is_string() && configuration["last_reload"].is_null());
    let pool = &status["pools"][0];
    assert_eq!(pool["min_healthy"], "100%");
    assert_eq!(
        pool["zones"][1],
        json!({"name": "fz-2", "up": 1, "total": 1, "in_flight": 0})
    );
}

#[tokio::test]
async fn the_journal_is_paged_by_number_and_filtered_by_kind() {
    let door = Door::open(None).await;
    door.order("/v1/zones/fz-2/activate", r#"{"hold": false}"#)
        .await;
    door.order("/v1/failback", r#"{"hold": false}"#).await;
    let all = door.ask(&get("/v1/journal")).await.json();
    let entries = all["entries"].as_array().unwrap();
    assert!(entries.len() > 3, "{all}");
    assert_eq!(all["last"], entries.last().unwrap()["number"]);

    let newest = door.ask(&get("/v1/journal?limit=1")).await.json();
    assert_eq!(newest["entries"][0], *entries.last().unwrap());

    let first = entries[0]["number"].as_u64().unwrap();
    let page = door
        .ask(&get(&format!("/v1/journal?after={first}&limit=1")))
        .await
        .json();
    assert_eq!(page["entries"], json!([entries[1]]));
    assert_eq!(page["last"], entries[1]["number"]);

    let flips = door.ask(&get("/v1/journal?kind=flip")).await.json();
    let epochs: Vec<_> = flips["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flip| flip["epoch"].clone())
        .collect();
    assert_eq!(epochs, [2, 3]);
    let past_the_end = format!("/v1/journal?after={}", all["last"]);
    assert_eq!(
        door.ask(&get(&past_the_end)).await.json(),
        json!({"entries": [], "last": all["last"]})
    );
    assert_eq!(door.ask(&get("/v1/journal?after=x")).await.status, 400);
}

#[tokio::test]
async fn an_operator_moves_the_traffic_and_the_answer_comes_after_the_commit() {
    let door = Door::open(None).await;
    let done = door
        .order("/v1/zones/fz-2/activate", r#"{"reason": "new disks"}"#)
        .await;
    assert_eq!(
        (&done["epoch"], &done["active_zone"]),
        (&json!(2), &json!("fz-2"))
    );
    let status = door.ask(&get("/v1/status")).await.json();
    assert_eq!(status["active_zone"], "fz-2");
    let flip = door.ask(&get("/v1/journal?kind=flip")).await.json()["entries"][0].clone();
    assert_eq!(flip["cause"], "operator");
    assert!(flip.to_string().contains("new disks"), "{flip}");

    let again = door.ask(&post("/v1/zones/fz-2/activate", "")).await;
    again.is_problem(409);
    let unknown = door.ask(&post("/v1/zones/fz-9/activate", "")).await;
    assert!(
        unknown.is_problem(404)["detail"]
            .as_str()
            .unwrap()
            .contains("fz-9")
    );

    door.order("/v1/zones/fz-2/pin", "").await;
    let status = door.ask(&get("/v1/status")).await.json();
    assert_eq!(status["pinned"], "fz-2");
    door.ask(&post("/v1/zones/fz-1/unpin", ""))
        .await
        .is_problem(409);
    door.order("/v1/zones/fz-2/unpin", "").await;
    let done = door.order("/v1/failback", "").await;
    assert_eq!(done["active_zone"], "fz-1");
}

#[tokio::test]
async fn an_operator_takes_any_component_out_and_puts_it_back() {
    let door = Door::open(None).await;
    for (path, index, state) in [
        ("/v1/zones/fz-1/backends/app-1/drain", 0, "drain"),
        (
            "/v1/zones/fz-1/backends/database/maintenance",
            1,
            "maintenance",
        ),
        ("/v1/zones/fz-1/backends/app-1/ready", 0, "ready"),
    ] {
        door.order(path, "").await;
        let status = door.ask(&get("/v1/status")).await.json();
        assert_eq!(status["zones"][0]["components"][index]["operator"], state);
    }
    let unknown = door
        .ask(&post("/v1/zones/fz-1/backends/app-9/drain", ""))
        .await;
    unknown.is_problem(404);
}

#[tokio::test]
async fn a_reload_answers_with_its_generation_or_with_every_problem() {
    let door = Door::open(None).await;
    door.reloads_answer(Ok(Reloaded {
        generation: 2,
        changes: vec!["added fz-1:app-2".into()],
    }));
    let answer = door.ask(&post("/v1/reload", "")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"generation": 2, "changes": ["added fz-1:app-2"]})
    );

    let text = "[server]\nworkerz = 1\ndrain_timeout = 7\n";
    let invalid = door::parse(text).unwrap_err();
    assert!(invalid.problems.len() > 1);
    door.reloads_answer(Err(ReloadError::Invalid(Box::new(invalid.clone()))));
    let problem = door.ask(&post("/v1/reload", "{}")).await.is_problem(422);
    let problems = problem["problems"].as_array().unwrap();
    assert_eq!(problems.len(), invalid.problems.len());
    let misspelt = problems.iter().find(|problem| problem["line"] == 2);
    assert!(
        misspelt.is_some_and(|problem| problem["hint"].is_string()),
        "{problem}"
    );

    let status = door.ask(&get("/v1/status")).await.json();
    let last = &status["configuration"]["last_reload"];
    assert_eq!(last["successful"], false);
    assert_eq!(last["problems"], problem["problems"]);

    door.reloads_answer(Err(ReloadError::NoFile));
    door.ask(&post("/v1/reload", "")).await.is_problem(409);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let door = Door::open(None).await;
    let answer = door.ask(&get("/v1/failback")).await;
    answer.is_problem(405);
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = door.ask(&post("/health", "")).await;
    answer.is_problem(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    assert_eq!(
        door.ask(&get("/v1/status")).await.json()["epoch"],
        1,
        "a GET changes nothing"
    );
    door.ask(&get("/v1/nothing")).await.is_problem(404);
    let index = door.ask(&get("/")).await;
    assert!(index.body.contains("/v1/status"), "{}", index.body);
}

#[tokio::test]
async fn a_body_must_be_a_small_json_object_with_known_members() {
    let door = Door::open(None).await;
    for body in [
        "{",
        "[]",
        "7",
        r#"{"reason": 7}"#,
        r#"{"hold": "no"}"#,
        r#"{"hodl": true}"#,
    ] {
        let answer = door.ask(&post("/v1/zones/fz-2/activate", body)).await;
        answer.is_problem(400);
    }
    let large = format!(r#"{{"reason": "{}"}}"#, "x".repeat(64 * 1024));
    door.ask(&post("/v1/zones/fz-2/activate", &large))
        .await
        .is_problem(413);
    assert_eq!(
        door.ask(&get("/health")).await.json()["active_zone"],
        "fz-1"
    );
}

#[tokio::test]
async fn silent_connections_past_the_bound_give_way_to_whoever_asks() {
    let door = Door::open(None).await;
    let mut asking = tokio::net::TcpStream::connect(door.address).await.unwrap();
    let half = "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{";
    asking.write_all(half.as_bytes()).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..seats::ROOM + 20 {
        silent.push(tokio::net::TcpStream::connect(door.address).await.unwrap());
    }
    let begun = std::time::Instant::now();
    assert_eq!(door.ask(&get("/health")).await.status, 200);
    assert!(
        begun.elapsed() < HEADER_TIMEOUT,
        "only the others' own timeout made room"
    );
    // Whoever was in the middle of a request has kept its seat.
    let mut answer = [0; 12];
    asking.write_all(b"}").await.unwrap();
    asking.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 409", "nothing to reload, but an answer");
    drop(silent);
}
