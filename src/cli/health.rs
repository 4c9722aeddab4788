//! `firedoor health`: for scripts and container probes.

use std::process::ExitCode;

use http::StatusCode;

use super::client::Client;
use super::terminal::{Paint, Tone, plain, print};
use super::{FAILED, FINE, Failure};

/// Prints the grade and what keeps it from being better; exits with 1 if nothing can serve.
pub(super) async fn run(client: Client) -> Result<ExitCode, Failure> {
    let answer = client
        .get("/health", &[StatusCode::SERVICE_UNAVAILABLE])
        .await?;
    let grade = answer.body["status"].as_str().unwrap_or("fail");
    if client.json {
        print(&format!("{:#}\n", answer.body))?;
    } else {
        let paint = Paint::for_stdout();
        let mut text = format!("{}\n", paint.tone(Tone::of(grade), &plain(grade)));
        for note in answer.body["notes"].as_array().into_iter().flatten() {
            text.push_str(&format!("  {}\n", plain(note.as_str().unwrap_or(""))));
        }
        print(&text)?;
    }
    Ok(ExitCode::from(match grade {
        "pass" | "warn" => FINE,
        _ => FAILED,
    }))
}
