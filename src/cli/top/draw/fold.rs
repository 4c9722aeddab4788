//! Text in as many lines as it may have.

use ratatui::text::Span;

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// `text` in at most `lines` lines of `width` columns, broken between words; what doesn't fit ends in `…`.
pub(super) fn fold(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let mut folded: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let together = width(&line) + usize::from(!line.is_empty()) + width(word);
        if together > columns && !line.is_empty() {
            if folded.len() + 1 == lines {
                line.push(' ');
                line.push_str(word);
                line.extend(words.map(|word| format!(" {word}")));
                folded.push(cut(&line, columns));
                return folded;
            }
            folded.push(cut(&line, columns));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() && folded.len() < lines {
        folded.push(cut(&line, columns));
    }
    folded
}

/// `text` in one line of `columns` columns; what doesn't fit ends in `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += width(character.encode_utf8(&mut [0; 4]));
        if used > columns {
            break;
        }
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// `text`, cut or padded to exactly `columns` columns.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut fitted = cut(text, columns);
    let padding = columns.saturating_sub(width(&fitted));
    fitted.extend(std::iter::repeat_n(' ', padding));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_cut_where_there_is_no_room() {
        assert_eq!(fold("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(fold("one two three", 7, 1), ["one tw…"]);
        assert_eq!(fold("unbreakable", 5, 2), ["unbr…"]);
        assert_eq!(fold("", 5, 2), [""; 0]);
        assert_eq!(fold("a bb ccc", 2, 9), ["a", "bb", "c…"]);
        assert_eq!(fold("漢字 漢字", 5, 2), ["漢字", "漢字"]);
        assert_eq!(cut("漢字漢", 5), "漢字…");
        assert_eq!(
            (fit("ab", 4), fit("abcdef", 4)),
            ("ab  ".into(), "abc…".into())
        );
        assert_eq!(cut("ab", 0), "");
    }
}
