//! `firedoor replay`: a recorded journal under another configuration, and which flips would have differed. Needs no running
//! firedoor.

mod comparison;
mod json;
mod remarks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::Failure;
use super::serve::complaint;
use super::status::{clock, duration};
use super::table::Table;
use super::terminal::{Paint, Tone, plain, print};
use crate::config::{Config, load};
use crate::health::checker::{Checker, Held, Replayed};
use crate::health::recording::Recorded;
use crate::journal::{self, Reading};
use crate::moment::Moment;
use comparison::{FlipAt, Pair, compare};

/// Lines about flips that were held back.
const HELD: usize = 8;
/// What lies so near is the same.
const ABOUT: Duration = Duration::from_secs(5);

/// `firedoor replay`
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// A state directory, or the journal in it; what else belongs to it is found beside it
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration to try
    #[arg(long, short, value_name = "FILE", env = "FIREDOOR_CONFIG")]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = load(&self.config).map_err(|error| complaint(&error))?;
        let reading = journal::read(&self.files, Moment::now().instant)
            .map_err(|problem| Failure::new(problem.to_string()))?;
        let replayed = Checker::replay(&reading.recording, Arc::new(config.clone()));
        let replayed = replayed.map_err(|endless| {
            Failure::new(format!(
                "{}: probes so often that its replay would not end: it came to {}",
                self.config.display(),
                at(endless.at.wall)
            ))
        })?;
        let findings = Findings::new(&self.config, &config, &reading, &replayed);
        if self.json {
            return print(&format!("{:#}\n", findings.json()));
        }
        print(&findings.render(Paint::for_stdout()))
    }
}

/// All that there is to tell.
struct Findings<'a> {
    /// The configuration's name, short.
    file: &'a str,
    config: &'a Config,
    reading: &'a Reading,
    replayed: &'a Replayed,
    recorded_flips: usize,
    pairs: Vec<Pair>,
}

impl<'a> Findings<'a> {
    fn new(
        file: &'a Path,
        config: &'a Config,
        reading: &'a Reading,
        replayed: &'a Replayed,
    ) -> Self {
        let records = reading.recording.records.iter();
        let recorded: Vec<FlipAt> = records
            .filter_map(|record| match &record.what {
                Recorded::Flip(flip) => Some(FlipAt {
                    at: record.moment,
                    epoch: flip.epoch,
                    from: Arc::clone(&flip.from),
                    to: Arc::clone(&flip.to),
                    cause: flip.cause,
                }),
                _ => None,
            })
            .collect();
        let flips = replayed.flips.iter().map(|(moment, flip)| FlipAt {
            at: *moment,
            epoch: flip.epoch,
            from: Arc::clone(&flip.from),
            to: Arc::clone(&flip.to),
            cause: flip.cause,
        });
        let name = file.file_name().and_then(|name| name.to_str());
        Self {
            file: name.unwrap_or("the configuration"),
            config,
            reading,
            replayed,
            recorded_flips: recorded.len(),
            pairs: compare(&recorded, &flips.collect::<Vec<_>>()),
        }
    }

    fn render(&self, paint: Paint) -> String {
        let title = |text: &str| paint.tone(Tone::Strong, text).to_string();
        let mut out = format!("{}\n\n", title(&self.headline()));
        let mut table = Table::default();
        if !self.pairs.is_empty() {
            table.row([
                (Tone::Faint, "recorded"),
                (Tone::Faint, "replayed"),
                (Tone::Faint, "flip"),
            ]);
        }
        for pair in &self.pairs {
            let time =
                |flip: Option<&FlipAt>| flip.map_or_else(|| "–".to_owned(), |d| at(d.at.wall));
            let (tone, result) = result(pair);
            let Some(flip) = pair.recorded().or(pair.replayed()) else {
                continue;
            };
            let flip = format!(
                "{} → {}, {}",
                flip.from,
                flip.to,
                journal::cause(flip.cause)
            );
            table.row([
                (Tone::Plain, time(pair.recorded()).as_str()),
                (Tone::Plain, time(pair.replayed()).as_str()),
                (Tone::Plain, &flip),
                (tone, &result),
            ]);
        }
        out.push_str(&table.render(paint));
        if !self.pairs.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{}\n", title(&self.sum())));
        let held = self
            .replayed
            .held
            .iter()
            .filter(|held| !self.was_held(held));
        let held = held.map(|held| {
            let (at, rule) = (at(held.moment.wall), held.rule);
            format!("{at}  {rule}: {}", plain(&held.explanation))
        });
        let mut held: Vec<String> = held.collect();
        let more = held.len().saturating_sub(HELD);
        if more > 0 {
            held.truncate(HELD);
            held.push(format!("and {more} times more"));
        }
        let remarks: Vec<String> = remarks::remarks(self)
            .iter()
            .map(|line| plain(line))
            .collect();
        let held_back = format!("Held back only under {}", plain(self.file));
        for (name, lines) in [(held_back.as_str(), held), ("To be known", remarks)] {
            if !lines.is_empty() {
                out.push_str(&format!("\n{}\n", title(name)));
            }
            for line in lines {
                out.push_str(&format!("  - {line}\n"));
            }
        }
        out
    }

    /// Whether the same rule held a flip back at about that time when it was recorded.
    fn was_held(&self, held: &Held) -> bool {
        let records = &self.reading.recording.records;
        let moment = held.moment.instant;
        let (from, to) = (moment.checked_sub(ABOUT).unwrap_or(moment), moment + ABOUT);
        let begin = records.partition_point(|record| record.moment.instant < from);
        let mut about = records[begin..]
            .iter()
            .take_while(|record| record.moment.instant <= to);
        about.any(|record| matches!(&record.what, Recorded::Held(rule) if **rule == *held.rule))
    }

    /// `2026-11-22 15:20:09.705 to …, 32 min 7 s of it recorded, under other.toml:`
    fn headline(&self) -> String {
        let (from, to, lived) = self.span();
        let seconds = i64::try_from(lived.as_secs()).unwrap_or(i64::MAX);
        format!(
            "{} to {}, {} in all, under {}:",
            at(from),
            at(to),
            duration(seconds),
            plain(self.file)
        )
    }

    /// From, to, and how much of it somebody lived.
    fn span(&self) -> (Timestamp, Timestamp, Duration) {
        let spans = &self.reading.recording.spans;
        let from = spans.first().map(|span| span.from.wall).unwrap_or_default();
        let to = spans.last().map(|span| span.to.wall).unwrap_or_default();
        let lived = spans.iter().map(|span| span.to.instant - span.from.instant);
        (from, to, lived.sum())
    }

    /// `It would have flipped 3 times fewer (1 instead of 4), with 41.0 s more outage (53.0 s instead of 12.0 s).`
    fn sum(&self) -> String {
        let (recorded, replayed) = (self.recorded_flips, self.replayed.flips.len());
        let times = |n: usize| {
            if n == 1 {
                "once".to_owned()
            } else {
                format!("{n} times")
            }
        };
        let flips = match (recorded, replayed) {
            (0, 0) => "It would not have flipped, as it was".to_owned(),
            _ if recorded == replayed => {
                format!("It would have flipped as often ({})", times(recorded))
            }
            _ => {
                let word = if replayed < recorded { "fewer" } else { "more" };
                let difference = match recorded.abs_diff(replayed) {
                    1 => "1 time".to_owned(),
                    n => format!("{n} times"),
                };
                format!(
                    "It would have flipped {difference} {word} ({replayed} instead of {recorded})"
                )
            }
        };
        let (was, would) = (self.replayed.recorded_outage, self.replayed.outage);
        let outage = if would == was {
            if was.is_zero() {
                "with no outage in either".to_owned()
            } else {
                format!("with the same outage ({})", span(was))
            }
        } else {
            let word = if would > was { "more" } else { "less" };
            format!(
                "with {} {word} outage ({} instead of {})",
                span(would.abs_diff(was)),
                span(would),
                span(was)
            )
        };
        format!("{flips}, {outage}.")
    }
}

fn result(pair: &Pair) -> (Tone, String) {
    match pair {
        Pair::Recorded(_) => (Tone::Bad, "only recorded".to_owned()),
        Pair::Replayed(_) => (Tone::Bad, "only replayed".to_owned()),
        Pair::Both(..) => {
            let moved = pair.moved().unwrap_or_default();
            let word = if moved.is_negative() {
                "earlier"
            } else {
                "later"
            };
            if is_same(pair) {
                return (Tone::Good, "same".to_owned());
            }
            let by = span(moved.unsigned_abs());
            (Tone::Doubtful, format!("{by} {word}"))
        }
    }
}

/// To the millisecond: nobody sees less.
fn is_same(pair: &Pair) -> bool {
    pair.moved()
        .is_some_and(|moved| moved.unsigned_abs() < Duration::from_millis(1))
}

/// `450 ms`, `12.3 s`, `32 min 7 s`
fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else if time < Duration::from_secs(100) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        duration(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

fn at(wall: Timestamp) -> String {
    clock(&wall.to_string().into())
}
