//! One side of a TCP connection, read with a deadline, every byte kept on a tape.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What ended a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The other side closed (or was told to by us).
    Closed,
    /// The other side sent a reset.
    Reset,
    /// Nothing came in time.
    Deadline,
}

/// Bytes as they came.
pub type Tape = Arc<Mutex<Vec<u8>>>;

/// A stream with a read buffer.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    tape: Tape,
    /// Until when reads wait.
    pub deadline: Instant,
}

impl Wire {
    pub fn new(stream: TcpStream, tape: Tape) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            tape,
            deadline: Instant::now() + super::wait::PATIENCE,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn tape(&self) -> Vec<u8> {
        self.tape.lock().unwrap().clone()
    }

    /// Reads up to a line feed, which it includes. What an incomplete line holds so far stays in the buffer.
    pub fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.pending()[looked..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                return Ok(self.take(looked + at + 1));
            }
            looked = self.pending().len();
            self.fill()?;
        }
    }

    /// Reads exactly `count` bytes; on trouble, what came before it stays in the buffer.
    pub fn exact(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        while self.pending().len() < count {
            self.fill()?;
        }
        Ok(self.take(count))
    }

    /// Reads what comes next, at least one byte.
    pub fn some(&mut self) -> Result<Vec<u8>, Trouble> {
        if self.pending().is_empty() {
            self.fill()?;
        }
        let count = self.pending().len();
        Ok(self.take(count))
    }

    /// Reads until the other side closes, resets or the deadline passes; says which.
    pub fn rest(&mut self) -> (Vec<u8>, Trouble) {
        let trouble = loop {
            if let Err(trouble) = self.fill() {
                break trouble;
            }
        };
        let count = self.pending().len();
        (self.take(count), trouble)
    }

    /// What has been received and not been taken yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.buffer[self.start..self.start + count].to_vec();
        self.start += count;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        taken
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        let mut chunk = [0; 65_536];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Deadline);
            }
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Trouble::Closed),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    self.tape.lock().unwrap().extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Trouble::Deadline),
                    ErrorKind::Interrupted => {}
                    _ => return Err(Trouble::Reset),
                },
            }
        }
    }

    /// Ends our half of the connection.
    pub fn finish_writing(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Makes the close a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}
