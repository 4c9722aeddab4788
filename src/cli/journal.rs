//! `firedoor journal`: flips and transitions, one line each.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::events::Events;
use super::status::{clock, text};
use super::terminal::{Paint, Tone, complain, print, remark, write};
use super::{ClientArgs, FINE, Failure};

/// Between two attempts of `--follow` to get its stream back.
const PAUSE: Duration = Duration::from_millis(500);
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
        let show = |entry: &Value| {
            if client.json {
                format!("{entry}\n")
            } else {
                render(entry, paint)
            }
        };
        let mut after = self.after;
        loop {
            let path = match after {
                Some(after) => format!("/v1/journal?after={after}&limit={PAGE}"),
                None => "/v1/journal".to_owned(),
            };
            let answer = client.get(&path, &[]).await?.body;
            let entries = answer["entries"].as_array().map_or(&[][..], Vec::as_slice);
            print(&entries.iter().map(show).collect::<String>())?;
            after = answer["last"].as_u64();
            if entries.len() < PAGE {
                break;
            }
        }
        if self.follow {
            follow(&client, after, show).await?;
        }
        Ok(ExitCode::from(FINE))
    }
}

/// Prints what comes, for as long as somebody reads it; across restarts, too.
async fn follow(
    client: &Client,
    mut last: Option<u64>,
    show: impl Fn(&Value) -> String,
) -> Result<(), Failure> {
    let mut lost = false;
    loop {
        let broken = match Events::open(client, "", last).await {
            Ok(mut events) => {
                if std::mem::take(&mut lost) {
                    remark("following again");
                }
                let failure = loop {
                    match events.next(client).await {
                        Ok(event) if event.name == "journal" => {
                            if !write(show(&event.data).as_bytes())? {
                                return Ok(());
                            }
                        }
                        Ok(event) if event.name == "gap" => remark(&format!(
                            "entries {} to {} are no longer in memory: they are in journal.jsonl",
                            event.data["after"].as_u64().map_or(0, |after| after + 1),
                            event.data["next"].as_u64().map_or(0, |next| next - 1),
                        )),
                        Ok(_) => {}
                        Err(failure) => break failure,
                    }
                };
                last = events.last;
                failure
            }
            Err(failure) => failure,
        };
        if !lost {
            complain(&format!(
                "{}\ntrying again until it is back",
                broken.message
            ));
        }
        lost = true;
        tokio::time::sleep(PAUSE).await;
    }
}

fn render(entry: &Value, paint: Paint) -> String {
    let tone = tone(entry);
    format!(
        "{}  {:>6}  {}\n",
        paint.tone(Tone::Faint, &clock(&entry["at"])),
        entry["number"].to_string(),
        paint.tone(tone, &text(&entry["message"])),
    )
}

/// What an entry says to those who see colours.
pub(super) fn tone(entry: &Value) -> Tone {
    let good = |good: bool| if good { Tone::Good } else { Tone::Bad };
    match entry["kind"].as_str().unwrap_or("") {
        "flip" => Tone::Strong,
        "nowhere_to_go" | "withheld" | "flip_aborted" => Tone::Bad,
        "transition" if entry["to"] == "down" => Tone::Bad,
        "transition" if entry["to"] == "up" => Tone::Good,
        "verdict" if entry["to"] != "unknown" => good(entry["to"] == "serving"),
        "standby" => good(entry["ready"] == true),
        "gray" if entry["gray"] == true => Tone::Doubtful,
        "order" if entry["result"] == "refused" => Tone::Doubtful,
        "started" if entry["last_end"] == "not_in_order" => Tone::Doubtful,
        "order" | "pin" | "operator_state" | "drill_begun" | "flip_begun" | "reloaded" => {
            Tone::Ordered
        }
        _ => Tone::Plain,
    }
}
