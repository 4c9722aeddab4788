//! A scripted backend: keeps every byte that reaches it, and misbehaves on demand.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::behaviour::{self, Behaviour, Next};
use super::message::{self, Body, Framing, Head};
use super::port;
use super::wait;
use super::wire::{Tape, Wire};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of its connection, counted from 0 over all connections of the origin.
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub version: String,
    pub head: Head,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Whether its body was read to its end.
    pub complete: bool,
    /// What RFC 9112 doesn't allow a sender to write.
    pub flaws: Vec<String>,
    pub at: Instant,
}

impl Seen {
    /// The only value of a field.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }
}

/// A request that is being served.
pub struct Exchange<'a> {
    pub head: Head,
    pub framing: Framing,
    pub(super) body: Option<Body>,
    pub(super) wire: &'a mut Wire,
    shared: &'a Shared,
    number: Option<usize>,
}

impl Exchange<'_> {
    /// Waits until the other side ends the connection or the origin stops.
    pub fn wait_for_end(&mut self) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            self.wire.deadline = Instant::now() + Duration::from_millis(50);
            match self.wire.some() {
                Ok(_) | Err(super::wire::Trouble::Deadline) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until the origin stops, without reading.
    pub fn wait_for_stop(&self) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn note_body(&self, body: &Body, complete: bool) {
        let Some(number) = self.number else { return };
        let mut seen = self.shared.seen.lock().unwrap();
        let seen = &mut seen[number];
        seen.body.clone_from(&body.bytes);
        seen.trailers.clone_from(&body.trailers);
        seen.flaws.extend(body.flaws.iter().cloned());
        seen.complete = complete;
    }

    pub(super) fn count_sent(&self, bytes: u64) {
        self.shared.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Shared {
    traffic: Mutex<Behaviour>,
    checks: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    check_count: AtomicU64,
    tapes: Mutex<Vec<Tape>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    sent: AtomicU64,
    stopping: AtomicBool,
}

/// A backend on a thread of its own.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// Starts with `traffic` for every request but health checks, which it passes.
    pub fn start(traffic: Behaviour) -> Self {
        let listener = port::listen();
        let mut origin = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                traffic: Mutex::new(traffic),
                checks: Mutex::new(behaviour::healthy()),
                seen: Mutex::default(),
                check_count: AtomicU64::default(),
                tapes: Mutex::default(),
                open: Mutex::default(),
                sent: AtomicU64::default(),
                stopping: AtomicBool::default(),
            }),
            accepting: None,
        };
        origin.accept_on(listener);
        origin
    }

    /// An origin that answers 200 with `name`.
    pub fn named(name: &str) -> Self {
        Self::start(behaviour::ok(name))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what traffic meets, from the next request on.
    pub fn behave(&self, traffic: Behaviour) {
        *self.shared.traffic.lock().unwrap() = traffic;
    }

    /// Changes what health checks meet (requests whose User-Agent starts with `firedoor/`).
    pub fn behave_to_checks(&self, checks: Behaviour) {
        *self.shared.checks.lock().unwrap() = checks;
    }

    /// Stops listening and resets every connection, as a killed process does.
    pub fn refuse(&mut self) {
        self.stop_listening();
        for (_, stream) in self.shared.open.lock().unwrap().drain() {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening; open connections live on, with their behaviour.
    pub fn stop_listening(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.accepting.take() {
            // Wakes the accept, which then sees the flag and drops the listener.
            let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            let _ = thread.join();
        }
    }

    /// Listens again on the same address.
    pub fn restart(&mut self) {
        assert!(self.accepting.is_none(), "it listens already");
        self.shared.stopping.store(false, Ordering::Release);
        let listener = wait::eventually_some(wait::PATIENCE, "the port is free again", || {
            TcpListener::bind(self.address).ok()
        });
        self.accept_on(listener);
    }

    /// Closes every open connection without a word, as an app server's keep-alive timeout does.
    pub fn close_connections(&self) {
        for (_, stream) in self.shared.open.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Every request but health checks, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The requests for `target`.
    pub fn seen_for(&self, target: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.target == target)
            .cloned()
            .collect()
    }

    /// The request for `target`, once it has arrived completely.
    #[track_caller]
    pub fn saw(&self, target: &str) -> Seen {
        wait::eventually_some(wait::PATIENCE, &format!("a request for {target}"), || {
            self.seen_for(target).into_iter().find(|seen| seen.complete)
        })
    }

    /// How many requests, health checks aside, have arrived.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// How many health checks have arrived.
    pub fn checks(&self) -> u64 {
        self.shared.check_count.load(Ordering::Relaxed)
    }

    /// How often each value of `X-Id` arrived with a POST: more than once is a request executed twice.
    pub fn posts(&self) -> HashMap<String, usize> {
        let mut posts = HashMap::new();
        for seen in self
            .shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.method == "POST")
        {
            if let Some(id) = seen.all("x-id").first() {
                *posts.entry((*id).to_owned()).or_default() += 1;
            }
        }
        posts
    }

    /// Every byte received, per connection in order of acceptance, health checks included.
    pub fn tapes(&self) -> Vec<Vec<u8>> {
        let tapes = self.shared.tapes.lock().unwrap();
        tapes
            .iter()
            .map(|tape| tape.lock().unwrap().clone())
            .collect()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.shared.open.lock().unwrap().len()
    }

    /// How many body bytes the `huge` behaviour has sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    fn accept_on(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(std::thread::spawn(move || accept(&listener, &shared)));
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.refuse();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let tape = Tape::default();
        let number = {
            let mut tapes = shared.tapes.lock().unwrap();
            tapes.push(Arc::clone(&tape));
            tapes.len() - 1
        };
        shared
            .open
            .lock()
            .unwrap()
            .insert(number, stream.try_clone().unwrap());
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = stream.set_write_timeout(Some(Duration::from_secs(120)));
            converse(Wire::new(stream, tape), number, &shared);
            shared.open.lock().unwrap().remove(&number);
        });
    }
}

fn converse(mut wire: Wire, connection: usize, shared: &Shared) {
    loop {
        wire.deadline = Instant::now() + Duration::from_secs(600);
        let Ok(mut head) = message::read_head(&mut wire) else {
            return;
        };
        let framing = message::request_framing(&mut head);
        let check = head
            .all("user-agent")
            .iter()
            .any(|agent| agent.starts_with("firedoor/"));
        let number = if check {
            shared.check_count.fetch_add(1, Ordering::Relaxed);
            None
        } else {
            Some(shared.note(connection, &head, framing))
        };
        let behaviour = if check {
            &shared.checks
        } else {
            &shared.traffic
        };
        let behaviour = Arc::clone(&behaviour.lock().unwrap());
        let last = head
            .all("connection")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("close"));
        let mut exchange = Exchange {
            head,
            framing,
            body: None,
            wire: &mut wire,
            shared,
            number,
        };
        match behaviour(&mut exchange) {
            Next::Keep if !last => {}
            Next::Keep | Next::Close => {
                // Closing with unread bytes would make the kernel send a reset, which can overtake the answer.
                wire.finish_writing();
                wire.deadline = Instant::now() + Duration::from_secs(2);
                wire.rest();
                return;
            }
            Next::Reset => return wire.reset(),
        }
    }
}

impl Shared {
    fn note(&self, connection: usize, head: &Head, framing: Framing) -> usize {
        let mut parts = head.line.splitn(3, ' ').map(str::to_owned);
        let mut seen = self.seen.lock().unwrap();
        seen.push(Seen {
            connection,
            method: parts.next().unwrap_or_default(),
            target: parts.next().unwrap_or_default(),
            version: parts.next().unwrap_or_default(),
            head: head.clone(),
            framing,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: framing == Framing::None,
            flaws: head.flaws.clone(),
            at: Instant::now(),
        });
        seen.len() - 1
    }
}
