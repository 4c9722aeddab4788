//! What is written to the terminal: colour where it is wanted, and nothing that could control it.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};

use super::{FINE, Failure};

/// Writes `text` to stdout. A reader that is gone (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<ExitCode, Failure> {
    print_bytes(text.as_bytes())
}

/// As [`print()`].
pub(super) fn print_bytes(bytes: &[u8]) -> Result<ExitCode, Failure> {
    write(bytes).map(|_| ExitCode::from(FINE))
}

/// Writes to stdout; false when its reader is gone.
pub(super) fn write(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("stdout can't be written: {error}"))),
    }
}

/// Writes an error to stderr, each line of it.
pub(super) fn complain(message: &str) {
    let mark = if coloured(&io::stderr()) {
        Style::new().fg_color(Some(AnsiColor::Red.into())).bold()
    } else {
        Style::new()
    };
    let message = plain_lines(message);
    // With stderr gone there is nobody left to tell.
    let _gone = writeln!(io::stderr(), "{mark}error:{mark:#} {message}");
}

/// Writes to stderr what is worth a word and no error.
pub(super) fn remark(message: &str) {
    // With stderr gone there is nobody left to tell.
    let _gone = writeln!(io::stderr(), "{}", plain(message));
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal that has them, unless NO_COLOR is set
    #[default]
    Auto,
    /// In pipes and files, too
    Always,
    /// Nowhere
    Never,
}

/// What the command line says: of this process, as its stdout and stderr are.
static CHOICE: OnceLock<Color> = OnceLock::new();

/// Takes the command line's word for all that is written from now on. Only the first one counts.
pub(super) fn choose(color: Color) {
    CHOICE.get_or_init(|| color);
}

/// Whether colour is wanted there: a terminal, and nobody said no (<https://no-color.org>), or the command line says so.
pub(crate) fn coloured(stream: &impl IsTerminal) -> bool {
    match CHOICE.get() {
        Some(Color::Always) => true,
        Some(Color::Never) => false,
        Some(Color::Auto) | None => {
            stream.is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Text that came from elsewhere, with its control characters escaped: a backend's answer must not move an operator's cursor.
pub(super) fn plain(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut plain, character| {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
        plain
    })
}

/// As [`plain`], but its line breaks stay: only where each line of it may stand by itself.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// What a piece of text says, for those who see colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
    /// An operator's word, never to be taken for what was observed.
    Ordered,
}

impl Tone {
    /// That of a status, verdict, operator state or grade, as the admin API spells them.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "up" | "serving" | "pass" => Self::Good,
            "down" | "failed" | "fail" => Self::Bad,
            "unknown" | "warn" | "gray" => Self::Doubtful,
            "drain" | "maintenance" | "pinned" => Self::Ordered,
            _ => Self::Plain,
        }
    }

    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Doubtful => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red).bold(),
            Self::Ordered => colour(AnsiColor::Magenta),
        }
    }
}

/// Puts colours on text, or doesn't.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    /// As stdout wants it.
    pub(super) fn for_stdout() -> Self {
        Self(coloured(&io::stdout()))
    }

    /// Never any colour.
    pub(super) fn none() -> Self {
        Self(false)
    }

    /// `text` in `tone`. Must already be [`plain`].
    pub(super) fn tone(self, tone: Tone, text: &str) -> impl fmt::Display {
        let style = if self.0 { tone.style() } else { Style::new() };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(plain("zürich \u{1b}[2J\n"), "zürich \\u{1b}[2J\\n");
    }

    #[test]
    fn without_colour_there_are_no_escapes() {
        assert_eq!(Paint::none().tone(Tone::Bad, "down").to_string(), "down");
        assert_ne!(Paint(true).tone(Tone::Bad, "down").to_string(), "down");
    }
}
