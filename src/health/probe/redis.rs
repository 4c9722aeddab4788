//! Redis: PING, and where the check wants to know, which role the server is in.
//!
//! A reply is one line, or a line that announces how many bytes follow; that is all of the protocol that is read here, each
//! within a bound. A library for all of it would be larger than the whole check.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout_at};

use super::stream::Stream;
use super::{Finding, plain};
use crate::config::{Expect, RedisCheck};
use crate::outcome::CheckCode;

/// The longest line: errors are sentences, and the longest one (protected mode) has 1 KiB.
const LINE: u64 = 4 * 1024;
/// `INFO replication` has a line for each replica.
const BULK: usize = 64 * 1024;
/// How much of what the server says goes into an outcome, in characters.
const SHOWN: usize = 120;

/// Logs in if there is a password, pings, and compares the role if one is expected.
pub(super) async fn ask(
    stream: Stream,
    check: &RedisCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let mut talk = Talk {
        stream: BufReader::new(stream),
        secret: check.password.as_ref().map(|secret| secret.expose()),
        quotable: true,
        deadline,
    };
    if let Some(password) = &check.password {
        match &check.user {
            Some(user) => talk.ask(&["AUTH", user, password.expose()]).await?,
            None => talk.ask(&["AUTH", password.expose()]).await?,
        };
    }
    let pong = talk.ask(&["PING"]).await?;
    if pong != "PONG" {
        return Err(talk.odd(&pong));
    }
    if check.expect == Expect::Reachable {
        return Ok(Finding::new(CheckCode::L7Ok, "PONG"));
    }
    let info = talk.ask(&["INFO", "replication"]).await?;
    judge(&info, check.expect).ok_or_else(|| talk.odd(&info))
}

/// `None`: the answer doesn't say what it must.
fn judge(info: &str, expect: Expect) -> Option<Finding> {
    let value = |key: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| plain(value, SHOWN))
    };
    let (passes, is) = match value("role:")?.as_str() {
        "master" => (expect != Expect::Replica, "a master".to_owned()),
        "slave" => {
            let link = value("master_link_status:")?;
            let master = format!("{}:{}", value("master_host:")?, value("master_port:")?);
            // One that accepts writes all the same (replica-read-only no) loses them at its next synchronisation.
            (
                expect != Expect::Writable && link == "up",
                format!("a replica of {master}, its link is {link}"),
            )
        }
        _ => return None,
    };
    Some(match (passes, expect) {
        (true, _) => Finding::new(CheckCode::L7Ok, is),
        (false, Expect::Writable) => Finding::new(
            CheckCode::L7Status,
            format!("{is}, expected a writable one"),
        ),
        (false, _) => Finding::new(
            CheckCode::L7Status,
            format!("{is}, expected a connected replica"),
        ),
    })
}

/// One connection, question by question.
struct Talk<'a> {
    stream: BufReader<Stream>,
    secret: Option<&'a str>,
    /// Whether the answer to what was asked last may be shown.
    quotable: bool,
    deadline: Instant,
}

impl Talk<'_> {
    /// Asks, and waits for the answer; an error of the server's is a finding.
    async fn ask(&mut self, question: &[&str]) -> Result<String, Finding> {
        let mut request = format!("*{}\r\n", question.len());
        for word in question {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.quotable = question[0] != "AUTH";
        match timeout_at(self.deadline, self.exchange(request.as_bytes())).await {
            Ok(reply) => reply,
            Err(_) => Err(Finding::new(
                CheckCode::L7Timeout,
                format!("connected, but no answer to {}", question[0]),
            )),
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<String, Finding> {
        // A server that is full says so and closes, perhaps before it is asked: what it said counts, not that we came late.
        let _ = self.stream.write_all(request).await;
        let _ = self.stream.flush().await;
        let line = self.line().await?;
        let Some((kind, rest)) = line.split_at_checked(1) else {
            return Err(self.odd(&line));
        };
        match kind {
            "+" => Ok(rest.to_owned()),
            "-" => Err(self.refused(rest)),
            "$" => match rest.parse::<usize>() {
                Ok(length) if length <= BULK => self.bulk(length).await,
                _ => Err(self.odd(&line)),
            },
            _ => Err(self.odd(&line)),
        }
    }

    /// One line without its end.
    async fn line(&mut self) -> Result<String, Finding> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(LINE);
        match bounded.read_until(b'\n', &mut line).await {
            Err(error) => return Err(Finding::broken(&error)),
            Ok(_) if line.ends_with(b"\n") => {}
            Ok(_) if line.len() as u64 == LINE => {
                return Err(self.odd(&String::from_utf8_lossy(&line)));
            }
            Ok(_) => return Err(closed()),
        }
        Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }

    async fn bulk(&mut self, length: usize) -> Result<String, Finding> {
        // And its line end, so that the next answer begins where it should.
        let mut bulk = vec![0; length + 2];
        match self.stream.read_exact(&mut bulk).await {
            Ok(_) => Ok(String::from_utf8_lossy(&bulk[..length]).into_owned()),
            Err(_) => Err(closed()),
        }
    }

    /// What the server gives as its reason, after what that means.
    fn refused(&self, error: &str) -> Finding {
        let code = error.split(' ').next().unwrap_or_default();
        let meaning = match code {
            "LOADING" => "it is still loading its data",
            "NOAUTH" => "it wants a password: give the check one",
            "WRONGPASS" => "it refused the password",
            "NOPERM" => "its user may not ask this",
            "MASTERDOWN" => "a replica that has lost its master",
            "READONLY" => "a replica",
            "MISCONF" => "it takes no writes, since it can't save them",
            "DENIED" => "it answers only its own machine",
            "ERR" if error.contains("max number of clients") => "it is full",
            "ERR" if error.contains("without any password configured") => {
                "it has no password, but the check gives one"
            }
            _ => "it refused",
        };
        Finding::new(
            CheckCode::L7Status,
            format!("{meaning}{}", self.quote(error)),
        )
    }

    fn odd(&self, said: &str) -> Finding {
        Finding::new(
            CheckCode::L7Response,
            format!("the answer is not Redis's{}", self.quote(said)),
        )
    }

    /// ` ("LOADING Redis is loading the dataset in memory")`: what the server said, fit for a log. A server that doesn't know
    /// AUTH quotes the password back, or the beginning of it; so nothing is shown of an answer to that.
    fn quote(&self, said: &str) -> String {
        if !self.quotable {
            return String::new();
        }
        let said = match self.secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => said.replace(secret, "…"),
            None => said.to_owned(),
        };
        format!(" ({:?})", plain(&said, SHOWN))
    }
}

fn closed() -> Finding {
    Finding::new(
        CheckCode::L7Response,
        "the connection closed before the answer was complete",
    )
}
