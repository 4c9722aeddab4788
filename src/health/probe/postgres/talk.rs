//! One connection, message by message, within bounds: TLS first where it is wanted, and a farewell at the end.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::words;
use crate::config::{Secret, TlsClient};
use crate::health::probe::stream::Stream;
use crate::health::probe::{self, Finding, plain, tls};
use crate::outcome::CheckCode;

/// All that is read in one probe. A login takes 1 KiB, and notices of the server's may come between.
const HEARD: usize = 64 * 1024;
/// Read at once, where it is there: most of a login.
const CHUNK: usize = 2048;
/// How much of what the server says goes into an outcome, in characters.
const SHOWN: usize = 120;

/// The values of one row, as text.
pub(super) type Row = Vec<Option<String>>;

/// Asks for TLS in PostgreSQL's own words, and shakes hands.
pub(super) async fn secure(
    mut stream: TcpStream,
    authority: &str,
    client: &TlsClient,
    deadline: Instant,
) -> Result<TlsStream<TcpStream>, Finding> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    // One byte is the answer. A second one that came with it would be taken for a secured one by whoever keeps it: somebody in
    // between may have sent it (CVE-2021-23222). So nothing is kept, and there is no buffer between this and the handshake.
    let mut answer = [0; 2];
    let asking = async {
        stream.write_all(&request).await?;
        stream.read(&mut answer).await
    };
    let refused = |why: &str| Err(Finding::new(CheckCode::L6Response, why));
    let count = match timeout_at(deadline, asking).await {
        Err(_) => {
            let silence = "connected, but no answer to the request for TLS";
            return Err(Finding::new(CheckCode::L6Timeout, silence));
        }
        Ok(Err(error)) => return refused(&probe::words(&error)),
        Ok(Ok(count)) => count,
    };
    match &answer[..count] {
        b"S" => tls::handshake(stream, authority, client, deadline).await,
        [b'S', ..] => refused("there were words before TLS began, perhaps of an attacker"),
        [b'N', ..] => refused("the server has no TLS"),
        // Its reason isn't shown: before TLS, anybody may have said it (CVE-2024-10977).
        [b'E', ..] => refused("the server answered the request for TLS with an error"),
        [] => refused("the connection closed before the answer to the request for TLS"),
        _ => refused("the answer is not PostgreSQL's"),
    }
}

pub(super) struct Talk<'a> {
    stream: Stream,
    /// What has come and wasn't looked at yet.
    heard: BytesMut,
    /// How much more of it may be read, all messages together.
    room: usize,
    /// What the server is answering to at the moment.
    asked: &'static str,
    secret: Option<&'a str>,
    /// Whether what the server says may be shown.
    quotable: bool,
    /// Whether it proves the server to be well if it refuses who we are.
    strange: bool,
    /// Whether the server waits for a farewell.
    in_session: bool,
    deadline: Instant,
}

impl<'a> Talk<'a> {
    pub(super) fn new(stream: Stream, secret: Option<&'a Secret>, deadline: Instant) -> Self {
        Self {
            stream,
            heard: BytesMut::new(),
            room: HEARD,
            asked: "",
            secret: secret.map(Secret::expose),
            quotable: true,
            strange: false,
            in_session: false,
            deadline,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn let_strangers_be_refused(&mut self) {
        self.strange = true;
    }

    /// The first message.
    pub(super) async fn start(&mut self, user: &str, database: Option<&str>) {
        let database = database.map(|database| ("database", database));
        let parameters = [
            ("user", user),
            ("application_name", "firedoor"),
            ("client_encoding", "UTF8"),
        ];
        self.say("the start-up message", |message| {
            frontend::startup_message(parameters.into_iter().chain(database), message)
        })
        .await;
    }

    /// Sends what `write` makes, in answer or as a question that is called `asked`.
    pub(super) async fn say(
        &mut self,
        asked: &'static str,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) {
        self.asked = asked;
        let mut message = BytesMut::new();
        // It fails for texts with a zero byte only, which the configuration doesn't let in.
        if write(&mut message).is_err() {
            return;
        }
        // A server that takes nobody says so and closes, perhaps before it is asked: what it said counts, not that we came late.
        let _ = timeout_at(self.deadline, async {
            self.stream.write_all(&message).await?;
            self.stream.flush().await
        })
        .await;
    }

    /// From now on nothing is shown of what the server says: it has the password, and might quote it.
    pub(super) fn hush(&mut self) {
        self.quotable = false;
    }

    /// The next message that matters; an error of the server's is a finding.
    pub(super) async fn next(&mut self) -> Result<Message, Finding> {
        loop {
            let message = match timeout_at(self.deadline, self.message()).await {
                Ok(message) => message?,
                Err(_) => {
                    let silence = format!("connected, but no answer to {}", self.asked);
                    return Err(Finding::new(CheckCode::L7Timeout, silence));
                }
            };
            match message {
                // May come at any time.
                Message::NoticeResponse(_)
                | Message::ParameterStatus(_)
                | Message::NotificationResponse(_) => {}
                Message::ErrorResponse(error) => return Err(self.refused(&error)),
                message => return Ok(message),
            }
        }
    }

    /// After a login: waits until the server takes questions.
    pub(super) async fn ready(&mut self) -> Result<(), Finding> {
        loop {
            match self.next().await? {
                Message::BackendKeyData(_) => {}
                Message::ReadyForQuery(_) => break,
                _ => return Err(self.out_of_turn()),
            }
        }
        self.in_session = true;
        Ok(())
    }

    /// The one row that answers `query`.
    pub(super) async fn ask(&mut self, query: &str) -> Result<Row, Finding> {
        self.say("a query", |message| frontend::query(query, message))
            .await;
        let mut row = None;
        loop {
            match self.next().await? {
                Message::RowDescription(_) | Message::CommandComplete(_) => {}
                Message::DataRow(data) if row.is_none() => {
                    let text = |at| String::from_utf8_lossy(&data.buffer()[at]).into_owned();
                    let values = data.ranges().map(|range| Ok(range.map(text))).collect();
                    row = Some(values.map_err(|_| self.out_of_turn())?);
                }
                Message::ReadyForQuery(_) => break,
                _ => return Err(self.out_of_turn()),
            }
        }
        row.ok_or_else(|| self.out_of_turn())
    }

    /// Leaves as a server likes it, so that it has nothing to note in its log.
    pub(super) async fn end(mut self) {
        if self.in_session {
            self.say("", |message| {
                frontend::terminate(message);
                Ok(())
            })
            .await;
        }
        let _ = timeout_at(self.deadline, self.stream.shutdown()).await;
    }

    /// PostgreSQL's words, but not in an order that has a meaning.
    pub(super) fn out_of_turn(&self) -> Finding {
        Finding::new(
            CheckCode::L7Response,
            format!("its answer to {} is out of turn", self.asked),
        )
    }

    async fn message(&mut self) -> Result<Message, Finding> {
        loop {
            let before = self.heard.len();
            let header = Header::parse(&self.heard).map_err(|_| self.odd())?;
            // Before it is read: the parser makes room for whatever length it is told.
            match header.map_or(Ok(0), |header| usize::try_from(header.len())) {
                Ok(length) if length < self.room => {}
                Ok(length) if length < HEARD => {
                    let endless = "it says more than a login can take";
                    return Err(Finding::new(CheckCode::L7Response, endless));
                }
                _ => return Err(self.odd()),
            }
            let lead = self.heard[..before.min(SHOWN)].to_vec();
            match Message::parse(&mut self.heard) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    self.room -= before - self.heard.len();
                    return Ok(message);
                }
                Err(_) => {
                    self.heard = lead.as_slice().into();
                    return Err(self.odd());
                }
            }
            self.heard.reserve(CHUNK);
            match self.stream.read_buf(&mut self.heard).await {
                Ok(0) => {
                    let closed = "the connection closed before the answer was complete";
                    return Err(Finding::new(CheckCode::L7Response, closed));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(Finding::broken(&error));
                }
            }
        }
    }

    /// What the server gives as its reason, after what that means.
    fn refused(&self, error: &ErrorResponseBody) -> Finding {
        let (mut code, mut message) = (String::new(), String::new());
        let mut fields = error.fields();
        loop {
            match fields.next() {
                Ok(Some(field)) => {
                    let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
                    match field.type_() {
                        b'C' => code = value(),
                        b'M' => message = value(),
                        _ => {}
                    }
                }
                Ok(None) => break,
                Err(_) => return self.out_of_turn(),
            }
        }
        let quote = self.quote(&format!("{code} {message}"));
        if self.strange && words::is_about_us(&code) {
            let detail = format!("it answers, and lets no strangers in{quote}");
            return Finding::new(CheckCode::L7Ok, detail);
        }
        let meaning = words::meaning(&code, &message);
        Finding::new(CheckCode::L7Status, format!("{meaning}{quote}"))
    }

    /// Not PostgreSQL's words, or more of them than there can be.
    fn odd(&self) -> Finding {
        let said = String::from_utf8_lossy(&self.heard);
        // The one thing that a postmaster says without any form, since it has no process to say it properly.
        if said.starts_with("Ecould not fork") {
            let detail = format!("it can't start another process{}", self.quote(&said[1..]));
            return Finding::new(CheckCode::L7Status, detail);
        }
        let detail = format!("the answer is not PostgreSQL's{}", self.quote(&said));
        Finding::new(CheckCode::L7Response, detail)
    }

    /// ` ("57P03 the database system is starting up")`: what the server said, fit for a log.
    fn quote(&self, said: &str) -> String {
        if !self.quotable {
            return String::new();
        }
        let said = match self.secret {
            Some(secret) => said.replace(secret, "…"),
            None => said.to_owned(),
        };
        format!(" ({:?})", plain(&said, SHOWN))
    }
}
