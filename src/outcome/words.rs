//! What went wrong with another side, as an operator says it: for the outcomes of probes, and for the log of the data path.

pub(crate) mod tls;

use std::io;

/// An error of a socket as an operator says it, without the number that only a manual page explains.
pub(crate) fn of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::ConnectionAborted => "connection aborted".into(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "connection closed by the other side".into()
        }
        io::ErrorKind::HostUnreachable => "host unreachable".into(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        io::ErrorKind::TimedOut => "connection timed out".into(),
        io::ErrorKind::AddrNotAvailable => "no local port left to connect from".into(),
        _ => error.to_string(),
    }
}

/// What another side said, fit for a log line: one line, no control characters, at most `limit` characters.
pub(crate) fn plain(said: &str, limit: usize) -> String {
    let mut plain = String::new();
    let mut words = said.split(|c: char| c.is_control() || c.is_whitespace());
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        let gap = usize::from(!plain.is_empty());
        let room = limit.saturating_sub(plain.chars().count() + gap);
        if gap == 1 {
            plain.push(' ');
        }
        plain.extend(word.chars().take(room));
        if word.chars().count() > room {
            plain.push('…');
            break;
        }
    }
    plain
}
