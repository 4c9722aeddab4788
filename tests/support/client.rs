//! A client that sends bytes and reads strictly.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::message::{self, Body, Framing, Head};
use super::wait::PATIENCE;
use super::wire::{Tape, Trouble, Wire};

/// A complete response.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The interim responses before it, in order.
    pub interims: Vec<Head>,
}

/// Why there is no complete response.
#[derive(Clone, Debug)]
pub enum Broken {
    /// Not one byte of a response before the end of the connection.
    NoResponse(Trouble),
    /// The head ended in the middle.
    Head(Trouble, Vec<u8>),
    /// The body ended in the middle; the response as far as it came.
    Body(Trouble, Box<Response>),
}

impl Response {
    /// The only value of a field.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }

    pub fn text(&self) -> String {
        message::latin1(&self.body)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// One connection.
pub struct RawClient {
    wire: Wire,
}

impl RawClient {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            wire: Wire::new(stream, Tape::default()),
        })
    }

    /// Sends all of `bytes`. A failure is left to the read that follows, which says more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.wire.stream().write_all(bytes.as_ref());
        self
    }

    /// As `send`, but says whether it went.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.wire.stream().write_all(bytes.as_ref())
    }

    /// The next final response (interim ones are collected in it), to a request with `method`, within `limit`.
    pub fn response_within(&mut self, method: &str, limit: Duration) -> Result<Response, Broken> {
        self.wire.deadline = Instant::now() + limit;
        let mut response = Response::default();
        loop {
            let mut head = match message::read_head(&mut self.wire) {
                Ok(head) => head,
                Err(trouble) if self.wire.pending().is_empty() && response.interims.is_empty() => {
                    return Err(Broken::NoResponse(trouble));
                }
                Err(trouble) => return Err(Broken::Head(trouble, self.wire.pending().to_vec())),
            };
            response.framing = message::response_framing(&mut head, method);
            response.status = message::status(&head).unwrap_or(0);
            if (100..200).contains(&response.status) && response.status != 101 {
                response.interims.push(head);
                continue;
            }
            response.head = head;
            break;
        }
        let fill = |response: &mut Response, body: Body| {
            response.body = body.bytes;
            response.trailers = body.trailers;
            response.head.flaws.extend(body.flaws);
        };
        match message::read_body(&mut self.wire, response.framing) {
            Ok(body) => {
                fill(&mut response, body);
                Ok(response)
            }
            Err((body, trouble)) => {
                fill(&mut response, body);
                Err(Broken::Body(trouble, Box::new(response)))
            }
        }
    }

    /// The next final response to a request with `method`; panics when there is none.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        match self.response_within(method, PATIENCE) {
            Ok(response) => response,
            Err(broken) => panic!("no response to {method}: {broken:?}"),
        }
    }

    /// The next final response to anything but HEAD; panics when there is none.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next head alone, interim or final.
    #[track_caller]
    pub fn head(&mut self) -> Head {
        self.wire.deadline = Instant::now() + PATIENCE;
        let mut head = message::read_head(&mut self.wire).expect("a head");
        let _ = message::response_framing(&mut head, "GET");
        head
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Response {
        let method = message::latin1(request.as_ref());
        let method = method.split(' ').next().unwrap_or_default().to_owned();
        self.send(request).response_to(&method)
    }

    /// As `exchange`, with `first` right before the request.
    #[track_caller]
    pub fn exchange_after(&mut self, first: &[u8], request: &str) -> Response {
        let method = request.split(' ').next().unwrap_or_default();
        self.send([first, request.as_bytes()].concat())
            .response_to(method)
    }

    /// Whatever comes next, at least one byte.
    pub fn some(&mut self, limit: Duration) -> Result<Vec<u8>, Trouble> {
        self.wire.deadline = Instant::now() + limit;
        self.wire.some()
    }

    /// Exactly `count` bytes.
    pub fn exact(&mut self, count: usize) -> Result<Vec<u8>, Trouble> {
        self.wire.deadline = Instant::now() + PATIENCE;
        self.wire.exact(count)
    }

    /// Everything until the end of the connection, and how it ended (`Deadline`: it did not).
    pub fn rest(&mut self, limit: Duration) -> (Vec<u8>, Trouble) {
        self.wire.deadline = Instant::now() + limit;
        self.wire.rest()
    }

    /// Whether the proxy ends the connection, cleanly or not, within `limit`.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        self.rest(limit).1 != Trouble::Deadline
    }

    /// Makes sends give up after `limit` without progress.
    pub fn limit_writes(&self, limit: Duration) {
        self.wire.stream().set_write_timeout(Some(limit)).unwrap();
    }

    /// The same connection again, for writing while the other one reads.
    pub fn second_hand(&self) -> Self {
        Self {
            wire: Wire::new(self.wire.stream().try_clone().unwrap(), Tape::default()),
        }
    }

    /// Every byte received so far.
    pub fn tape(&self) -> Vec<u8> {
        self.wire.tape()
    }

    pub fn local_address(&self) -> SocketAddr {
        self.wire.stream().local_addr().unwrap()
    }

    /// Ends our half of the connection.
    pub fn finish_writing(&self) {
        self.wire.finish_writing();
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }
}

/// `GET path` with a Host on a connection of its own.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> Response {
    RawClient::connect(address).exchange(format!(
        "GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"
    ))
}
