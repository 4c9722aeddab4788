//! The stream of events as `top` follows it: opened again, less and less hastily, whenever it breaks off.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::super::Failure;
use super::super::client::Client;
use super::super::events::{Event, Events};

/// Beside the journal.
const WITH: &str = "status,traffic";
/// Before the first attempt to get the stream back; twice as long before each one that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// What the stream has told.
#[derive(Debug)]
pub(super) enum News {
    /// It is there, again.
    Live,
    /// An event of it.
    Event(Event),
    /// It broke off, or couldn't be had, and why.
    Lost(String),
}

/// See the module's promise.
pub(super) struct Link(Events);

impl Link {
    /// Opens it for the first time, with the journal's last entries.
    pub(super) async fn open(client: &Client) -> Result<(Self, Vec<Value>), Failure> {
        let mut journal = client.get("/v1/journal", &[]).await?.body;
        let last = journal["last"].as_u64();
        let entries = match journal["entries"].take() {
            Value::Array(entries) => entries,
            _ => Vec::new(),
        };
        Ok((Self(Events::open(client, WITH, last).await?), entries))
    }

    /// Tells what comes, until nobody listens any more.
    pub(super) async fn follow(self, client: &Client, told: mpsc::Sender<News>) {
        let Self(mut events) = self;
        let mut pause = FIRST_PAUSE;
        let mut last;
        loop {
            if told.send(News::Live).await.is_err() {
                return;
            }
            let mut failure = loop {
                match events.next(client).await {
                    Ok(event) => {
                        pause = FIRST_PAUSE;
                        if told.send(News::Event(event)).await.is_err() {
                            return;
                        }
                    }
                    Err(failure) => break failure,
                }
            };
            last = events.last;
            events = loop {
                if told.send(News::Lost(failure.message)).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = LAST_PAUSE.min(pause * 2);
                match Events::open(client, WITH, last).await {
                    Ok(events) => break events,
                    Err(again) => failure = again,
                }
            };
        }
    }
}
