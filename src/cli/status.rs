//! `firedoor status`: everything at a glance.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::table::Table;
use super::terminal::{Paint, Tone, plain, print};

/// Prints `/v1/status`.
pub(super) async fn run(client: Client) -> Result<ExitCode, Failure> {
    let status = client.get("/v1/status", &[]).await?.body;
    if client.json {
        return print(&format!("{status:#}\n"));
    }
    print(&render(&status, Paint::for_stdout()))
}

fn render(status: &Value, paint: Paint) -> String {
    let now = &status["at"];
    let grade = text(&status["status"]);
    let mut out = format!(
        "{}  {} is active for {}, epoch {}\n",
        paint.tone(Tone::of(&grade), &grade),
        paint.tone(Tone::Strong, &text(&status["active_zone"])),
        age(&status["active_since"], now),
        status["epoch"],
    );
    for note in texts(&status["notes"]) {
        out.push_str(&format!("      {note}\n"));
    }
    for order in status["acme"].as_array().into_iter().flatten() {
        if let Some(error) = order["error"]["text"].as_str() {
            out.push_str(&format!(
                "      certificate for {}: {} (next order at {})\n",
                text(&order["name"]),
                plain(error),
                clock(&order["next_order"]),
            ));
        }
    }
    let mut field = |name: &str, value: String| {
        let name = paint.tone(Tone::Faint, &format!("{name:<14}")).to_string();
        out.push_str(&format!("{name}{value}\n"));
    };
    field("decision", text(&status["decision"]));
    if let Some(zone) = status["pinned"].as_str() {
        field("pinned", plain(zone));
    }
    if let Some(zone) = status["flip_pending"].as_str() {
        field("flip pending", format!("to {}", plain(zone)));
    }
    if let Some(zone) = status["drill"]["zone"].as_str() {
        let until = clock(&status["drill"]["until"]);
        field("drill", format!("returns to {} at {until}", plain(zone)));
    }
    field(
        "flips left",
        format!("{} within the hour", status["flips_left"]),
    );
    field("held", format!("{} requests", status["holds"]));
    field(
        "configuration",
        format!(
            "{} (snapshot {})",
            status["config_generation"], status["generation"]
        ),
    );
    field(
        "firedoor",
        format!(
            "{}, {}, up for {}",
            text(&status["version"]),
            text(&status["phase"]),
            duration(status["uptime_seconds"].as_i64().unwrap_or(0)),
        ),
    );
    out.push('\n');
    out.push_str(&zones(status, paint).render(paint));
    out
}

fn zones(status: &Value, paint: Paint) -> Table {
    let now = &status["at"];
    let mut table = Table::default();
    for zone in status["zones"].as_array().into_iter().flatten() {
        let verdict = text(&zone["verdict"]);
        table.text(format!(
            "{} {}  {} for {}",
            if zone["active"] == true { "●" } else { "○" },
            paint.tone(Tone::Strong, &text(&zone["name"])),
            paint.tone(Tone::of(&verdict), &verdict),
            age(&zone["since"], now),
        ));
        for reason in texts(&zone["reasons"]) {
            table.text(format!("    {reason}"));
        }
        for component in zone["components"].as_array().into_iter().flatten() {
            component_row(&mut table, component, now);
        }
    }
    table
}

fn component_row(table: &mut Table, component: &Value, now: &Value) {
    let kind = match component["kind"].as_str() {
        Some("backend") => format!("backend of {}", text(&component["pool"])),
        _ if component["required"] == true => "required".to_owned(),
        _ => "optional".to_owned(),
    };
    // What an operator said outranks what the probes say: it is why nobody should worry.
    let word = match component["operator"].as_str() {
        Some("ready") | None if component["gray"] == true => "gray".to_owned(),
        Some("ready") | None => text(&component["status"]),
        Some(state) => plain(state),
    };
    let load = match component["in_flight"].as_u64() {
        Some(in_flight) => format!("{in_flight} in flight"),
        None => String::new(),
    };
    table.row([
        (Tone::Plain, component["name"].as_str().unwrap_or("?")),
        (Tone::Plain, &kind),
        (Tone::Plain, component["address"].as_str().unwrap_or("")),
        (Tone::of(&word), &word),
        (Tone::Plain, &age(&component["since"], now)),
        (Tone::Plain, &load),
        (Tone::Faint, &outcome(&component["last"])),
    ]);
}

/// `L7STS/500 in 3.1 ms (HTTP 500, expected 200-399)`
pub(super) fn outcome(outcome: &Value) -> String {
    let Some(code) = outcome["code"].as_str() else {
        return "not probed yet".to_owned();
    };
    let mut said = plain(code);
    if let Some(status) = outcome["status"].as_u64() {
        said.push_str(&format!("/{status}"));
    }
    if let Some(ms) = outcome["ms"].as_f64() {
        said.push_str(&format!(" in {ms:.1} ms"));
    }
    match outcome["detail"].as_str() {
        None | Some("") => {}
        Some(detail) => said.push_str(&format!(" ({})", plain(detail))),
    }
    said
}

/// A string of the answer, safe to print.
pub(super) fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or("?"))
}

/// A list of strings of the answer, safe to print.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().map(text)
}

/// The clock time here of one of the answer's times.
pub(super) fn clock(value: &Value) -> String {
    match value.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(at)) => at
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S%.3f")
            .to_string(),
        _ => text(value),
    }
}

/// How long before `now` something was, both of the same answer: the clock here may differ.
pub(super) fn age(since: &Value, now: &Value) -> String {
    let parse = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    match (parse(since), parse(now)) {
        (Some(since), Some(now)) => duration(now.duration_since(since).as_secs()),
        _ => "?".to_owned(),
    }
}

/// Two units are as exact as anybody reads.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        json!({
            "at": "2025-03-01T12:00:00.000Z", "status": "warn", "notes": ["no standby is ready"],
            "active_zone": "fz-1", "active_since": "2025-03-01T11:00:00.000Z", "epoch": 4,
            "decision": "stay: fz-1 is serving", "pinned": "fz-1", "flip_pending": null, "flips_left": 12,
            "holds": 0, "generation": 9, "config_generation": 2, "version": "0.1.0", "phase": "ready",
            "uptime_seconds": 90_061,
            "zones": [
                {"name": "fz-1", "active": true, "verdict": "serving", "since": "2025-03-01T11:00:00.000Z",
                 "reasons": [], "components": [
                    {"name": "app-1", "kind": "backend", "pool": "default", "address": "10.0.0.1:80",
                     "status": "up", "operator": "ready", "gray": false, "in_flight": 3,
                     "since": "2025-03-01T11:59:56.900Z",
                     "last": {"code": "L7OK", "status": 200, "ms": 1.25, "detail": ""}}]},
                {"name": "fz-2", "active": false, "verdict": "failed", "since": "2025-03-01T11:58:58.000Z",
                 "reasons": ["fz-2:postgres is down"], "components": [
                    {"name": "postgres", "kind": "dependency", "required": true, "address": "10.0.1.1:5432",
                     "status": "down", "operator": "ready", "gray": false,
                     "since": "2025-03-01T11:58:58.000Z",
                     "last": {"code": "L4CON", "status": null, "ms": 0.0, "detail": "connection \u{1b}refused"}}]},
            ],
        })
    }

    #[test]
    fn status_is_readable_and_aligned() {
        let rendered = render(&status(), Paint::none());
        let expected = "\
warn  fz-1 is active for 1 h 0 min, epoch 4
      no standby is ready
decision      stay: fz-1 is serving
pinned        fz-1
flips left    12 within the hour
held          0 requests
configuration 2 (snapshot 9)
firedoor      0.1.0, ready, up for 1 d 1 h

● fz-1  serving for 1 h 0 min
  app-1     backend of default  10.0.0.1:80    up    3 s        3 in flight  L7OK/200 in 1.2 ms
○ fz-2  failed for 1 min 2 s
    fz-2:postgres is down
  postgres  required            10.0.1.1:5432  down  1 min 2 s               L4CON in 0.0 ms (connection \\u{1b}refused)
";
        assert_eq!(rendered, expected);
    }

    #[test]
    fn an_operators_word_outranks_the_probes() {
        let mut status = status();
        status["zones"][0]["components"][0]["operator"] = "maintenance".into();
        assert!(render(&status, Paint::none()).contains("10.0.0.1:80    maintenance  3 s"));
    }
}
