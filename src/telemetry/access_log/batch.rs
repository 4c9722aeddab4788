//! Lines on their way to the writing thread, as one worker collects them.

use super::line::{Line, Style};
use super::stamps::Stamps;

/// Whole lines.
#[derive(Debug, Default)]
pub struct Batch {
    lines: Vec<u8>,
    stamps: Stamps,
}

impl Batch {
    /// Appends a line.
    pub fn push(&mut self, line: &Line<'_>, style: Style) {
        line.write(style, &mut self.stamps, &mut self.lines);
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All of them. There will be about as many again: a little more room than they took, or it would be moved when it is nearly full.
    pub fn take(&mut self) -> Vec<u8> {
        let taken = self.lines.len();
        let room = Vec::with_capacity(taken + taken / 16);
        std::mem::replace(&mut self.lines, room)
    }
}
