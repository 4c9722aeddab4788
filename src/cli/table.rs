//! Aligned columns.

use super::terminal::{Paint, Tone, plain};

/// Rows of cells, and lines between them that take no part in the alignment.
#[derive(Debug, Default)]
pub(super) struct Table {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Row(Vec<(Tone, String)>),
    Text(String),
}

impl Table {
    /// A row; cells of one column are aligned.
    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = (Tone, &'a str)>) {
        let cells = cells
            .into_iter()
            .map(|(tone, text)| (tone, plain(text)))
            .collect();
        self.lines.push(Line::Row(cells));
    }

    /// A line of its own, as it is.
    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Text(text.into()));
    }

    /// All lines; the last cell of a row isn't padded.
    pub(super) fn render(&self, paint: Paint) -> String {
        let mut widths = Vec::new();
        for line in &self.lines {
            let Line::Row(cells) = line else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, (_, text)) in widths.iter_mut().zip(cells) {
                *width = (*width).max(text.chars().count());
            }
        }
        let mut rendered = String::new();
        for line in &self.lines {
            match line {
                Line::Text(text) => rendered.push_str(text),
                Line::Row(cells) => {
                    let last = cells.len().saturating_sub(1);
                    for (column, (tone, text)) in cells.iter().enumerate() {
                        rendered.push_str("  ");
                        rendered.push_str(&paint.tone(*tone, text).to_string());
                        if column < last {
                            let padding = widths[column] - text.chars().count();
                            rendered.extend(std::iter::repeat_n(' ', padding));
                        }
                    }
                }
            }
            rendered.push('\n');
        }
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_texts_stand_between() {
        let mut table = Table::default();
        table.row([(Tone::Plain, "zürich"), (Tone::Plain, "up")]);
        table.text("fz-2");
        table.row([(Tone::Plain, "b"), (Tone::Bad, "down\u{7}")]);
        assert_eq!(
            table.render(Paint::none()),
            "  zürich  up\nfz-2\n  b       down\\u{7}\n"
        );
    }
}
