//! Interim responses (1xx): RFC 9110 15.2 has a proxy forward them, and hyper's server can't send any but 100.
//!
//! So they are found in what comes from the backend, before hyper's client sees (and drops) them, and their heads go out
//! through the client's socket itself, at the one time when that is safe: hyper has flushed everything it had, and the final
//! response has not been handed to it yet. Where that isn't so (an earlier, pipelined response is still being sent) an
//! interim response is dropped, which harms nobody: it is advice. hyper's own callback would serve as well, but has to be
//! allocated and put into the request's extensions for every request.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use super::headers;
use super::survey::Survey;

/// The search for interim responses before one final response.
#[derive(Debug, Default)]
pub(crate) struct Interim {
    /// The final response has begun: nothing to search for.
    over: bool,
    /// The beginning of a head that came in pieces.
    piece: Vec<u8>,
    /// Heads to be sent on.
    out: Vec<u8>,
    continued: bool,
}

/// Fields of an interim response, at most.
const FIELDS: usize = 64;
/// Bytes of an interim response, at most.
const HEAD: usize = 16 * 1024;

impl Interim {
    /// A new request is about to be sent.
    pub(crate) fn reset(&mut self) {
        self.over = false;
        self.continued = false;
        self.piece.clear();
        self.out.clear();
    }

    /// The backend has asked for the body.
    pub(crate) fn is_continued(&self) -> bool {
        self.continued
    }

    /// Heads to be sent on, each with its status.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// Takes note of one that has come over HTTP/2.
    pub(crate) fn note(&mut self, response: Response<()>) {
        let (parts, ()) = response.into_parts();
        self.tell(parts.status, parts.headers);
    }

    fn tell(&mut self, status: StatusCode, mut fields: HeaderMap) {
        match status {
            StatusCode::CONTINUE => {
                self.continued = true;
                // With `Expect`, hyper gives the client its 100 when the body is first wanted.
                write_head(StatusCode::CONTINUE, &HeaderMap::new(), &mut self.out);
            }
            // Over HTTP/2 it means nothing.
            StatusCode::SWITCHING_PROTOCOLS => {}
            status => {
                let found = Survey::of(&fields);
                headers::clean_response(&mut fields, &found, status, Version::HTTP_11);
                fields.remove(http::header::CONTENT_LENGTH);
                write_head(status, &fields, &mut self.out);
            }
        }
    }

    /// Looks at bytes that have just come from the backend.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        // The usual case, in one comparison: a final response that begins with these bytes.
        if self.over || (self.piece.is_empty() && bytes.len() > 9 && bytes[9] != b'1') {
            self.over = true;
            return;
        }
        self.piece.extend_from_slice(bytes);
        while !self.over && !self.piece.is_empty() {
            match self.parse() {
                Parsed::Interim(length) => drop(self.piece.drain(..length)),
                Parsed::Partial if self.piece.len() <= HEAD => return,
                Parsed::Partial | Parsed::Final => self.over = true,
            }
        }
        self.piece.clear();
    }

    fn parse(&mut self) -> Parsed {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(&self.piece) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Parsed::Partial,
            // hyper will say what is wrong with it.
            Err(_) => return Parsed::Final,
        };
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok());
        match status {
            Some(status)
                if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS =>
            {
                let mut map = HeaderMap::new();
                for field in response.headers.iter() {
                    if let (Ok(name), Ok(value)) = (
                        HeaderName::from_bytes(field.name.as_bytes()),
                        HeaderValue::from_bytes(field.value),
                    ) {
                        map.append(name, value);
                    }
                }
                self.tell(status, map);
                Parsed::Interim(length)
            }
            _ => Parsed::Final,
        }
    }
}

/// Heads of interim responses that an [`Interim`] has found, one by one.
pub(crate) fn responses(mut heads: &[u8]) -> impl Iterator<Item = Response<()>> {
    std::iter::from_fn(move || {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = head.parse(heads) else {
            return None;
        };
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(head.code?).ok()?;
        for field in head.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(field.value).ok()?;
            response.headers_mut().append(name, value);
        }
        heads = &heads[length..];
        Some(response)
    })
}

enum Parsed {
    /// An interim response of this many bytes.
    Interim(usize),
    Partial,
    Final,
}

fn write_head(status: StatusCode, fields: &HeaderMap, out: &mut Vec<u8>) {
    let reason = status.canonical_reason().unwrap_or("");
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: x\r\nx: 1\r\n\r\n";
    const FINAL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn interim_responses_are_found_however_they_are_cut() {
        let mut bytes = HINTS.to_vec();
        bytes.extend_from_slice(FINAL);
        for cut in 1..bytes.len() {
            let mut interim = Interim::default();
            interim.see(&bytes[..cut]);
            interim.see(&bytes[cut..]);
            let out = interim.take().expect("a head");
            let text = String::from_utf8(out).expect("text");
            assert_eq!(
                text, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nvia: 1.1 firedoor\r\n\r\n",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_final_response_and_an_upgrade_are_left_alone() {
        for bytes in [
            FINAL,
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"nonsense here",
        ] {
            let mut interim = Interim::default();
            interim.see(bytes);
            assert!(interim.take().is_none());
            interim.see(HINTS);
            assert!(interim.take().is_none(), "bytes of a body aren't searched");
        }
    }
}
