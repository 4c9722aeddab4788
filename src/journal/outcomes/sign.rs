//! What live requests saw as part of a line, and back.

use serde_json::{Value, json};

use super::line::{from_milliseconds, milliseconds};
use crate::outcome::{Sign, Silence, Trouble};

pub(super) fn fields(sign: Sign) -> Value {
    match sign {
        Sign::Trouble(trouble) => json!({"trouble": trouble.to_string()}),
        Sign::Silence(Silence { lasted, usual }) => json!({
            "silent_ms": milliseconds(lasted),
            "usual_ms": usual.map(milliseconds),
        }),
    }
}

pub(super) fn read(line: &Value) -> Option<Sign> {
    if let Some(words) = line["trouble"].as_str() {
        return Some(Sign::Trouble(trouble(words)));
    }
    Some(Sign::Silence(Silence {
        lasted: from_milliseconds(&line["silent_ms"])?,
        usual: from_milliseconds(&line["usual_ms"]),
    }))
}

/// One that is not known here asks for a probe as any other does.
fn trouble(words: &str) -> Trouble {
    let all = [
        Trouble::Connect,
        Trouble::ConnectTimeout,
        Trouble::Handshake,
        Trouble::Reset,
        Trouble::ResponseTimeout,
        Trouble::Protocol,
        Trouble::ServerError,
    ];
    let found = all.into_iter().find(|known| known.to_string() == words);
    found.unwrap_or(Trouble::Reset)
}
