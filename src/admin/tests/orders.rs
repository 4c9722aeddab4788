//! Orders: under which condition, in which form, and what the journal has of them.

use serde_json::{Value, json};

use super::door::{Answer, Door, get, post};

#[tokio::test]
async fn an_order_that_was_meant_for_another_state_is_refused_and_says_what_has_changed() {
    let door = Door::open(None).await;
    let tag = tag(&door).await;
    // What stays the same stays the same.
    assert_eq!(self::tag(&door).await, tag);
    let unchanged = conditional("GET", "/v1/status", &format!("If-None-Match: W/{tag}"));
    let answer = door.ask(&unchanged).await;
    assert_eq!((answer.status, &*answer.body), (304, ""));
    assert_eq!(answer.header("etag"), Some(&*tag));

    let old = format!("If-Match: {tag}");
    let drain = "/v1/zones/fz-2/backends/app-1/drain";
    assert_eq!(
        door.ask(&conditional("POST", drain, &old)).await.status,
        200
    );
    let activate = conditional("POST", "/v1/zones/fz-2/activate", &old);
    let problem = door.ask(&activate).await;
    assert_ne!(problem.header("etag"), Some(&*tag));
    let problem = problem.is_problem(412);
    let changes = problem["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{problem}");
    assert!(changes[0].as_str().unwrap().contains("operator state"));

    door.order("/v1/zones/fz-2/backends/app-1/ready", "").await;
    door.order("/v1/zones/fz-2/activate", r#"{"hold": false}"#)
        .await;
    let problem = door.ask(&conditional("POST", "/v1/failback", &old)).await;
    let problem = problem.is_problem(412);
    assert_eq!(problem["changes"], json!(["the epoch is 2, not 1"]));
    for (field, status) in [
        (format!("If-Match: {tag}, {}", self::tag(&door).await), 200),
        ("If-Match: *".to_owned(), 200),
        ("If-Match: \"nothing\"".to_owned(), 412),
        ("If-Match: W/".to_owned() + &self::tag(&door).await, 412),
    ] {
        let pin = conditional("POST", "/v1/zones/fz-2/pin", &field);
        assert_eq!(door.ask(&pin).await.status, status, "{field}");
        door.ask(&post("/v1/zones/fz-2/unpin", "")).await;
    }
    let reload = door.ask(&conditional("POST", "/v1/reload", &old)).await;
    reload.is_problem(409);
}

#[tokio::test]
async fn each_order_stands_in_the_journal_with_who_gave_it_and_what_came_of_it() {
    let door = Door::open(Some("s3cret")).await;
    let ask = async |path: &str, fields: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\n{fields}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        door.ask(&request).await.status
    };
    let name = "Firedoor-Operator: J%C3%BCrgen%0A\r\n";
    let body = r#"{"reason": "new disks", "hold": false}"#;
    assert_eq!(ask("/v1/zones/fz-2/activate", name, body).await, 200);
    assert_eq!(ask("/v1/zones/fz-2/activate", "", "").await, 409);
    assert_eq!(
        ask("/v1/zones/fz-2/pin", "", r#"{"raeson": ""}"#).await,
        400
    );
    assert_eq!(ask("/v1/failback", "", "hold=false").await, 400);
    // Whoever hasn't shown the token leaves no trace, and can't fill the journal.
    door.ask(&post("/v1/failback", "")).await.is_problem(401);

    let request = get("/v1/journal").replace("Host:", "Authorization: Bearer s3cret\r\nHost:");
    let journal = door.ask(&request).await.json();
    let entries = journal["entries"].as_array().unwrap();
    let orders: Vec<&Value> = entries.iter().filter(|e| e["kind"] == "order").collect();
    assert_eq!(orders.len(), 4, "{orders:#?}");
    let by = |name: Value| json!({"name": name, "way": "tcp", "from": "127.0.0.0", "token": true});
    assert_eq!(orders[0]["by"], by("Jürgen".into()));
    assert_eq!(orders[0]["order"], "activate fz-2 at once");
    assert_eq!(orders[0]["reason"], "new disks");
    assert_eq!(orders[0]["result"], "done");
    assert_eq!(
        orders[0]["message"],
        "Jürgen (from 127.0.0.0, with the token) ordered: activate fz-2 at once: new disks"
    );
    let flip = entries.iter().find(|e| e["kind"] == "flip").unwrap();
    assert_eq!(
        flip["number"].as_u64(),
        orders[0]["number"].as_u64().map(|number| number + 1),
        "the order stands before what came of it"
    );
    assert_eq!(orders[1]["by"], by(Value::Null));
    assert_eq!(orders[1]["result"], "refused");
    let refusal = orders[1]["refusal"].as_str().unwrap();
    assert!(refusal.contains("active already"), "{refusal}");
    assert_eq!(orders[2]["order"], "POST /v1/zones/fz-2/pin");
    assert!(orders[2]["refusal"].as_str().unwrap().contains("raeson"));
    assert!(orders[3]["refusal"].as_str().unwrap().contains("JSON"));
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_it_is_said_to_be() {
    let door = Door::open(None).await;
    for kind in [
        "",
        "Content-Type: application/json\r\n",
        // What curl and others say by themselves.
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: \r\n",
    ] {
        let ask = async |path: &str, body: &str| {
            let request = post(path, body);
            door.ask(&request.replacen("Host:", &format!("{kind}Host:"), 1))
                .await
        };
        let pin = "/v1/zones/fz-1/pin";
        for body in ["", "{}", r#"{"reason": "x"}"#] {
            assert_eq!(ask(pin, body).await.status, 200, "{kind}{body}");
        }
        let down = r#"{"down": ["fz-1:database"]}"#;
        assert_eq!(ask("/v1/plan", down).await.status, 200, "{kind}");
        for (path, member) in [(pin, "reason"), ("/v1/plan", "down")] {
            for body in ["reason=x", "[]", "7"] {
                let problem = ask(path, body).await.is_problem(400);
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains("JSON object"), "{detail}");
                assert!(detail.contains(&format!("\"{member}\"")), "{detail}");
            }
        }
    }
}

async fn tag(door: &Door) -> String {
    let status: Answer = door.ask(&get("/v1/status")).await;
    status.header("etag").unwrap().to_owned()
}

fn conditional(method: &str, path: &str, field: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{field}\r\n\r\n")
}
