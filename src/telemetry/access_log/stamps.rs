//! The time in lines of the access log. It is worked out once a second: what the calendar makes of a moment costs more than all of a line.

use jiff::Timestamp;

use super::line::push_three_digits;

/// What the last line had.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    rfc3339: Stamp,
    apache: Stamp,
}

#[derive(Debug, Default)]
struct Stamp {
    /// In seconds since 1970.
    second: i64,
    text: String,
}

impl Stamps {
    /// `2026-01-01T00:00:00.000Z`
    pub(super) fn rfc3339(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let text = self.rfc3339.of(time, "%Y-%m-%dT%H:%M:%S");
        out.extend_from_slice(text.as_bytes());
        out.push(b'.');
        push_three_digits(out, time.subsec_millisecond().unsigned_abs());
        out.push(b'Z');
    }

    /// `01/Jan/2026:00:00:00 +0000`
    pub(super) fn apache(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let text = self.apache.of(time, "%d/%b/%Y:%H:%M:%S +0000");
        out.extend_from_slice(text.as_bytes());
    }
}

impl Stamp {
    fn of(&mut self, time: Timestamp, format: &str) -> &str {
        let second = time.as_second();
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = time.strftime(format).to_string();
        }
        &self.text
    }
}
