//! `firedoor plan`: what would happen if some components went down, or came up.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::status::{text, texts};
use super::terminal::{Paint, Tone, plain, print};
use super::{ClientArgs, Failure};

/// `firedoor plan`
#[derive(Args, Debug)]
pub(super) struct Plan {
    /// Supposed to fail from now on: zone and name, or a zone for all of its components
    #[arg(long, value_name = "COMPONENT", num_args = 1.., required_unless_present = "up")]
    down: Vec<String>,
    /// Supposed to be well from now on
    #[arg(long, value_name = "COMPONENT", num_args = 1..)]
    up: Vec<String>,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

impl Plan {
    pub(super) async fn run(self, client: Client) -> Result<ExitCode, Failure> {
        let supposed = json!({"down": self.down, "up": self.up});
        let plan = client.post("/v1/plan", &supposed).await?.body;
        if client.json {
            return print(&format!("{plan:#}\n"));
        }
        print(&render(&plan, &self.supposition(), Paint::for_stdout()))
    }

    /// `If fz-1:postgres goes down`, in the words that were typed.
    fn supposition(&self) -> String {
        let said = |names: &[String], one: &str, many: &str| match names {
            [] => None,
            [name] => Some(format!("{} {one}", plain(name))),
            names => Some(format!("{} {many}", plain(&names.join(", ")))),
        };
        let down = said(&self.down, "goes down", "go down");
        let up = said(&self.up, "comes up", "come up");
        let both: Vec<String> = down.into_iter().chain(up).collect();
        format!("If {}:", both.join(", and "))
    }
}

/// What would follow, in words.
pub(super) fn render(plan: &Value, supposition: &str, paint: Paint) -> String {
    let title = |text: &str| paint.tone(Tone::Strong, text).to_string();
    let flips = plan["kind"] == "flip";
    let mut out = format!("{}\n", title(supposition));
    out.push_str(&format!("  {}\n", headline(plan, paint)));
    if let Some(explanation) = plan["withheld"]["explanation"].as_str() {
        let rule = text(&plan["withheld"]["rule"]);
        let held = if flips {
            "until then held back"
        } else {
            "held back"
        };
        out.push_str(&format!("  {held} by {rule}: {}\n", plain(explanation)));
    }
    if plan["rule"].is_string() {
        out.push_str(&format!("  rule: {}\n", text(&plan["rule"])));
    }
    for (name, list) in [
        ("Why", &plan["reasons"]),
        ("Too small", &plan["shedding"]),
        ("Not done", &plan["alternatives"]),
    ] {
        let lines: Vec<String> = texts(list).collect();
        if flips && !lines.is_empty() {
            out.push_str(&format!("\n{}\n", title(name)));
            for line in lines {
                out.push_str(&format!("  - {line}\n"));
            }
        }
    }
    out.push_str(&format!("\n{}\n", title("Then")));
    for zone in plan["zones"].as_array().into_iter().flatten() {
        let verdict = text(&zone["verdict"]);
        out.push_str(&format!(
            "  {} {} is {}{}\n",
            if zone["active"] == true { "●" } else { "○" },
            text(&zone["name"]),
            paint.tone(Tone::of(&verdict), &verdict),
            if zone["active"] == true {
                ", active"
            } else {
                ""
            },
        ));
        // The reasons of a flip have told these already.
        let told = |reason: &str| {
            let reason = format!("{}: {reason}", text(&zone["name"]));
            flips && texts(&plan["reasons"]).any(|told| told == reason)
        };
        for reason in texts(&zone["reasons"]).filter(|reason| !told(reason)) {
            out.push_str(&format!("    - {reason}\n"));
        }
    }
    if flips {
        out.push_str(&format!("  {}\n", text(&plan["afterwards"])));
    }
    let mut events = plan["events"].as_array().into_iter().flatten();
    // Whether one more failure could be borne is what the next hour depends on.
    if let Some(standby) = events.rfind(|event| event["kind"] == "standby") {
        let message = text(&standby["message"]);
        let short = message.split(": ").next().unwrap_or_default();
        out.push_str(&format!("  {short}\n"));
    }
    out.push_str("\nThis was a question: nothing has changed.\n");
    out
}

fn headline(plan: &Value, paint: Paint) -> String {
    let active = text(&plan["active_zone"]);
    match plan["kind"].as_str() {
        Some("flip") => {
            let to = text(&plan["to"]);
            let degraded = if plan["degraded"] == true {
                ", degraded: it can serve only a part"
            } else {
                ""
            };
            format!(
                "{} {}{degraded}",
                paint.tone(Tone::Strong, &format!("FLIP {active} → {to}")),
                when(plan)
            )
        }
        Some("nowhere_to_go") => format!(
            "{}: {active} stays active though it failed, since no other zone is better",
            paint.tone(Tone::Bad, "NOWHERE TO GO")
        ),
        Some("withheld") => format!(
            "{}: {active} stays active",
            paint.tone(Tone::Bad, "NO FLIP, THOUGH IT WOULD BE RIGHT")
        ),
        _ => {
            let decision = text(&plan["decision"]);
            let why = decision.strip_prefix("stay: ").unwrap_or(&decision);
            format!("{}: {why}", paint.tone(Tone::Good, "NO FLIP"))
        }
    }
}

/// `in 1.1 s (in 2.1 s if it hangs)`
fn when(plan: &Value) -> String {
    let Some(ms) = plan["in_ms"].as_f64() else {
        return String::new();
    };
    let hung = match plan["in_ms_if_hung"].as_f64() {
        Some(hung) if hung - ms >= 1.0 => format!(" ({} if it hangs)", span(hung)),
        _ => String::new(),
    };
    format!("in {}{hung}", span(ms))
}

fn span(ms: f64) -> String {
    let seconds = ms / 1000.0;
    if seconds < 1.0 {
        format!("{ms:.0} ms")
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else if seconds < 7200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Value {
        json!({
            "active_zone": "fz-1", "kind": "flip", "to": "fz-2", "degraded": false,
            "decision": "flip to fz-2: fz-1 has failed", "afterwards": "stay: fz-2 is serving",
            "in_ms": 1058.2, "in_ms_if_hung": 2061.7,
            "rule": "fz-1 has failed, and fz-2 is the first serving zone in the configuration",
            "reasons": ["fz-1: postgres is down"], "alternatives": ["stay: fz-1 has failed"],
            "withheld": {"rule": "min_stay", "explanation": "the last flip was less than 10s ago"},
            "zones": [
                {"name": "fz-1", "active": false, "verdict": "failed", "reasons": ["postgres is down"]},
                {"name": "fz-2", "active": true, "verdict": "serving", "reasons": ["mail is down (not required)"]},
            ],
            "events": [
                {"kind": "standby", "message": "NO STANDBY, the next failure is an outage: no zone could take over"},
            ],
        })
    }

    #[test]
    fn a_plan_says_first_whether_it_flips_and_when() {
        let expected = "\
If fz-1 goes down:
  FLIP fz-1 → fz-2 in 1.1 s (2.1 s if it hangs)
  until then held back by min_stay: the last flip was less than 10s ago
  rule: fz-1 has failed, and fz-2 is the first serving zone in the configuration

Why
  - fz-1: postgres is down

Not done
  - stay: fz-1 has failed

Then
  ○ fz-1 is failed
  ● fz-2 is serving, active
    - mail is down (not required)
  stay: fz-2 is serving
  NO STANDBY, the next failure is an outage

This was a question: nothing has changed.
";
        assert_eq!(
            render(&plan(), "If fz-1 goes down:", Paint::none()),
            expected
        );
    }

    #[test]
    fn what_was_typed_is_what_is_asked() {
        let args = ClientArgs {
            admin: "127.0.0.1:1".parse().unwrap(),
            token_file: None,
            json: false,
            color: super::super::terminal::Color::Auto,
        };
        let plan = |down: &[&str], up: &[&str]| Plan {
            down: down.iter().map(ToString::to_string).collect(),
            up: up.iter().map(ToString::to_string).collect(),
            client: args.clone(),
        };
        assert_eq!(plan(&["fz-1"], &[]).supposition(), "If fz-1 goes down:");
        assert_eq!(
            plan(&["fz-1", "fz-2:db"], &["fz-1:app-1"]).supposition(),
            "If fz-1, fz-2:db go down, and fz-1:app-1 comes up:"
        );
    }
}
