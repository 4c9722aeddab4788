//! Colours by what they say, and what is left of them on a terminal that has none.

use std::io::stdout;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::super::super::terminal::{Tone, coloured};

/// What this terminal can show.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli::top) struct Look {
    pub(in crate::cli::top) coloured: bool,
    /// Whether characters beyond ASCII are shown as they are.
    pub(in crate::cli::top) lines: bool,
}

impl Look {
    pub(in crate::cli::top) fn of_this_terminal() -> Self {
        // In this order (POSIX, XBD 8.2); where none is set it is ASCII.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(std::env::var_os);
        let locale = locale
            .into_iter()
            .flatten()
            .find(|locale| !locale.is_empty());
        let locale = locale
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        Self {
            coloured: coloured(&stdout()),
            lines: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Takes out what can't be shown. Words, marks, bold and reverse say the same without colours.
    pub(super) fn apply(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if !self.coloured {
                cell.fg = Color::Reset;
                cell.bg = Color::Reset;
            }
            if !self.lines && !cell.symbol().is_ascii() {
                let ascii = ascii(cell.symbol());
                cell.set_char(ascii);
            }
        }
    }
}

/// As wide as what it stands for.
fn ascii(symbol: &str) -> char {
    match symbol.chars().next().unwrap_or(' ') {
        '─' | '═' | '━' | '–' | '—' => '-',
        '│' | '║' | '┃' => '|',
        '┌' | '┐' | '└' | '┘' | '╔' | '╗' | '╚' | '╝' | '╨' | '╥' => '+',
        '→' | '▶' => '>',
        '←' | '◀' => '<',
        '●' => '*',
        '○' | '◦' => 'o',
        '✓' => '+',
        '✗' | '╳' => 'X',
        '…' => '~',
        '·' => '-',
        '’' => '\'',
        '÷' => '/',
        '■' => '#',
        '▁' => '_',
        '▂' => '.',
        '▃' => '-',
        '▄' => '=',
        '▅' => '+',
        '▆' => '*',
        '▇' => '%',
        '█' => '#',
        '⏎' => '=',
        '↓' => 'v',
        '↑' => '^',
        _ => '?',
    }
}

/// That of a tone.
pub(super) fn style(tone: Tone) -> Style {
    let style = Style::new();
    match tone {
        Tone::Plain => style,
        Tone::Strong => style.add_modifier(Modifier::BOLD),
        Tone::Faint => style.add_modifier(Modifier::DIM),
        Tone::Good => style.fg(Color::Green),
        Tone::Doubtful => style.fg(Color::Yellow),
        Tone::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Ordered => style.fg(Color::Magenta),
    }
}
