//! HTTP/2 by hand: frames as bytes, for what no library would send, and a strict reading of what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::wait::PATIENCE;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITISED: u8 = 0x20;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// Bytes of a frame, whether it may be so or not.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A field of a header block: a literal that is never indexed, without Huffman (RFC 7541 6.2.3).
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name.as_ref(), value.as_ref()] {
        integer(&mut bytes, text.len());
        bytes.extend_from_slice(text);
    }
    bytes
}

/// With a prefix of seven bits (RFC 7541 5.1).
fn integer(bytes: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        bytes.push(value as u8);
        return;
    }
    bytes.push(127);
    value -= 127;
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
}

/// A header block.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// The pseudo-fields of a request, and further fields.
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "app.example"),
    ];
    fields.extend_from_slice(more);
    block(&fields)
}

/// `GET` in one frame.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let flags = END_HEADERS | END_STREAM;
    frame(HEADERS, flags, stream, request("GET", path, &[]))
}

/// `POST` whose body follows.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, request("POST", path, &[]))
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(value.to_be_bytes());
    bytes
}

/// One connection.
pub struct Wire {
    pub socket: TcpStream,
    rest: Vec<u8>,
    /// Whether PING and SETTINGS are answered as they come.
    pub polite: bool,
}

/// How a connection ends, or what comes instead of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// GOAWAY with this code.
    Goaway(u32),
    /// The connection is closed without a word.
    Closed,
    /// Nothing, for so long as was waited.
    Silence,
}

impl Wire {
    /// Connected, and nothing said.
    pub fn silent(address: SocketAddr) -> Self {
        let socket = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            rest: Vec::new(),
            polite: true,
        }
    }

    /// After the preface and the settings of both sides.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[])
    }

    /// With settings of its own.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut wire = Self::silent(address);
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| setting(*id, *value))
            .collect();
        wire.send(PREFACE).send(frame(SETTINGS, 0, 0, settings));
        let first = wire.next(PATIENCE).expect("settings");
        assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
        wire.until(|frame| frame.kind == SETTINGS && frame.flags == ACK);
        wire
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("sent");
        self
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.socket.write_all(bytes.as_ref())
    }

    /// The next frame, or how it ends instead.
    pub fn next(&mut self, limit: Duration) -> Result<Frame, Outcome> {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = self.take() {
                if self.polite && found.flags & ACK == 0 && matches!(found.kind, PING | SETTINGS) {
                    let answer = match found.kind {
                        PING => frame(PING, ACK, 0, &found.payload),
                        _ => frame(SETTINGS, ACK, 0, []),
                    };
                    let _ended = self.try_send(answer);
                }
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Outcome::Silence);
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 16 * 1024];
            match self.socket.read(&mut bytes) {
                Ok(0) => return Err(Outcome::Closed),
                Ok(count) => self.rest.extend_from_slice(&bytes[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(Outcome::Silence);
                }
                // A read with a limit isn't taken up again by itself when the process had been stopped.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Outcome::Closed),
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.rest.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (kind, flags) = (head[3], head[4]);
        let payload = self.rest.get(9..9 + length)?.to_vec();
        self.rest.drain(..9 + length);
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }

    /// The next frame that is meant.
    #[track_caller]
    pub fn until(&mut self, is_meant: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            match self.next(PATIENCE) {
                Ok(frame) if is_meant(&frame) => return frame,
                Ok(_) => {}
                Err(outcome) => panic!("{outcome:?}"),
            }
        }
    }

    /// The end of the connection, within `limit`.
    pub fn outcome(&mut self, limit: Duration) -> Outcome {
        let end = Instant::now() + limit;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Ok(frame) if frame.kind == GOAWAY => return Outcome::Goaway(frame.code()),
                Ok(_) => {}
                Err(outcome) => return outcome,
            }
        }
    }

    /// Whether it still answers: a PING comes back.
    pub fn lives(&mut self) -> bool {
        let mark = *b"living??";
        if self.try_send(frame(PING, 0, 0, mark)).is_err() {
            return false;
        }
        loop {
            match self.next(PATIENCE) {
                Ok(frame) if frame.kind == PING && frame.payload == mark => return true,
                Ok(frame) if frame.kind == GOAWAY && frame.code() != 0 => return false,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

impl Frame {
    /// The code of a GOAWAY or RST_STREAM.
    #[track_caller]
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}
