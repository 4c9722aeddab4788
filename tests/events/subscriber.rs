//! A client of `/v1/events` that reads server-sent events off the wire, chunk by chunk, and remembers where it was.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::message::{Head, latin1, read_head};
use crate::support::wait::PATIENCE;
use crate::support::wire::{Tape, Trouble, Wire};

/// One open stream.
pub(crate) struct Subscriber {
    wire: Wire,
    pub(crate) head: Head,
    text: String,
    /// The last id that came, with an event or without.
    pub(crate) last_id: Option<u64>,
    pub(crate) heartbeats: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
}

impl Subscriber {
    /// Opens `/v1/events` with this query and these further fields; the answer must be a stream.
    #[track_caller]
    pub(crate) fn open(admin: SocketAddr, query: &str, fields: &str) -> Self {
        let subscriber = Self::try_open(admin, query, fields);
        assert_eq!(
            subscriber.status(),
            "200",
            "{:?} {}",
            subscriber.head,
            latin1(subscriber.wire.pending())
        );
        assert_eq!(
            subscriber.head.field("content-type"),
            Some("text/event-stream")
        );
        subscriber
    }

    /// The same; the answer may be another.
    #[track_caller]
    pub(crate) fn try_open(admin: SocketAddr, query: &str, fields: &str) -> Self {
        let mut stream = TcpStream::connect_timeout(&admin, PATIENCE).unwrap();
        let request = format!("GET /v1/events{query} HTTP/1.1\r\nHost: {admin}\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut wire = Wire::new(stream, Tape::default());
        let head = read_head(&mut wire).expect("a head");
        Self {
            wire,
            head,
            text: String::new(),
            last_id: None,
            heartbeats: 0,
        }
    }

    pub(crate) fn status(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap()
    }

    /// The next event; panics when there is none in time.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        self.next_within(PATIENCE)
            .unwrap_or_else(|trouble| panic!("no event: {trouble:?}; so far {:?}", self.text))
    }

    pub(crate) fn next_within(&mut self, limit: Duration) -> Result<Event, Trouble> {
        self.wire.deadline = Instant::now() + limit;
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.understand(&block) {
                    return Ok(event);
                }
            }
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Err(Trouble::Closed);
            }
            self.text += std::str::from_utf8(&chunk).expect("UTF-8");
        }
    }

    /// The next event of that name for which `wanted` holds; others are passed over.
    #[track_caller]
    pub(crate) fn until(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Event {
        let end = Instant::now() + PATIENCE;
        loop {
            let event = self.next();
            if event.name == name && wanted(&event.data) {
                return event;
            }
            assert!(Instant::now() < end, "{name} is still missing");
        }
    }

    /// The next flip's entry, and the first status with `zone` active; which of them is first is left open.
    #[track_caller]
    pub(crate) fn until_flip(&mut self, zone: &str) -> (Event, Event) {
        let (mut entry, mut status) = (None, None);
        loop {
            let event = self.next();
            if event.data["kind"] == "flip" {
                entry.get_or_insert(event);
            } else if event.data["active_zone"] == zone {
                status.get_or_insert(event);
            }
            if let (Some(entry), Some(status)) = (&entry, &status) {
                return (entry.clone(), status.clone());
            }
        }
    }

    /// What ends the stream, when all that is left of it is read.
    pub(crate) fn end_within(&mut self, limit: Duration) -> Trouble {
        let end = Instant::now() + limit;
        loop {
            match self.next_within(end.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(trouble) => return trouble,
            }
        }
    }

    /// A block of lines; one without data is no event.
    fn understand(&mut self, block: &str) -> Option<Event> {
        let (mut name, mut id, mut data) = ("message".to_owned(), None, Vec::new());
        for line in block.split('\n') {
            match line.split_once(':').expect("a colon in each line") {
                ("", _) => self.heartbeats += 1,
                ("event", value) => name = value.trim_start().to_owned(),
                ("id", value) => id = Some(value.trim_start().parse().unwrap()),
                ("data", value) => data.push(value.strip_prefix(' ').unwrap_or(value)),
                ("retry", value) => assert!(value.trim_start().parse::<u64>().is_ok()),
                other => panic!("{other:?}"),
            }
        }
        self.last_id = id.or(self.last_id);
        let data = data.join("\n");
        (!data.is_empty()).then(|| Event {
            name,
            id,
            data: serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}")),
        })
    }

    /// Whole chunks only: what is incomplete stays on the wire.
    fn chunk(&mut self) -> Result<Vec<u8>, Trouble> {
        let size = latin1(&self.wire.line()?);
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk's size");
        let chunk = self.wire.exact(size + 2)?;
        Ok(chunk[..size].to_vec())
    }
}
