//! `firedoor journal`: flips and transitions, one line each.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::status::{clock, text};
use super::terminal::{Paint, Tone, complain, print};
use super::{ClientArgs, FINE, Failure};

/// Between two looks of `--follow`.
const POLL: Duration = Duration::from_millis(500);
/// Entries fetched at once.
const PAGE: usize = 1000;

/// `firedoor journal`
#[derive(Args, Debug)]
pub(super) struct Journal {
    /// Go on printing new entries
    #[arg(long, short)]
    follow: bool,
    /// Only entries with a higher number; by default the last 100
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

impl Journal {
    pub(super) async fn run(self, client: Client) -> Result<ExitCode, Failure> {
        let paint = Paint::for_stdout();
        let mut after = self.after;
        let mut unreachable = false;
        loop {
            let path = match after {
                Some(after) => format!("/v1/journal?after={after}&limit={PAGE}"),
                None => "/v1/journal".to_owned(),
            };
            match client.get(&path, &[]).await {
                Ok(answer) => {
                    unreachable = false;
                    let entries = answer.body["entries"].as_array();
                    let mut lines = String::new();
                    for entry in entries.into_iter().flatten() {
                        if client.json {
                            lines.push_str(&format!("{entry}\n"));
                        } else {
                            lines.push_str(&render(entry, paint));
                        }
                    }
                    print(&lines)?;
                    after = answer.body["last"].as_u64();
                    if entries.is_some_and(|entries| entries.len() == PAGE) {
                        continue;
                    }
                }
                // Whoever follows wants to see what comes after a restart, too.
                Err(failure) if self.follow && after.is_some() => {
                    if !unreachable {
                        complain(&failure.message);
                    }
                    unreachable = true;
                }
                Err(failure) => return Err(failure),
            }
            if !self.follow {
                return Ok(ExitCode::from(FINE));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn render(entry: &Value, paint: Paint) -> String {
    let kind = text(&entry["kind"]);
    let tone = match kind.as_str() {
        "flip" => Tone::Strong,
        "nowhere_to_go" | "withheld" => Tone::Bad,
        "order" if entry["result"] == "refused" => Tone::Doubtful,
        _ => Tone::Plain,
    };
    format!(
        "{}  {:>6}  {}\n",
        paint.tone(Tone::Faint, &clock(&entry["at"])),
        entry["number"].to_string(),
        paint.tone(tone, &text(&entry["message"])),
    )
}
