//! One connection, packet by packet: bounded in time and size, and never left in the middle of a login.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::bytes::Fields;
use super::greeting::Greeting;
use super::login::{self, Login};
use super::refusal::Refusal;
use crate::config::{Secret, TlsClient};
use crate::health::probe::stream::Stream;
use crate::health::probe::{Finding, plain, tls};
use crate::outcome::CheckCode;

/// How much is read in one probe. A replica's state may name thousands of transactions, but not this many.
const BUDGET: usize = 1024 * 1024;
/// A greeting has a hundred bytes; only versions and the names of plugins have no limit of their own.
const GREETING_LIMIT: usize = 4 * 1024;
/// Of answers to one login; four are the most that there is a reason for.
const ROUNDS: usize = 8;
/// How much of what the server says goes into an outcome, in characters.
const SHOWN: usize = 120;

/// What a server that hangs doesn't say.
pub(super) const GREETING: &str = "greeting (hung, or still starting)";

/// `COM_QUIT`
const QUIT: u8 = 1;
/// `COM_QUERY`
const QUERY: u8 = 3;

/// What the server waits for: if we leave without it, it counts us among those who break off.
enum Turn {
    /// A login.
    Login,
    /// Perhaps one more packet of a login, and this would do.
    Proof(Vec<u8>),
    /// Nothing that it would miss.
    Nothing,
}

/// A connection to a server.
///
/// Dropped before the login is over, since time is up or the probe isn't wanted any more, it leaves the rest of a login behind,
/// of a kind that is refused. A server that hangs reads that when it wakes up, instead of holding a broken login against this
/// host. So this is no place for a reset, or for giving up in silence.
pub(super) struct Talk {
    stream: BufReader<Stream>,
    /// Of the probe that has it now.
    deadline: Instant,
    /// The number of the next packet, whoever sends it.
    number: u8,
    budget: usize,
    turn: Turn,
    is_secure: bool,
    /// What no outcome may show.
    secret: Secret,
    is_quotable: bool,
}

impl Talk {
    pub(super) fn new(stream: TcpStream, deadline: Instant) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            deadline,
            number: 0,
            budget: BUDGET,
            turn: Turn::Login,
            is_secure: false,
            secret: Secret::new(""),
            is_quotable: true,
        }
    }

    /// Gives it time until `deadline`.
    pub(super) fn extend(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Whether the server has said something, when `deadline` is over at the latest. An error: it will never do.
    pub(super) async fn is_greeted(&mut self, deadline: Instant) -> Result<bool, Finding> {
        self.extend(deadline);
        match timeout_at(deadline, self.stream.fill_buf()).await {
            Err(_) => Ok(false),
            Ok(Ok(said)) if !said.is_empty() => Ok(true),
            Ok(ended) => {
                let error = ended.err().unwrap_or(io::ErrorKind::UnexpectedEof.into());
                self.turn = Turn::Nothing;
                Err(Finding::broken(&error))
            }
        }
    }

    /// Keeps `secret` out of whatever is said about this connection.
    pub(super) fn conceal(&mut self, secret: &Secret) {
        self.secret = secret.clone();
    }

    /// Whether nobody else can read it.
    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// What the server says first: a greeting, or why there is none.
    pub(super) async fn greeting(&mut self) -> Result<Greeting, Finding> {
        let packet = self.read(GREETING_LIMIT, GREETING).await?;
        if let Some(refusal) = Refusal::read(&packet) {
            self.turn = Turn::Nothing;
            return Err(self.refused(&refusal));
        }
        Greeting::read(&packet)
            .ok_or_else(|| self.odd("its greeting is none of MySQL 4.1 or later"))
    }

    /// Goes on in TLS. `Ok(Some(_))` is what is wrong with the server's certificate: the server must not learn more than that
    /// somebody is here, but it has to be left in order.
    pub(super) async fn secure(
        &mut self,
        authority: &str,
        client: &TlsClient,
    ) -> Result<Option<Finding>, Finding> {
        self.send(&login::tls_request()).await;
        // Whatever came in the clear behind the greeting must not count as having come over TLS.
        if !self.stream.buffer().is_empty() {
            return Err(self.odd("it says more than its greeting before TLS"));
        }
        let nowhere: Stream = Box::new(tokio::io::empty());
        let stream = mem::replace(&mut self.stream, BufReader::new(nowhere)).into_inner();
        let (secured, objection) =
            tls::handshake_then_verify(stream, authority, client, self.deadline).await?;
        self.stream = BufReader::new(Box::new(secured));
        self.is_secure = true;
        Ok(objection)
    }

    /// Carries a login through to the server's verdict.
    pub(super) async fn log_in(
        &mut self,
        login: &mut Login<'_>,
        greeting: &Greeting,
    ) -> Result<Result<(), Refusal>, Finding> {
        self.send(&login.open(greeting)).await;
        for _ in 0..ROUNDS {
            self.turn = Turn::Proof(login.rest());
            self.is_quotable = login.is_quotable();
            let packet = self.read(BUDGET, "answer to the login").await?;
            let answer = match packet.as_slice() {
                [0, ..] => {
                    self.turn = Turn::Nothing;
                    self.is_quotable = true;
                    return Ok(Ok(()));
                }
                [0xff, ..] => {
                    self.turn = Turn::Nothing;
                    return match Refusal::read(&packet) {
                        Some(refusal) => Ok(Err(refusal)),
                        None => Err(self.odd("its error has no number")),
                    };
                }
                // From before there were plugins.
                [0xfe] => Some(login.switch(login::OLD.as_bytes(), b"")),
                [0xfe, wish @ ..] => {
                    let mut wish = Fields::new(wish);
                    let Some(plugin) = wish.until_nul() else {
                        return Err(self.odd("it wants a login plugin without a name"));
                    };
                    Some(login.switch(plugin, wish.rest()))
                }
                [] => return Err(self.odd("it answers the login with nothing")),
                // A plugin's words are marked only where they could be taken for one of the above.
                [1, words @ ..] | words => login.hear(words),
            };
            if let Some(answer) = answer {
                self.send(&answer).await;
            }
        }
        Err(Finding::new(
            CheckCode::L7Response,
            "it asks for one proof of the login after another",
        ))
    }

    /// Asks, in SQL. What comes is read by [`Self::read_answer`].
    pub(super) async fn ask(&mut self, question: &str) {
        self.number = 0;
        self.send(&[&[QUERY], question.as_bytes()].concat()).await;
    }

    /// One packet of the answer to `question`.
    pub(super) async fn read_answer(&mut self, question: &str) -> Result<Vec<u8>, Finding> {
        let verb: Vec<&str> = question.split(' ').take(3).collect();
        self.read(BUDGET, &format!("answer to {}", verb.join(" ")))
            .await
    }

    /// Says goodbye. A server notes a client that doesn't as aborted.
    pub(super) async fn quit(&mut self) {
        self.number = 0;
        self.send(&[QUIT]).await;
        let _ = timeout_at(self.deadline, self.stream.shutdown()).await;
    }

    /// A finding of what a server's error means, and its words.
    pub(super) fn refused(&self, refusal: &Refusal) -> Finding {
        let said = self.quote(&refusal.message);
        let detail = format!("{}{said}", refusal.meaning());
        Finding::new(CheckCode::L7Status, detail).with_status(refusal.code)
    }

    /// A finding that this is no MySQL; nothing is left behind with whoever it is.
    pub(super) fn odd(&mut self, what: &str) -> Finding {
        self.turn = Turn::Nothing;
        Finding::new(
            CheckCode::L7Response,
            format!("the answer is not MySQL's: {what}"),
        )
    }

    /// ` ("Too many connections")`: what the server said, fit for a log.
    fn quote(&self, said: &str) -> String {
        if !self.is_quotable || said.is_empty() {
            return String::new();
        }
        let said = match self.secret.expose() {
            "" => said.to_owned(),
            secret => said.replace(secret, "…"),
        };
        format!(" ({:?})", plain(&said, SHOWN))
    }

    /// One packet of at most `limit` bytes, within the time and the budget. `awaited` is what it is, when it doesn't come.
    async fn read(&mut self, limit: usize, awaited: &str) -> Result<Vec<u8>, Finding> {
        match timeout_at(self.deadline, self.packet(limit)).await {
            Ok(packet) => packet,
            Err(_) => Err(silence(awaited)),
        }
    }

    async fn packet(&mut self, limit: usize) -> Result<Vec<u8>, Finding> {
        let mut head = [0; 4];
        self.fill(&mut head).await?;
        let [a, b, c, number] = head;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let cost = length + head.len();
        if length > limit || cost > self.budget {
            // Those who speak first in another protocol end up here, since their text is no sensible length.
            let words = [&head, self.stream.buffer()].concat();
            let words = self.quote(&String::from_utf8_lossy(&words));
            return Err(self.odd(&format!("it is too long{words}")));
        }
        self.budget -= cost;
        self.number = number.wrapping_add(1);
        let mut packet = vec![0; length];
        self.fill(&mut packet).await?;
        Ok(packet)
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Finding> {
        let Err(error) = self.stream.read_exact(bytes).await else {
            return Ok(());
        };
        self.turn = Turn::Nothing;
        Err(Finding::broken(&error))
    }

    /// A server that has had enough says so and closes, perhaps before it has heard us: what it said counts, not that we came
    /// late. So whether this succeeds doesn't matter.
    async fn send(&mut self, packet: &[u8]) {
        let framed = framed(self.number, packet);
        self.number = self.number.wrapping_add(1);
        let _ = timeout_at(self.deadline, async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        })
        .await;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Between two of our packets there is one of the server's, which hasn't come yet.
        let rest = match &self.turn {
            Turn::Login => {
                let [login, rest] = login::card(self.is_secure);
                // The greeting has the number 0, even if it hasn't come either.
                let number = self.number.max(1);
                [
                    framed(number, &login),
                    framed(number.wrapping_add(2), &rest),
                ]
                .concat()
            }
            Turn::Proof(rest) => framed(self.number.wrapping_add(1), rest),
            Turn::Nothing => return,
        };
        // What the kernel takes at once, or nothing.
        let mut context = Context::from_waker(Waker::noop());
        let mut stream = Pin::new(&mut self.stream);
        let _ = stream.as_mut().poll_write(&mut context, &rest);
        let _ = stream.poll_flush(&mut context);
    }
}

/// A finding that `awaited` hasn't come in time.
pub(super) fn silence(awaited: &str) -> Finding {
    Finding::new(CheckCode::L7Timeout, format!("connected, but no {awaited}"))
}

fn framed(number: u8, packet: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (packet.len() as u32).to_le_bytes();
    [&[a, b, c, number], packet].concat()
}
