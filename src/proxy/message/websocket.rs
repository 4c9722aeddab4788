//! Where a WebSocket's frames end, and what is said to a client whose zone was left. Pure.
//!
//! A tunnel passes bytes on as they are. This only counts them, so that a close frame is never put into the middle of
//! another frame, where the client would take it for payload.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// A close frame from server to client (RFC 6455, 5.5.1), with status 1012, service restart (IANA registry of close codes):
/// come back, but not all at once.
pub(crate) const RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];

/// `Sec-WebSocket-Key` (RFC 6455 4.1) out of a random number.
pub(crate) fn key(random: u128) -> HeaderValue {
    header(&random.to_be_bytes())
}

/// The `Sec-WebSocket-Accept` by which a server shows that it has understood `key` (RFC 6455 4.2.2).
pub(crate) fn accept(key: &HeaderValue) -> HeaderValue {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    header(hash.finish().as_ref())
}

fn header(bytes: &[u8]) -> HeaderValue {
    HeaderValue::try_from(STANDARD.encode(bytes)).unwrap_or(HeaderValue::from_static(""))
}

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Of the current frame's head, as far as it has passed.
    head: [u8; 14],
    length: usize,
    /// Bytes of the current frame's payload that are still to pass.
    payload: u64,
}

impl Frames {
    /// These bytes pass.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let taken =
                    usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            self.head[self.length] = byte;
            self.length += 1;
            bytes = rest;
            if let Some(payload) = self.payload_of_head() {
                self.payload = payload;
                self.length = 0;
            }
        }
    }

    /// Whether all frames that have begun have also ended.
    pub(crate) fn at_boundary(&self) -> bool {
        self.length == 0 && self.payload == 0
    }

    /// The payload's length, once the head is complete (RFC 6455, 5.2).
    fn payload_of_head(&self) -> Option<u64> {
        let second = *self.head[..self.length].get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            short => return (self.length == 2 + mask).then_some(u64::from(short)),
        };
        if self.length < 2 + extended + mask {
            return None;
        }
        let length = &self.head[2..2 + extended];
        Some(
            length
                .iter()
                .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u64, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend(vec![0xaa; if masked { 4 } else { 0 }]);
        frame.extend(vec![0x88; length as usize]);
        frame
    }

    #[test]
    fn a_boundary_is_found_after_each_frame_and_nowhere_else() {
        let sizes = [0, 1, 125, 126, 127, 65_535, 65_536];
        let frames: Vec<Vec<u8>> = sizes
            .iter()
            .flat_map(|size| [frame(*size, false), frame(*size, true)])
            .collect();
        let mut watched = Frames::default();
        assert!(watched.at_boundary());
        for frame in &frames {
            for byte in &frame[..frame.len() - 1] {
                watched.pass(&[*byte]);
                assert!(!watched.at_boundary());
            }
            watched.pass(&frame[frame.len() - 1..]);
            assert!(watched.at_boundary(), "{} bytes", frame.len());
        }
        // All at once, and in pieces that know nothing of frames.
        let all = frames.concat();
        for piece in [all.len(), 3, 1000] {
            let mut watched = Frames::default();
            all.chunks(piece).for_each(|piece| watched.pass(piece));
            assert!(watched.at_boundary());
        }
    }

    #[test]
    fn a_key_is_accepted_as_rfc_6455_has_it() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_we_say_is_a_frame_of_its_own() {
        let mut watched = Frames::default();
        watched.pass(&RESTART);
        assert!(watched.at_boundary());
        assert_eq!(u16::from_be_bytes([RESTART[2], RESTART[3]]), 1012);
    }
}
