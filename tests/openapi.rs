//! The admin API is what its OpenAPI document says: schemathesis asks the real binary what the document allows and what it
//! doesn't, gives it orders, and compares each answer; and what real answers hold is in the document.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use support::pair::{EAGER, Pair};
use support::wait::{PATIENCE, eventually};
use support::{Proxy, RawClient, Response, port};

const TOKEN: &str = "s3cret";

#[test]
fn every_answer_is_one_that_the_document_has_whatever_is_asked() {
    let pair = Pair::start();
    let house = House::open(&pair);
    let said = schemathesis(
        house.proxy.admin,
        &[
            "--exclude-path-regex",
            "^/v1/(events|demo)",
            "--max-examples",
            "8",
        ],
    );
    println!("{said}");
    let tested = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Tested: "));
    assert!(tested.is_some_and(|count| count.parse::<u32>().unwrap() >= 20));
    // It has given orders, not only been refused.
    let journal = house.get("/v1/journal?limit=1000").json();
    let entries = journal["entries"].as_array().unwrap();
    let orders = |result: &str| {
        let orders = entries.iter().filter(|entry| entry["kind"] == "order");
        orders.filter(|order| order["result"] == result).count()
    };
    assert!(orders("done") > 10 && orders("refused") > 10, "{journal:#}");
    assert!(entries.iter().any(|entry| entry["kind"] == "flip"));
}

#[test]
fn a_demo_is_broken_and_healed_as_the_document_says() {
    let directory = tempfile::tempdir().unwrap();
    let [proxy, admin, control] = [port::free(), port::free(), port::free()];
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_firedoor"))
        .args(["demo", "--bind", &proxy.to_string()])
        .args(["--admin", &admin.to_string()])
        .args(["--control", &control.to_string()])
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    eventually(PATIENCE, "the demo answers", || {
        RawClient::try_connect(admin).is_ok()
    });
    // Nothing there needs a token.
    let said = std::panic::catch_unwind(|| {
        schemathesis(
            admin,
            &[
                "--include-path-regex",
                "^/v1/demo",
                "--max-examples",
                "10",
                "--exclude-checks",
                "ignored_auth,missing_required_header",
            ],
        )
    });
    child.kill().unwrap();
    child.wait().unwrap();
    println!("{}", said.unwrap());
}

#[test]
fn what_real_answers_hold_is_in_the_document() {
    let mut pair = Pair::start();
    let house = House::open(&pair);
    let document = house.get("/v1/openapi.json").json();
    for (path, body) in [
        (
            "/v1/zones/fz-2/activate",
            r#"{"reason": "a test", "hold": true}"#,
        ),
        ("/v1/zones/fz-2/pin", ""),
        ("/v1/zones/fz-1/pin", ""),
        ("/v1/zones/fz-2/unpin", ""),
        ("/v1/zones/fz-1/backends/app-1/drain", ""),
        ("/v1/zones/fz-1/backends/app-1/ready", ""),
        ("/v1/drill", r#"{"zone": "fz-2", "for": "1m"}"#),
        ("/v1/drill/abort", ""),
        ("/v1/reload", ""),
    ] {
        house.post(path, body);
    }
    pair.standby.database.stop_listening();
    eventually(PATIENCE, "a failure is in the journal", || {
        let journal = house.get("/v1/journal?kind=transition&limit=1000").json();
        journal.to_string().contains("\"down\"")
    });
    let plan = house.post("/v1/plan", r#"{"down": ["fz-1:app-1"]}"#);
    let answers = [
        ("get", "/health", house.get("/health")),
        ("get", "/v1/status", house.get("/v1/status")),
        ("get", "/v1/journal", house.get("/v1/journal?limit=1000")),
        ("get", "/v1/traffic", house.get("/v1/traffic")),
        ("post", "/v1/plan", plan),
    ];
    for (method, path, answer) in answers {
        let content = &document["paths"][path][method]["responses"]["200"]["content"];
        let kind = answer.field("content-type").unwrap().to_owned();
        let schema = &content[kind.split(';').next().unwrap()]["schema"];
        assert!(schema.is_object(), "{path}: {kind} isn't in the document");
        let mut unknown = BTreeSet::new();
        compare(&document, schema, &answer.json(), path, &mut unknown);
        assert!(unknown.is_empty(), "not in the document: {unknown:#?}");
    }
}

/// Collects the members of `value` that `schema` doesn't name.
fn compare(
    document: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
    unknown: &mut BTreeSet<String>,
) {
    let mut schemas = Vec::new();
    spread(document, schema, &mut schemas);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}/{name}");
                let named = schemas.iter().filter_map(|s| {
                    s["properties"]
                        .get(name)
                        .or(s.get("additionalProperties"))
                        .filter(|s| s.is_object())
                });
                let named: Vec<&Value> = named.collect();
                if named.is_empty() {
                    unknown.insert(place);
                    continue;
                }
                let all = serde_json::json!({ "anyOf": named });
                compare(document, &all, member, &place, unknown);
            }
        }
        Value::Array(items) => {
            let all: Vec<&Value> = schemas.iter().filter_map(|s| s.get("items")).collect();
            assert!(
                !all.is_empty() || items.is_empty(),
                "{place}: no items in the document"
            );
            let all = serde_json::json!({ "anyOf": all });
            for item in items {
                compare(document, &all, item, place, unknown);
            }
        }
        _ => {}
    }
}

/// A schema with all that it refers to and is made of.
fn spread(document: &Value, schema: &Value, into: &mut Vec<Value>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        spread(
            document,
            target.expect("a reference that leads somewhere"),
            into,
        );
        return;
    }
    for list in ["anyOf", "allOf", "oneOf"] {
        for part in schema[list].as_array().into_iter().flatten() {
            spread(document, part, into);
        }
    }
    into.push(schema.clone());
}

/// A firedoor that wants a token.
struct House {
    proxy: Proxy,
    _token: tempfile::NamedTempFile,
}

impl House {
    fn open(pair: &Pair) -> Self {
        let mut token = tempfile::NamedTempFile::new().unwrap();
        token.write_all(TOKEN.as_bytes()).unwrap();
        let line = format!("token_file = \"{}\"", token.path().display());
        let proxy = pair.builder(EAGER).admin(&line).start();
        let house = Self {
            proxy,
            _token: token,
        };
        eventually(PATIENCE, "both zones serve", || {
            let status = house.get("/v1/status").json();
            let mut zones = status["zones"].as_array().unwrap().iter();
            zones.all(|zone| zone["verdict"] == "serving")
        });
        house
    }

    #[track_caller]
    fn get(&self, path: &str) -> Response {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    /// An order that may be refused.
    fn post(&self, path: &str, body: &str) -> Response {
        self.ask("POST", path, body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        let (admin, length) = (self.proxy.admin, body.len());
        RawClient::connect(admin).exchange(format!(
            "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}

/// Runs it with all of its checks; what it says. Panics with that when it finds anything.
#[track_caller]
fn schemathesis(admin: SocketAddr, arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/venv/bin/schemathesis");
    assert!(
        program.exists(),
        "{} is missing: run `tests/run needs`",
        program.display()
    );
    let directory = tempfile::tempdir().unwrap();
    let seed = fastrand::u32(..).to_string();
    let output = Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/openapi/schemathesis.toml"))
        .args(["run", &format!("http://{admin}/v1/openapi.json")])
        .args(["--header", &format!("Authorization:Bearer {TOKEN}")])
        .args([
            "--checks",
            "all",
            "--continue-on-failure",
            "--no-color",
            "--no-shrink",
        ])
        .args(["--generation-database", "none", "--seed", &seed])
        .args(["--request-timeout", "60"])
        .args(arguments)
        .current_dir(directory.path())
        .env("FIREDOOR_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}\n{said}\n{complaint}");
    said
}
