//! The admin listener's client, over TCP or a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_MATCH};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{ClientArgs, Failure, INVALID};
use crate::admin::OPERATOR;

/// To connect, and to answer a question. Orders take as long as they take: a planned flip waits for running requests.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where an admin listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Host and port.
    Tcp(String),
    /// A socket's path.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.trim_end_matches('/');
        match authority.parse::<http::uri::Authority>() {
            Ok(parsed) if parsed.port_u16().is_some() => Ok(Self::Tcp(authority.into())),
            _ => Err("neither HOST:PORT nor unix:PATH".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Asks one admin listener; one connection per question.
#[derive(Debug)]
pub(super) struct Client {
    address: Address,
    token: Option<HeaderValue>,
    /// Who orders, for the journal: the user's name, as the system told it to this process.
    operator: Option<HeaderValue>,
    /// Whether the answer is wanted as JSON.
    pub(super) json: bool,
}

/// A connection to an admin listener, which has to be polled for anything to come.
pub(super) type Connection = http1::Connection<TokioIo<Box<dyn Socket>>, Full<Bytes>>;

/// Either kind of socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl Socket for TcpStream {}
impl Socket for UnixStream {}

/// An answer that isn't an error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Of all that orders change, where the answer tells it.
    pub(super) tag: Option<HeaderValue>,
    pub(super) body: Value,
}

impl Client {
    /// Where it asks.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn new(args: ClientArgs) -> Result<Self, Failure> {
        let token = match &args.token_file {
            Some(file) => {
                let place = file.display().to_string();
                let token = std::fs::read_to_string(file).map_err(|error| {
                    Failure::new(format!("the token file {place} can't be read: {error}"))
                })?;
                Some((token, place))
            }
            None => std::env::var("FIREDOOR_TOKEN")
                .ok()
                .filter(|token| !token.is_empty())
                .map(|token| (token, "FIREDOOR_TOKEN".to_owned())),
        };
        let token = token
            .map(|(token, place)| bearer(token.trim(), &place))
            .transpose()?;
        Ok(Self {
            address: args.admin,
            token,
            operator: operator(),
            json: args.json,
        })
    }

    /// Asks; every answer of status 400 and above is a failure, except those in `fine`.
    pub(super) async fn get(&self, path: &str, fine: &[StatusCode]) -> Result<Answer, Failure> {
        let asked = self.send(Method::GET, path, Bytes::new(), None);
        let answer = tokio::time::timeout(PATIENCE, asked)
            .await
            .map_err(|_| self.silent())??;
        self.accept(answer, fine)
    }

    /// Orders; answers when it is done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let body = body.to_string().into();
        let mut ordered = pin!(self.send(Method::POST, path, body, None));
        let answer = match tokio::time::timeout(PATIENCE, &mut ordered).await {
            Ok(answer) => answer,
            Err(_) => {
                eprintln!(
                    "{}; waiting on: a planned flip takes time",
                    self.silent().message
                );
                ordered.await
            }
        };
        self.accept(answer?, &[])
    }

    /// Sends a request, with a `tag` only for the case that what orders change is still as it was when that was given.
    /// The answer may be an error.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        tag: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(ACCEPT, "application/json, application/problem+json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if method == Method::POST
            && let Some(operator) = &self.operator
        {
            request = request.header(OPERATOR, operator);
        }
        if let Some(tag) = tag {
            request = request.header(IF_MATCH, tag);
        }
        let (response, mut connection) = self.ask(request, body).await?;
        self.whole(response, &mut connection).await
    }

    /// Sends a request; its answer's body comes while the connection is polled.
    pub(super) async fn ask(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        let (socket, host) = self.dial().await?;
        let mut request = request.header(HOST, host);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failure::new(format!("this can't be asked for: {error}")))?;
        let (mut sender, mut connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| self.broken(&error))?;
        let response = tokio::select! {
            response = sender.send_request(request) => response,
            // The connection may end right after the answer's last byte; the other one then still has it.
            Err(error) = &mut connection => Err(error),
        };
        Ok((response.map_err(|error| self.broken(&error))?, connection))
    }

    /// Reads the rest of an answer.
    pub(super) async fn whole(
        &self,
        response: Response<Incoming>,
        connection: &mut Connection,
    ) -> Result<Answer, Failure> {
        let status = response.status();
        let tag = response.headers().get(ETAG).cloned();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
        let body = tokio::select! {
            body = body => body.map_err(|error| self.broken(&*error))?.to_bytes(),
            Err(error) = connection => return Err(self.broken(&error)),
        };
        let body = serde_json::from_slice(&body).map_err(|_| {
            Failure::new(format!(
                "what answers at {} (status {status}) isn't firedoor's admin listener; \
                 name that one with --admin or FIREDOOR_ADMIN",
                self.address
            ))
        })?;
        Ok(Answer { status, tag, body })
    }

    /// A connection, and what to call its other end.
    async fn dial(&self) -> Result<(Box<dyn Socket>, String), Failure> {
        match &self.address {
            Address::Tcp(address) => {
                let stream = self.connected(TcpStream::connect(address)).await?;
                // The address and not the name: firedoor refuses names that it can't know to be its own.
                let host = stream
                    .peer_addr()
                    .map_err(|error| self.unreachable(&error.to_string()))?;
                Ok((Box::new(stream), host.to_string()))
            }
            Address::Unix(socket) => {
                let stream = self.connected(UnixStream::connect(socket)).await?;
                Ok((Box::new(stream), "localhost".to_owned()))
            }
        }
    }

    async fn connected<S>(
        &self,
        connecting: impl Future<Output = std::io::Result<S>>,
    ) -> Result<S, Failure> {
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable("connecting timed out")),
        }
    }

    pub(super) fn accept(&self, answer: Answer, fine: &[StatusCode]) -> Result<Answer, Failure> {
        if answer.status.is_success() || fine.contains(&answer.status) {
            return Ok(answer);
        }
        let mut message = answer.body["detail"]
            .as_str()
            .map_or_else(|| answer.status.to_string(), str::to_owned);
        for problem in answer.body["problems"].as_array().into_iter().flatten() {
            message.push_str("\n  ");
            message.push_str(&problem_line(problem));
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            message.push_str("\nname the token's file with --token-file, or set FIREDOOR_TOKEN");
        }
        let failure = Failure::new(message);
        Err(if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            failure.with_code(INVALID)
        } else {
            failure
        })
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(format!(
            "no firedoor can be reached at {}: {why}\n\
             is it running, and is this its [admin] bind? Name another address with --admin or FIREDOOR_ADMIN",
            self.address
        ))
    }

    pub(super) fn silent(&self) -> Failure {
        Failure::new(format!(
            "{} gave no answer within {} s",
            self.address,
            PATIENCE.as_secs()
        ))
    }

    pub(super) fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::new(format!(
            "{} broke off before it answered: {error}",
            self.address
        ))
    }
}

fn operator() -> Option<HeaderValue> {
    let name = ["USER", "LOGNAME"].map(std::env::var_os);
    let name = name.into_iter().flatten().find(|name| !name.is_empty())?;
    HeaderValue::try_from(segment(&name.to_string_lossy()).to_string()).ok()
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> impl fmt::Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

fn problem_line(problem: &Value) -> String {
    let mut line = String::new();
    if let Some(file) = problem["file"].as_str() {
        line.push_str(file);
        for place in ["line", "column"] {
            if let Some(number) = problem[place].as_u64() {
                line.push_str(&format!(":{number}"));
            }
        }
        line.push_str(": ");
    }
    line.push_str(problem["message"].as_str().unwrap_or("unknown problem"));
    if let Some(key) = problem["key"].as_str().filter(|key| !key.is_empty()) {
        line.push_str(&format!(" ({key})"));
    }
    if let Some(hint) = problem["hint"].as_str() {
        line.push_str(&format!("; {hint}"));
    }
    line
}

/// The token from `place`, as it is sent. What firedoor would not take as one isn't sent.
fn bearer(token: &str, place: &str) -> Result<HeaderValue, Failure> {
    Some(token)
        .filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()))
        .and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok())
        .ok_or_else(|| {
            Failure::new(format!(
                "{place} holds no usable token: one line of visible characters is needed, without spaces"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port_or_a_socket() {
        for text in ["127.0.0.1:9900", "[::1]:9900", "localhost:9900"] {
            assert_eq!(text.parse(), Ok(Address::Tcp(text.into())));
        }
        assert_eq!(
            "http://127.0.0.1:9900/".parse(),
            Ok(Address::Tcp("127.0.0.1:9900".into()))
        );
        assert_eq!(
            "unix:/run/a.sock".parse(),
            Ok(Address::Unix("/run/a.sock".into()))
        );
        for text in ["", "9900", "127.0.0.1", "https://127.0.0.1:1", "host:port"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("[::1]:80/a").to_string(), "%5B%3A%3A1%5D%3A80%2Fa");
    }
}
