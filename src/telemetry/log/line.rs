//! One log line for people: `2026-11-22 14:37:01.123 WARN  message key=value`.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events as lines.
pub(super) struct Line {
    pub(super) colour: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = jiff::Zoned::now();
        let level = *event.metadata().level();
        let (on, off) = if self.colour {
            (colour(level), "\u{1b}[0m")
        } else {
            ("", "")
        };
        let mut said = Said::default();
        event.record(&mut said);
        write!(
            line,
            "{} {on}{level:<5}{off} {}{}",
            now.strftime("%Y-%m-%d %H:%M:%S%.3f"),
            said.message,
            said.fields
        )?;
        // Our own words need no address; those of a library do.
        let target = event.metadata().target();
        if !target.starts_with("firedoor") {
            write!(line, " target={target}")?;
        }
        writeln!(line)
    }
}

/// An event's message and its fields, escaped: whatever a peer has sent can neither make a line of its own nor move a cursor.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn field(&mut self, name: &str, value: &str) {
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        let quote = if quoted { "\"" } else { "" };
        self.fields.push_str(&format!(" {name}={quote}"));
        for character in value.chars() {
            match character {
                '"' if quoted => self.fields.push_str("\\\""),
                character => push_plain(&mut self.fields, character),
            }
        }
        self.fields.push_str(quote);
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value
                .chars()
                .for_each(|character| push_plain(&mut self.message, character)),
            name => self.field(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut said = String::new();
        // Writing to a string can't fail; a broken Debug leaves what it wrote so far.
        let _incomplete = write!(said, "{value:?}");
        self.record_str(field, &said);
    }
}

fn push_plain(text: &mut String, character: char) {
    if character.is_control() {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[1;31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG | Level::TRACE => "\u{1b}[2m",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Line { colour: false })
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_time_level_message_and_fields() {
        let line = logged(|| tracing::warn!(zone = "fz-1", epoch = 3, why = "two words", "flip"));
        let (time, rest) = line.split_at("2025-03-01 12:00:00.000".len());
        assert!(time.parse::<jiff::civil::DateTime>().is_ok(), "{time}");
        assert_eq!(rest, " WARN  flip zone=fz-1 epoch=3 why=\"two words\"\n");
    }

    #[test]
    fn nobody_can_forge_a_line_or_move_a_cursor() {
        let line = logged(|| tracing::info!(detail = "a\nb\u{1b}[2J\"", "first\r\nsecond"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
        assert!(
            line.ends_with("first\\r\\nsecond detail=\"a\\nb\\u{1b}[2J\\\"\"\n"),
            "{line}"
        );
    }
}
