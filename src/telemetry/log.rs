//! The operational log (stderr): structured, in words an operator says at 3 a.m.
//!
//! Lines are written by a thread of their own. A terminal or pipe that doesn't take them must not stop a worker, so past a
//! backlog lines are dropped, and the next one that gets through says how many.

mod line;
mod writer;

use std::io;
use std::str::FromStr;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::util::SubscriberInitExt;

pub use writer::Guard;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: local time, level, message, fields
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// What is logged: a level, or a filter in `RUST_LOG`'s syntax. Valid by construction.
#[derive(Clone, Debug)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An empty RUST_LOG is as good as none.
        let text = if text.trim().is_empty() { "info" } else { text };
        EnvFilter::builder()
            .parse(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| error.to_string())
    }
}

/// h2 warns of single frames: a client could fill the disk with those, and have others' lines dropped. Who asks for `h2=debug` gets it.
const QUIET: &str = "h2=error";

/// Starts the log of this process. What waits to be written is written when the guard is dropped.
pub fn start(format: Format, filter: &Filter) -> Guard {
    let (writer, guard) = writer::spawn(io::stderr());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("{QUIET},{}", filter.0)))
        .with_writer(writer);
    let started = match format {
        Format::Text => builder
            .event_format(line::Line {
                colour: crate::cli::coloured(&io::stderr()),
            })
            .finish()
            .try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_timer(Utc)
            .with_target(true)
            .finish()
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log had been started already");
    }
    guard
}

/// RFC 3339 in UTC, for machines.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.6}", jiff::Timestamp::now())
    }
}
