//! `firedoor check`: is a configuration valid, and if not, what are all of its problems?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::serve::rendered;
use super::terminal::{Color, Paint, Tone, choose, coloured, plain, print};
use super::{FINE, Failure, INVALID};
use crate::config::Config;
use crate::config::{LoadError, load};

/// To read a file, and those that it names: as long as a reload gives them.
const READING: Duration = Duration::from_secs(10);
/// Where the descriptors are that we were started with.
const HANDED: [&str; 4] = [
    "/dev/stdin",
    "/dev/fd",
    "/proc/self/fd",
    "/proc/thread-self/fd",
];

/// `firedoor check`
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Configuration files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// When to use colours; JSON has none
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Color,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// With the line and a caret under the place
    #[default]
    Text,
    /// An array with one object per file
    Json,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        choose(self.color);
        let results: Vec<_> = self
            .files
            .iter()
            .map(|file| (file.as_path(), load_in_time(file)))
            .collect();
        let valid = results.iter().all(|(_, result)| result.is_ok());
        match self.format {
            Format::Text => {
                for (file, result) in &results {
                    match result {
                        Ok(config) => print(&summary(file, config, Paint::for_stdout()))?,
                        Err(error) => {
                            let colour = coloured(&std::io::stdout());
                            print(&format!("{}\n", rendered(error, colour)))?
                        }
                    };
                }
            }
            Format::Json => {
                let results: Vec<Value> = results
                    .iter()
                    .map(|(file, result)| {
                        json!({
                            "file": file.display().to_string(),
                            "valid": result.is_ok(),
                            "problems": match result {
                                Ok(_) => json!([]),
                                Err(error) => problems(error),
                            },
                            "warnings": match result {
                                Ok(config) => warnings(config),
                                Err(_) => json!([]),
                            },
                        })
                    })
                    .collect();
                print(&format!("{:#}\n", Value::from(results)))?;
            }
        }
        Ok(ExitCode::from(if valid { FINE } else { INVALID }))
    }
}

/// What comes by way of a descriptor of ours, such as a shell's `<(…)`, may take its time: whoever checks it is there.
fn load_in_time(file: &Path) -> Result<Config, LoadError> {
    if HANDED.iter().any(|place| file.starts_with(place)) {
        return load(file);
    }
    let (done, loaded) = mpsc::channel();
    let wanted = file.to_owned();
    let load = move || {
        // An error means that it was too late.
        let _ = done.send(load(&wanted));
    };
    let unreadable = |why: String| LoadError::Unreadable(file.to_owned(), why);
    // Opening a named pipe waits for somebody who writes, and nothing can interrupt it: the thread is left to the end of the process.
    let reading = thread::Builder::new().spawn(load);
    reading.map_err(|error| unreadable(error.to_string()))?;
    loaded.recv_timeout(READING).unwrap_or_else(|_| {
        Err(unreadable(format!(
            "{READING:?} were not enough for it and the files that it names; \
             one may be a pipe that nobody writes to, or on a disk that hangs"
        )))
    })
}

fn summary(file: &Path, config: &Config, paint: Paint) -> String {
    let count = |number: usize, noun: &str| {
        format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
    };
    let backends = config.zones.iter().map(|zone| zone.backends.len()).sum();
    let dependencies = config
        .zones
        .iter()
        .map(|zone| zone.dependencies.len())
        .sum::<usize>();
    let warnings: String = config
        .warnings()
        .iter()
        .map(|warning| {
            let word = paint.tone(Tone::Doubtful, "warning:");
            format!("  {word} {}\n", plain(&warning.to_string()))
        })
        .collect();
    format!(
        "{}: {} ({}, {}, {}, {})\n{warnings}",
        plain(&file.display().to_string()),
        paint.tone(Tone::Good, "valid"),
        count(config.listeners.len(), "listener"),
        count(config.zones.len(), "zone"),
        count(backends, "backend"),
        match dependencies {
            1 => "1 dependency".to_owned(),
            more => format!("{more} dependencies"),
        },
    )
}

fn problems(error: &LoadError) -> Value {
    match error {
        LoadError::Invalid(error) => error.to_json(),
        LoadError::Unreadable(file, why) => json!([{
            "file": file.display().to_string(),
            "line": null,
            "column": null,
            "key": "",
            "message": format!("can't be read: {why}"),
            "hint": null,
        }]),
    }
}

fn warnings(config: &Config) -> Value {
    config
        .warnings()
        .iter()
        .map(
            |warning| json!({"key": warning.key, "message": warning.message, "hint": warning.hint}),
        )
        .collect()
}
