//! What a key means.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Up,
    Down,
    Left,
    Right,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-U: all that was typed.
    Erase,
    /// Ctrl-C.
    Interrupt,
    Character(char),
}

/// Nothing for keys that mean nothing, and for their release.
pub(super) fn press(key: KeyEvent) -> Option<Press> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let other = key
        .modifiers
        .intersects(KeyModifiers::ALT | KeyModifiers::SUPER);
    match key.code {
        KeyCode::Char('c') if control => Some(Press::Interrupt),
        KeyCode::Char('u') if control => Some(Press::Erase),
        KeyCode::Char('h') if control => Some(Press::Backspace),
        KeyCode::Char(_) if control || other => None,
        KeyCode::Char(character) => Some(Press::Character(character)),
        KeyCode::Up => Some(Press::Up),
        KeyCode::Down => Some(Press::Down),
        KeyCode::Left => Some(Press::Left),
        KeyCode::Right => Some(Press::Right),
        KeyCode::Enter => Some(Press::Enter),
        KeyCode::Esc => Some(Press::Escape),
        KeyCode::Backspace => Some(Press::Backspace),
        _ => None,
    }
}
