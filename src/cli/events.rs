//! The stream of `/v1/events`, as a client reads it (HTML Standard, 9.2.6).

use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::Failure;
use super::client::{Client, Connection};

/// For the head of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than three heartbeats, and whoever is at the other end is gone without a word.
const SILENCE: Duration = Duration::from_secs(35);
/// Bytes of one event.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// An open stream.
pub(super) struct Events {
    body: Incoming,
    /// `None` when it has ended.
    connection: Option<Connection>,
    received: Vec<u8>,
    /// The number of the last entry that has come: where to go on.
    pub(super) last: Option<u64>,
}

/// One event.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
}

impl Events {
    /// Opens the stream, to go on after the entry `after`, and with what `with` lists beside the journal.
    pub(super) async fn open(
        client: &Client,
        with: &str,
        after: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut request = Request::builder()
            .uri(format!("/v1/events?with={with}"))
            .header(ACCEPT, "text/event-stream, application/problem+json");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let asked = client.ask(request, Bytes::new());
        let (response, mut connection) = tokio::time::timeout(PATIENCE, asked)
            .await
            .map_err(|_| client.silent())??;
        if response.status() != StatusCode::OK {
            let answer = client.whole(response, &mut connection).await?;
            client.accept(answer, &[])?;
            return Err(Failure::new("there is no stream of events"));
        }
        Ok(Self {
            body: response.into_body(),
            connection: Some(connection),
            received: Vec::new(),
            last: after,
        })
    }

    /// The next event; an error when there won't be one.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Event, Failure> {
        loop {
            while let Some(end) = find(&self.received, b"\n\n") {
                let block: Vec<u8> = self.received.drain(..end + 2).collect();
                if let Some(event) = self.understand(&String::from_utf8_lossy(&block)) {
                    return Ok(event);
                }
            }
            if self.received.len() > MAX_EVENT {
                return Err(Failure::new(
                    "an event is longer than any that firedoor sends",
                ));
            }
            let chunk = tokio::time::timeout(SILENCE, self.chunk())
                .await
                .map_err(|_| client.silent())?;
            match chunk {
                Some(Ok(chunk)) => self.received.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(client.broken(&error)),
                None => return Err(Failure::new("the stream of events has ended")),
            }
        }
    }

    async fn chunk(&mut self) -> Option<hyper::Result<Bytes>> {
        loop {
            let frame = match &mut self.connection {
                None => self.body.frame().await,
                Some(connection) => tokio::select! {
                    frame = self.body.frame() => frame,
                    _ended = connection => {
                        // What it has brought is still there.
                        self.connection = None;
                        continue;
                    }
                },
            };
            match frame?.map(hyper::body::Frame::into_data) {
                Ok(Ok(chunk)) => return Some(Ok(chunk)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What a block of lines says; nothing without data.
    fn understand(&mut self, block: &str) -> Option<Event> {
        let mut name = "message";
        let mut data: Vec<&str> = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value,
                "data" => data.push(value),
                "id" => self.last = value.parse().ok().or(self.last),
                _ => {}
            }
        }
        let data = serde_json::from_str(&data.join("\n")).ok()?;
        Some(Event {
            name: name.to_owned(),
            data,
        })
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}
