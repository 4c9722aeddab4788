//! A backend that speaks HTTP/2 frame by frame, for what no library would do.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::port;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// `:status: 200` in HPACK's static table.
pub const OK: &[u8] = &[0x88];

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// One connection, after both prefaces.
pub struct Wire {
    stream: TcpStream,
    /// The number of the connection, from 0.
    pub number: usize,
}

impl Wire {
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend_from_slice(&[kind, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        let _ = self.stream.write_all(&bytes);
    }

    /// The next one.
    pub fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next request: its stream's number. Settings and pings are answered meanwhile.
    pub fn request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.frame()?;
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]),
                (PING, 0) => self.send(PING, ACK, 0, &frame.payload),
                (HEADERS, _) => return Ok(frame.stream),
                _ => {}
            }
        }
    }

    /// A whole answer with a body.
    pub fn answer(&mut self, stream: u32, body: &[u8]) {
        self.send(HEADERS, END_HEADERS, stream, OK);
        self.send(DATA, END_STREAM, stream, body);
    }

    /// `last`: the highest stream that was looked at.
    pub fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload);
    }

    /// The next frame has so long from now on.
    pub fn patience(&self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).unwrap();
    }

    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A backend whose connections do `act`, each on a thread of its own; how many there have been.
pub fn backend(
    act: impl Fn(&mut Wire) -> io::Result<()> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    far_backend(Duration::ZERO, act)
}

/// One whose connections take so long to make, save the first.
pub fn far_backend(
    distance: Duration,
    act: impl Fn(&mut Wire) -> io::Result<()> + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = port::listen();
    let address = listener.local_addr().unwrap();
    let act = Arc::new(act);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = Arc::clone(&act);
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut preface = [0; 24];
                // Those that say nothing are probes.
                if stream.read_exact(&mut preface).is_err() {
                    return;
                }
                let number = counted.fetch_add(1, Ordering::SeqCst);
                if number > 0 {
                    let (_nobody, says) = channel::<()>();
                    let _in_time = says.recv_timeout(distance);
                }
                let mut wire = Wire { stream, number };
                assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
                wire.send(SETTINGS, 0, 0, &[]);
                let _ = act(&mut wire);
                wire.close();
            });
        }
    });
    (address, count)
}
