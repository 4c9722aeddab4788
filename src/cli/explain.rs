//! `firedoor explain`: why the active zone is active.

use std::process::ExitCode;

use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::status::{age, clock, outcome, text, texts};
use super::terminal::{Paint, Tone, plain, print};

/// Outcomes shown of one component: enough to see the turn.
const SHOWN: usize = 5;

/// Prints the last flip with all that led to it, and what the decision would be now.
pub(super) async fn run(client: Client) -> Result<ExitCode, Failure> {
    let status = client.get("/v1/status", &[]).await?.body;
    let flips = client.get("/v1/journal?kind=flip&limit=1", &[]).await?.body;
    let flip = &flips["entries"][0];
    if client.json {
        let explanation = serde_json::json!({
            "active_zone": status["active_zone"],
            "active_since": status["active_since"],
            "active_because": status["active_because"],
            "epoch": status["epoch"],
            "decision": status["decision"],
            "pinned": status["pinned"],
            "last_flip": flip,
            "zones": status["zones"],
        });
        return print(&format!("{explanation:#}\n"));
    }
    print(&render(&status, flip, Paint::for_stdout()))
}

fn render(status: &Value, flip: &Value, paint: Paint) -> String {
    let title = |text: &str| paint.tone(Tone::Strong, text).to_string();
    let mut out = format!(
        "{} is active since {} ({}), epoch {}.\n\n{}\n",
        paint.tone(Tone::Strong, &text(&status["active_zone"])),
        clock(&status["active_since"]),
        age(&status["active_since"], &status["at"]),
        status["epoch"],
        title("Why"),
    );
    // A flip of another epoch isn't the one that made this zone active: the journal may have been moved away.
    if flip["epoch"] == status["epoch"] && flip["to"] == status["active_zone"] {
        explain_flip(&mut out, flip, paint);
    } else {
        out.push_str(&format!("  {}\n", text(&status["active_because"])));
    }
    out.push_str(&format!("\n{}\n", title("Now")));
    out.push_str(&format!("  {}\n", text(&status["decision"])));
    if let Some(zone) = status["pinned"].as_str() {
        out.push_str(&format!("  pinned to {} by an operator\n", plain(zone)));
    }
    for zone in status["zones"].as_array().into_iter().flatten() {
        explain_zone(&mut out, zone, status, paint);
    }
    out
}

fn explain_flip(out: &mut String, flip: &Value, paint: Paint) {
    out.push_str(&format!(
        "  {} from {} to {} at {}{}\n  rule: {}\n",
        match flip["cause"].as_str() {
            Some("operator") => "flip by an operator".to_owned(),
            Some("reload") => "flip by a new configuration".to_owned(),
            _ => text(&flip["cause"]),
        },
        text(&flip["from"]),
        text(&flip["to"]),
        clock(&flip["at"]),
        if flip["degraded"] == true {
            ", degraded: that zone can serve only a part"
        } else {
            ""
        },
        text(&flip["rule"]),
    ));
    match flip["detected_in_ms"].as_f64() {
        Some(ms) if ms > 0.0 => out.push_str(&format!(
            "  certain {ms:.0} ms after the first contrary outcome\n"
        )),
        _ => {}
    }
    let rule = text(&flip["rule"]);
    for (name, list, evidence) in [
        ("Evidence", &flip["reasons"], &flip["evidence"]),
        ("Too small", &flip["shedding"], &Value::Null),
        ("Not done", &flip["alternatives"], &Value::Null),
    ] {
        // An operator's wish is both the rule and the reason; once is enough.
        let lines: Vec<String> = texts(list).filter(|line| *line != rule).collect();
        if !lines.is_empty() {
            out.push_str(&format!("\n{}\n", paint.tone(Tone::Strong, name)));
            for line in lines {
                out.push_str(&format!("  - {line}\n"));
            }
            for component in evidence.as_array().into_iter().flatten() {
                explain_component(out, component, paint);
            }
        }
    }
}

/// What was known of one component when the flip was decided: its last outcomes, oldest first.
fn explain_component(out: &mut String, component: &Value, paint: Paint) {
    let word = match component["operator"].as_str() {
        Some("ready") | None if component["gray"] == true => "gray".to_owned(),
        Some("ready") | None => text(&component["status"]),
        Some(state) => plain(state),
    };
    out.push_str(&format!(
        "  {} ({}) was {}\n",
        text(&component["component"]),
        text(&component["address"]),
        paint.tone(Tone::of(&word), &word),
    ));
    if component["hastened_by"].is_string() {
        let sign = text(&component["hastened_by"]);
        out.push_str(&format!("    a live request had noticed first: {sign}\n"));
    }
    let outcomes = component["outcomes"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for known in &outcomes[outcomes.len().saturating_sub(SHOWN)..] {
        out.push_str(&format!(
            "    {}  {}\n",
            paint.tone(Tone::Faint, &clock(&known["time"])),
            outcome(known)
        ));
    }
}

/// The zone's verdict; of its components only those that aren't as they should be and that no reason has named.
fn explain_zone(out: &mut String, zone: &Value, status: &Value, paint: Paint) {
    let verdict = text(&zone["verdict"]);
    out.push_str(&format!(
        "  {} is {} for {}\n",
        text(&zone["name"]),
        paint.tone(Tone::of(&verdict), &verdict),
        age(&zone["since"], &status["at"]),
    ));
    for reason in texts(&zone["reasons"]) {
        out.push_str(&format!("    - {reason}\n"));
    }
    for component in zone["components"].as_array().into_iter().flatten() {
        let well = component["status"] == "up"
            && component["operator"] == "ready"
            && component["gray"] == false;
        // The reasons of a failed zone have told these already.
        let told = zone["verdict"] == "failed"
            && component["status"] == "down"
            && component["operator"] == "ready"
            && component["required"] != false;
        if well || told {
            continue;
        }
        let word = text(&component["status"]);
        out.push_str(&format!(
            "    {}:{} is {} for {}, {}: {}\n",
            text(&zone["name"]),
            text(&component["name"]),
            paint.tone(Tone::of(&word), &word),
            age(&component["since"], &status["at"]),
            match component["operator"].as_str() {
                Some("ready") | None if component["gray"] == true =>
                    "passes its checks but fails live requests".to_owned(),
                Some("ready") | None => "taking part".to_owned(),
                Some(_) => format!("in {} by an operator", text(&component["operator"])),
            },
            outcome(&component["last"]),
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(epoch: u64) -> Value {
        json!({
            "at": "2025-03-01T12:00:00.000Z", "active_zone": "fz-2", "epoch": epoch,
            "active_since": "2025-03-01T11:59:00.000Z", "active_because": "remembered from before the restart",
            "decision": "stay: fz-2 is serving", "pinned": null,
            "zones": [
                {"name": "fz-1", "verdict": "failed", "since": "2025-03-01T11:59:00.000Z",
                 "reasons": ["fz-1:postgres is down"], "components": [
                    {"name": "postgres", "required": true, "status": "down", "operator": "ready", "gray": false,
                     "since": "2025-03-01T11:59:00.000Z",
                     "last": {"code": "L4CON", "ms": 0.1, "detail": "connection refused"}},
                    {"name": "cache", "required": false, "status": "down", "operator": "ready", "gray": false,
                     "since": "2025-03-01T11:59:00.000Z",
                     "last": {"code": "L4CON", "ms": 0.1, "detail": "connection refused"}}]},
                {"name": "fz-2", "verdict": "serving", "since": "2025-03-01T11:00:00.000Z",
                 "reasons": [], "components": [
                    {"name": "app-1", "status": "up", "operator": "ready", "gray": false,
                     "since": "2025-03-01T11:00:00.000Z", "last": null}]},
            ],
        })
    }

    fn flip() -> Value {
        json!({
            "number": 7, "kind": "flip", "epoch": 3, "at": "2025-03-01T11:59:00Z", "from": "fz-1", "to": "fz-2",
            "cause": "failover", "rule": "the active zone failed and fz-2 is serving",
            "reasons": ["fz-1:postgres is down: L4CON in 0 ms (connection refused), 2 in a row"],
            "evidence": [
                {"component": "fz-1:postgres", "address": "10.0.0.1:5432", "status": "down", "operator": "ready",
                 "gray": false, "hastened_by": "connection broke off", "outcomes": [
                    {"time": "2025-03-01T11:58:59Z", "code": "L4CON", "ms": 0.1, "detail": "connection refused"}]}],
            "alternatives": ["stay in fz-1: it has failed"], "degraded": false, "detected_in_ms": 1050.2,
        })
    }

    #[test]
    fn a_flip_is_explained_by_rule_evidence_and_alternatives() {
        let said = render(&status(3), &flip(), Paint::none());
        for part in [
            "fz-2 is active since ",
            "  failover from fz-1 to fz-2 at ",
            "  rule: the active zone failed and fz-2 is serving\n",
            "  certain 1050 ms after the first contrary outcome\n",
            "Evidence\n  - fz-1:postgres is down: L4CON",
            "  fz-1:postgres (10.0.0.1:5432) was down\n    a live request had noticed first: connection broke off\n    2025-03-0",
            "  L4CON in 0.1 ms (connection refused)\n\nNot done\n  - stay in fz-1",
            "Now\n  stay: fz-2 is serving\n  fz-1 is failed for 1 min 0 s\n    - fz-1:postgres is down\n",
            "    fz-1:cache is down for 1 min 0 s, taking part: L4CON in 0.1 ms (connection refused)\n",
        ] {
            assert!(said.contains(part), "{part:?} is missing in:\n{said}");
        }
        assert_eq!(said.matches("fz-1:postgres is down").count(), 2, "{said}");
        assert!(
            !said.contains("app-1"),
            "what is well needs no words:\n{said}"
        );
    }

    #[test]
    fn a_flip_of_another_epoch_is_not_taken_for_the_reason() {
        let said = render(&status(4), &flip(), Paint::none());
        assert!(
            said.contains("Why\n  remembered from before the restart\n"),
            "{said}"
        );
        assert!(!said.contains("failover"), "{said}");
    }
}
