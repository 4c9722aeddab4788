//! Sixteen ways to take much and give little. Each is a conversation that goes on until the proxy ends it or the test does.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What one kind of attacker does.
pub struct Attack {
    pub name: &'static str,
    /// How many do it at once.
    pub connections: usize,
    /// By when each must have been cut, from its connecting.
    pub limit: Duration,
    pub act: fn(&mut Attacker<'_>),
}

/// One attacker's connection.
pub struct Attacker<'a> {
    stream: TcpStream,
    stop: &'a AtomicBool,
    /// What the proxy said, as far as the attacker read it.
    pub heard: Vec<u8>,
}

/// The limits of the proxy under attack; the attacks below are made for them.
pub const LIMITS: &str = "[limits]
header_timeout = \"1s\"
body_timeout = \"1s\"
write_timeout = \"1s\"
idle_timeout = \"2s\"
max_header_size = \"16KiB\"
max_headers = 50";

const STEP: Duration = Duration::from_millis(100);
/// What the shortest of them allow.
pub const ONE_LIMIT: Duration = Duration::from_secs(1);
/// A window that began just before the attacker slowed down still counts as kept, so the second one is what cuts it.
const TWO_WINDOWS: Duration = Duration::from_secs(2);
const POST: &str = "POST /eat HTTP/1.1\r\nHost: app.example\r\n";

pub const ATTACKS: [Attack; 16] = [
    Attack {
        name: "silent",
        connections: 64,
        limit: ONE_LIMIT,
        act: |attacker| attacker.listen(),
    },
    Attack {
        name: "slow head",
        connections: 64,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send("GET / HTTP/1.1\r\nHost: app.example\r\nX-Slow: ");
            while attacker.send("a") && attacker.listen_for(STEP) {}
        },
    },
    Attack {
        name: "head never finished",
        connections: 64,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send("GET / HTTP/1.1\r\nHost: app.example\r\nX-Last: 1\r\n");
            attacker.listen();
        },
    },
    Attack {
        name: "body stops",
        connections: 64,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send(format!("{POST}Content-Length: 100000\r\n\r\n0123456789"));
            attacker.listen();
        },
    },
    Attack {
        name: "drip body",
        connections: 64,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send(format!("{POST}Content-Length: 100000\r\n\r\n"));
            while attacker.send("0123456789") && attacker.listen_for(STEP) {}
        },
    },
    Attack {
        name: "drip chunked body",
        connections: 64,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n"));
            while attacker.send("a\r\n0123456789\r\n") && attacker.listen_for(STEP) {}
        },
    },
    Attack {
        name: "slow read",
        connections: 32,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send("GET /huge HTTP/1.1\r\nHost: app.example\r\n\r\n");
            attacker.idle();
        },
    },
    Attack {
        name: "drip read",
        connections: 32,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send("GET /huge HTTP/1.1\r\nHost: app.example\r\n\r\n");
            while attacker.read_at_most(64) {
                std::thread::sleep(STEP);
            }
        },
    },
    Attack {
        name: "huge header field",
        connections: 32,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send("GET / HTTP/1.1\r\nHost: app.example\r\nX-Huge: ");
            while attacker.send([b'a'; 4096]) {}
        },
    },
    Attack {
        name: "endless header fields",
        connections: 32,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send("GET / HTTP/1.1\r\nHost: app.example\r\n");
            while attacker.send("X-More: 1\r\n".repeat(300)) {}
        },
    },
    Attack {
        name: "endless target",
        connections: 32,
        limit: ONE_LIMIT,
        act: |attacker| {
            attacker.send("GET /");
            while attacker.send([b'a'; 4096]) {}
        },
    },
    Attack {
        name: "endless chunk extension",
        connections: 32,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n5;x="));
            while attacker.send([b'a'; 4096]) {}
        },
    },
    Attack {
        name: "endless trailers",
        connections: 32,
        limit: TWO_WINDOWS,
        act: |attacker| {
            attacker.send(format!(
                "{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
            ));
            while attacker.send("X-Trailer: 1\r\n".repeat(300)) {}
        },
    },
    Attack {
        name: "connect and reset",
        connections: 2000,
        limit: ONE_LIMIT,
        act: |attacker| attacker.reset(),
    },
    Attack {
        name: "idle keep-alive",
        connections: 500,
        limit: Duration::from_secs(2),
        act: |attacker| {
            attacker.send("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
            attacker.listen();
        },
    },
    Attack {
        name: "pipelining, never reading",
        connections: 32,
        // Its requests are answered until every buffer on the way is full; the window begins then.
        limit: Duration::from_secs(4),
        act: |attacker| {
            while attacker.send("GET /page HTTP/1.1\r\nHost: app.example\r\n\r\n".repeat(50)) {}
        },
    },
];

impl<'a> Attacker<'a> {
    pub fn connect(proxy: SocketAddr, stop: &'a AtomicBool) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&proxy, Duration::from_secs(20))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STEP))?;
        stream.set_write_timeout(Some(STEP))?;
        Ok(Self {
            stream,
            stop,
            heard: Vec::new(),
        })
    }

    pub fn port(&self) -> u16 {
        self.stream.local_addr().map_or(0, |address| address.port())
    }

    /// Sends all of it, however long that takes; false when the connection or the test has ended.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() && !self.stopped() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if waits(&error) => {}
                Err(_) => {
                    self.listen();
                    return false;
                }
            }
        }
        !self.stopped()
    }

    /// Reads until the connection or the test ends.
    fn listen(&mut self) {
        while self.listen_for(STEP) {}
    }

    /// Reads for as long as a pause lasts; false when the connection or the test has ended.
    fn listen_for(&mut self, pause: Duration) -> bool {
        let end = std::time::Instant::now() + pause;
        while std::time::Instant::now() < end {
            if !self.read_at_most(65_536) {
                return false;
            }
        }
        true
    }

    /// Reads once, up to a tenth of a second; false when the connection or the test has ended.
    fn read_at_most(&mut self, count: usize) -> bool {
        let mut buffer = vec![0; count];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.heard.extend_from_slice(&buffer[..count]);
                !self.stopped()
            }
            Err(error) => waits(&error) && !self.stopped(),
        }
    }

    /// Neither reads nor writes until the test ends.
    fn idle(&self) {
        while !self.stopped() {
            std::thread::sleep(STEP);
        }
    }

    fn reset(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
        // Takes effect when the stream is dropped.
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl Drop for Attacker<'_> {
    fn drop(&mut self) {
        // The kernel would otherwise keep sending what nobody reads.
        self.stream.shutdown(Shutdown::Read).ok();
    }
}

fn waits(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
