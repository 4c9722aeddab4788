//! Strict reading of HTTP/1.1 messages, with every deviation noted.
//!
//! Hand-made on purpose: a battery that judged a proxy by the parser that the proxy itself uses would share its mistakes.
//! Octets become characters one to one (Latin-1), so that nothing is lost and texts can be compared.

use super::wire::{Trouble, Wire};

/// A head: the start line and the fields, in order, names as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub line: String,
    pub fields: Vec<(String, String)>,
    /// What RFC 9112 does not allow a sender to write.
    pub flaws: Vec<String>,
}

impl Head {
    /// All values of a field, in order; the name in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.fields, name)
    }

    /// The only value of a field; panics when there are several, since a test that reads one must not overlook another.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        only(&self.fields, name)
    }
}

/// All values of a field, in order; the name in any case.
pub fn all<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .collect()
}

/// The only value of a field.
#[track_caller]
pub fn only<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let values = all(fields, name);
    assert!(values.len() <= 1, "several {name}: {values:?}");
    values.first().copied()
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body as it was framed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub flaws: Vec<String>,
}

/// Octets as characters.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Reads a head. Empty lines before it are skipped and noted as a flaw.
pub fn read_head(wire: &mut Wire) -> Result<Head, Trouble> {
    let mut head = Head::default();
    let mut line = text(&wire.line()?, &mut head.flaws);
    while line.is_empty() {
        head.flaws.push("empty line before the start line".into());
        line = text(&wire.line()?, &mut head.flaws);
    }
    head.line = line;
    read_fields(wire, &mut head.fields, &mut head.flaws)?;
    Ok(head)
}

/// Notes what is wrong with a request head, and says how its body is delimited.
pub fn request_framing(head: &mut Head) -> Framing {
    let parts: Vec<&str> = head.line.split(' ').collect();
    let sound = parts.len() == 3
        && is_token(parts[0])
        && !parts[1].is_empty()
        && !parts[1].bytes().any(|byte| byte.is_ascii_control())
        && matches!(parts[2], "HTTP/1.1" | "HTTP/1.0");
    if !sound {
        head.flaws.push(format!("request line {:?}", head.line));
    }
    match head.all("host")[..] {
        [_] => {}
        [] if head.line.ends_with(" HTTP/1.0") => {}
        [] => head.flaws.push("no Host".into()),
        _ => head.flaws.push("several Host".into()),
    }
    if head.line.ends_with(" HTTP/1.0") && !head.all("transfer-encoding").is_empty() {
        head.flaws.push("Transfer-Encoding in HTTP/1.0".into());
    }
    framing(head, Framing::None)
}

/// Notes what is wrong with a response head, and says how its body is delimited. `method` is that of the request.
pub fn response_framing(head: &mut Head, method: &str) -> Framing {
    let status = status(head);
    if status.is_none() || !head.line.starts_with("HTTP/1.1 ") {
        head.flaws.push(format!("status line {:?}", head.line));
    }
    let bodiless = matches!(status, Some(100..=199 | 204 | 304));
    let delimited = framing(head, Framing::UntilClose);
    if bodiless || method == "HEAD" {
        Framing::None
    } else {
        delimited
    }
}

/// The status of a response head.
pub fn status(head: &Head) -> Option<u16> {
    let rest = head
        .line
        .strip_prefix("HTTP/1.")
        .filter(|rest| rest.len() >= 5)?;
    rest.get(2..5)?.parse().ok()
}

fn framing(head: &mut Head, otherwise: Framing) -> Framing {
    let lengths: Vec<String> = head
        .all("content-length")
        .iter()
        .map(ToString::to_string)
        .collect();
    let codings: Vec<String> = head
        .all("transfer-encoding")
        .iter()
        .map(ToString::to_string)
        .collect();
    if lengths.len() > 1 {
        head.flaws.push("several Content-Length".into());
    }
    if !codings.is_empty() && !lengths.is_empty() {
        head.flaws
            .push("Content-Length beside Transfer-Encoding".into());
    }
    if !codings.is_empty() {
        if codings.len() > 1 || !codings[0].eq_ignore_ascii_case("chunked") {
            head.flaws.push(format!("Transfer-Encoding {codings:?}"));
        }
        return Framing::Chunked;
    }
    let Some(length) = lengths.first() else {
        return otherwise;
    };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        head.flaws.push(format!("Content-Length {length:?}"));
    }
    length.parse().map_or(otherwise, Framing::Length)
}

/// Reads a body; on trouble, with what came before it.
pub fn read_body(wire: &mut Wire, framing: Framing) -> Result<Body, (Body, Trouble)> {
    let mut body = Body::default();
    let result = match framing {
        Framing::None => Ok(()),
        Framing::Length(length) => read_length(wire, length, &mut body.bytes),
        Framing::Chunked => read_chunks(wire, &mut body),
        Framing::UntilClose => {
            let (bytes, trouble) = wire.rest();
            body.bytes = bytes;
            if trouble == Trouble::Closed {
                Ok(())
            } else {
                Err(trouble)
            }
        }
    };
    match result {
        Ok(()) => Ok(body),
        Err(trouble) => Err((body, trouble)),
    }
}

fn read_length(wire: &mut Wire, length: u64, bytes: &mut Vec<u8>) -> Result<(), Trouble> {
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    while left > 0 {
        let count = left.min(wire.pending().len().max(1));
        bytes.extend(wire.exact(count)?);
        left -= count;
    }
    Ok(())
}

fn read_chunks(wire: &mut Wire, body: &mut Body) -> Result<(), Trouble> {
    loop {
        let line = text(&wire.line()?, &mut body.flaws);
        let (digits, extension) = line.split_at(line.find(';').unwrap_or(line.len()));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            body.flaws.push(format!("chunk size {digits:?}"));
            return Err(Trouble::Closed);
        }
        if extension
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            body.flaws.push(format!("chunk extension {extension:?}"));
        }
        let Ok(size) = u64::from_str_radix(digits, 16) else {
            body.flaws.push(format!("chunk size {digits:?}"));
            return Err(Trouble::Closed);
        };
        if size == 0 {
            return read_fields(wire, &mut body.trailers, &mut body.flaws);
        }
        read_length(wire, size, &mut body.bytes)?;
        let end = wire.exact(2)?;
        if end != b"\r\n" {
            body.flaws
                .push(format!("chunk data ends with {:?}", latin1(&end)));
            return Err(Trouble::Closed);
        }
    }
}

fn read_fields(
    wire: &mut Wire,
    fields: &mut Vec<(String, String)>,
    flaws: &mut Vec<String>,
) -> Result<(), Trouble> {
    loop {
        let line = text(&wire.line()?, flaws);
        if line.is_empty() {
            return Ok(());
        }
        let Some((name, value)) = line.split_once(':') else {
            flaws.push(format!("field line without a colon {line:?}"));
            continue;
        };
        if !is_token(name) {
            flaws.push(format!("field name {name:?}"));
        }
        let value = value.trim_matches([' ', '\t']);
        // Other control characters are invalid too, but may be retained (RFC 9110 §5.5); these are the ones that break parsers.
        if value.contains(['\0', '\r', '\n']) {
            flaws.push(format!(
                "control character in the value of {name}: {value:?}"
            ));
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
}

/// A line without its end, which must be CRLF. A carriage return within it is noted.
fn text(line: &[u8], flaws: &mut Vec<String>) -> String {
    let bare = if let Some(bare) = line.strip_suffix(b"\r\n") {
        bare
    } else {
        flaws.push(format!("bare LF after {:?}", latin1(line)));
        line.strip_suffix(b"\n").unwrap_or(line)
    };
    if bare.contains(&b'\r') {
        flaws.push(format!("bare CR in {:?}", latin1(bare)));
    }
    latin1(bare)
}

/// Whether `name` is a token (RFC 9110 §5.6.2).
pub fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
