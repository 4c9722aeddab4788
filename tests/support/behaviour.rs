//! What an origin does with a request: a function of the exchange. Tests may write their own.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::message;
use super::origin::Exchange;
use super::wait::{PATIENCE, eventually};
use super::wire::Trouble;

/// What happens to the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for another request.
    Keep,
    /// It is closed, after what was sent has been delivered.
    Close,
    /// It is reset.
    Reset,
}

/// What an origin does with a request.
pub type Behaviour = Arc<dyn Fn(&mut Exchange<'_>) -> Next + Send + Sync>;

/// A behaviour from a function.
pub fn custom(act: impl Fn(&mut Exchange<'_>) -> Next + Send + Sync + 'static) -> Behaviour {
    Arc::new(act)
}

/// Reads the request, then answers with `status`, `fields` (lines without ends) and `body`.
pub fn answer(status: u16, fields: &[&str], body: impl AsRef<[u8]>) -> Behaviour {
    let response = response(status, fields, body.as_ref());
    custom(move |exchange| {
        exchange.read_body();
        let bytes = if exchange.head.line.starts_with("HEAD ") {
            let end = response.windows(4).position(|four| four == b"\r\n\r\n");
            &response[..end.map_or(response.len(), |end| end + 4)]
        } else {
            &response[..]
        };
        exchange.send(bytes)
    })
}

/// Reads the request, then answers 200 with `body`.
pub fn ok(body: impl AsRef<[u8]>) -> Behaviour {
    answer(200, &[], body)
}

/// A complete response with a fixed length.
pub fn response(status: u16, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n",
        body.len()
    );
    for field in fields {
        bytes.push_str(field);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Answers 200 with the request as it was seen: line and fields, an empty line, the body.
pub fn echo() -> Behaviour {
    custom(|exchange| {
        let body = exchange.read_body();
        let mut text = format!("{}\n", exchange.head.line);
        for (name, value) in &exchange.head.fields {
            text.push_str(&format!("{name}: {value}\n"));
        }
        let mut bytes: Vec<u8> = text.chars().map(|character| character as u8).collect();
        bytes.push(b'\n');
        bytes.extend_from_slice(&body.bytes);
        let head = exchange.head.line.starts_with("HEAD ");
        let mut reply = response(200, &["Content-Type: text/plain"], &bytes);
        if head {
            reply.truncate(reply.len() - bytes.len());
        }
        exchange.send(&reply)
    })
}

/// Reads the request, then sends `bytes` as they are, and goes on as `next` says.
pub fn raw(bytes: impl AsRef<[u8]>, next: Next) -> Behaviour {
    let bytes = bytes.as_ref().to_vec();
    custom(move |exchange| {
        exchange.read_body();
        exchange.send(&bytes);
        next
    })
}

/// Sends `bytes` as soon as the head is in, and only then reads the body.
pub fn early(bytes: impl AsRef<[u8]>) -> Behaviour {
    let bytes = bytes.as_ref().to_vec();
    custom(move |exchange| {
        exchange.send(&bytes);
        exchange.read_body();
        Next::Keep
    })
}

/// Sends `bytes` as soon as the head is in, and closes without reading the body.
pub fn early_and_close(bytes: impl AsRef<[u8]>) -> Behaviour {
    let bytes = bytes.as_ref().to_vec();
    custom(move |exchange| {
        exchange.send(&bytes);
        Next::Close
    })
}

/// Sends `bytes` as soon as the head is in, and resets the connection, as a server does that closes what it hasn't read.
pub fn early_and_reset(bytes: impl AsRef<[u8]>) -> Behaviour {
    let bytes = bytes.as_ref().to_vec();
    custom(move |exchange| {
        exchange.send(&bytes);
        Next::Reset
    })
}

/// Reads everything, never answers.
pub fn hang() -> Behaviour {
    custom(|exchange| {
        exchange.read_body();
        exchange.wait_for_end();
        Next::Close
    })
}

/// Does as `then` does, once `open` is set.
pub fn gated(open: &Arc<AtomicBool>, then: Behaviour) -> Behaviour {
    let open = Arc::clone(open);
    custom(move |exchange| {
        eventually(PATIENCE, "the gate opens", || open.load(Ordering::SeqCst));
        then(exchange)
    })
}

/// Reads the head, then neither reads nor answers.
pub fn never_read() -> Behaviour {
    custom(|exchange| {
        exchange.wait_for_stop();
        Next::Reset
    })
}

/// Resets the connection as soon as a request's head is in.
pub fn reset() -> Behaviour {
    custom(|_| Next::Reset)
}

/// Closes the connection as soon as a request has been read, without an answer.
pub fn close() -> Behaviour {
    custom(|exchange| {
        exchange.read_body();
        Next::Close
    })
}

/// Answers 200 with `body`, `step` bytes at a time with a pause in between.
pub fn drip(body: impl AsRef<[u8]>, step: usize, pause: Duration) -> Behaviour {
    let bytes = response(200, &[], body.as_ref());
    custom(move |exchange| {
        exchange.read_body();
        for part in bytes.chunks(step) {
            if exchange.send(part) == Next::Close {
                return Next::Close;
            }
            std::thread::sleep(pause);
        }
        Next::Keep
    })
}

/// Answers with an endless stream of events, `pause` apart, until the other side is gone.
pub fn events(pause: Duration) -> Behaviour {
    custom(move |exchange| {
        exchange.read_body();
        talk(exchange, pause)
    })
}

/// The same, without waiting for the request's body.
pub fn early_events(pause: Duration) -> Behaviour {
    custom(move |exchange| talk(exchange, pause))
}

fn talk(exchange: &mut Exchange<'_>, pause: Duration) -> Next {
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut next = exchange.send(head);
    while next == Next::Keep {
        next = exchange.send(&chunk(b"data: still here\n\n"));
        std::thread::sleep(pause);
    }
    Next::Close
}

/// Thinks for `pause`, then does as `then` does.
pub fn after(pause: Duration, then: Behaviour) -> Behaviour {
    custom(move |exchange| {
        exchange.read_body();
        std::thread::sleep(pause);
        then(exchange)
    })
}

/// Promises `length` bytes, sends `body`, and closes.
pub fn cut(length: usize, body: impl AsRef<[u8]>) -> Behaviour {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body.as_ref());
    raw(bytes, Next::Close)
}

/// Sends one chunk of a chunked body and closes before the last one.
pub fn cut_chunked(body: impl AsRef<[u8]>) -> Behaviour {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    bytes.extend(chunk(body.as_ref()));
    raw(bytes, Next::Close)
}

/// Sends a chunked response with trailers (lines without ends).
pub fn chunked(parts: &[&[u8]], trailers: &[&str]) -> Behaviour {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n".to_vec();
    if !trailers.is_empty() {
        let names: Vec<&str> = trailers
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        bytes.extend_from_slice(format!("Trailer: {}\r\n", names.join(", ")).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    for part in parts {
        bytes.extend(chunk(part));
    }
    bytes.extend_from_slice(b"0\r\n");
    for trailer in trailers {
        bytes.extend_from_slice(trailer.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    raw(bytes, Next::Keep)
}

/// One chunk.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Answers 200 with a body of `length` bytes, made on the fly; stops when the other side does.
pub fn huge(length: u64) -> Behaviour {
    custom(move |exchange| {
        exchange.read_body();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let block = vec![b'x'; 65_536];
        let mut left = length;
        let mut next = exchange.send(head.as_bytes());
        while left > 0 && next == Next::Keep {
            let count = left.min(block.len() as u64) as usize;
            next = exchange.send(&block[..count]);
            if next == Next::Keep {
                left -= count as u64;
                exchange.count_sent(count as u64);
            }
        }
        next
    })
}

/// Answers 200 with a body of known length that comes in `spurts`, so many bytes each; the next one comes when all before it have been
/// `received`.
pub fn halting(spurts: &'static [u64], received: Arc<AtomicU64>) -> Behaviour {
    custom(move |exchange| {
        exchange.read_body();
        let length: u64 = spurts.iter().sum();
        let mut next = exchange
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let mut sent = 0;
        for &spurt in spurts {
            eventually(PATIENCE, "all so far has arrived", || {
                received.load(Ordering::Relaxed) == sent
            });
            sent += spurt;
            next = exchange.send(&vec![b'x'; spurt as usize]);
        }
        next
    })
}

/// A body that ends with the connection.
pub fn until_close(body: impl AsRef<[u8]>) -> Behaviour {
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    bytes.extend_from_slice(body.as_ref());
    raw(bytes, Next::Close)
}

/// Interim responses (complete raw messages) before a final one.
pub fn interim(interims: &[&str], last: Vec<u8>) -> Behaviour {
    let mut bytes = interims.concat().into_bytes();
    bytes.extend(last);
    raw(bytes, Next::Keep)
}

/// Switches protocols as asked, then sends everything back in upper case. Ends its half after the other side ended its own,
/// with a last `bye`, so that half-close is visible in both directions.
pub fn upgrade() -> Behaviour {
    custom(|exchange| {
        exchange.read_body();
        let Some(protocol) = exchange.head.field("upgrade").map(str::to_owned) else {
            return exchange.send(&response(426, &["Connection: close"], b"no upgrade asked"));
        };
        // The answer to the sample key of RFC 6455, which every test uses: some proxies check it.
        exchange.send(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            )
            .as_bytes(),
        );
        loop {
            match exchange.some() {
                Ok(bytes) => {
                    exchange.send(&bytes.to_ascii_uppercase());
                }
                Err(Trouble::Closed) => {
                    exchange.send(b"bye");
                    return Next::Close;
                }
                Err(_) => return Next::Reset,
            }
        }
    })
}

/// Asks for the body with `100 Continue` where the request expects it, then does as `then` does.
pub fn asking_for_the_body(then: Behaviour) -> Behaviour {
    custom(move |exchange| {
        let expects = exchange.head.all("expect");
        if expects
            .iter()
            .any(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        then(exchange)
    })
}

/// Passes health checks, whatever the traffic meets.
pub fn healthy() -> Behaviour {
    answer(200, &[], "healthy")
}

impl Exchange<'_> {
    /// Sends `bytes`; `Close` when the other side is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Next {
        match self.wire.stream().write_all(bytes) {
            Ok(()) => Next::Keep,
            Err(_) => Next::Close,
        }
    }

    /// Ends the origin's half of the connection.
    pub fn finish_writing(&self) {
        self.wire.finish_writing();
    }

    /// Whatever comes next.
    pub fn some(&mut self) -> Result<Vec<u8>, Trouble> {
        self.wire.some()
    }

    /// Reads the request's body; what came of it is kept also when it is cut.
    pub fn read_body(&mut self) -> message::Body {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let (body, complete) = match message::read_body(self.wire, self.framing) {
            Ok(body) => (body, true),
            Err((body, _)) => (body, false),
        };
        self.note_body(&body, complete);
        self.body = Some(body.clone());
        body
    }
}
