//! An authority's questions whether a name is ours (ACME), and our answers: over HTTP on every cleartext listener, in the TLS
//! handshake on every other. Nobody else can ask them: a token is a secret until the authority has used it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::proxy::request::body::ResponseBody;
use crate::proxy::request::record::Record;
use crate::telemetry::reason::Reason;

/// Where the authority asks for a token (RFC 8555 8.3).
const PLACE: &str = "/.well-known/acme-challenge/";

/// The protocol that a TLS handshake is for if it is such a question (RFC 8737 6.2).
pub(crate) const ALPN: &[u8] = b"acme-tls/1";

/// The questions that are open now. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<ArcSwap<Open>>);

#[derive(Clone, Debug, Default)]
struct Open {
    /// What the file of a token holds.
    files: HashMap<String, Bytes>,
    /// How the handshake for a name is answered.
    handshakes: HashMap<String, Arc<ServerConfig>>,
}

/// A question and its answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// HTTP-01: a token, and what its file holds.
    File(String, Bytes),
    /// TLS-ALPN-01: a name, and how its handshake is answered.
    Handshake(String, Arc<ServerConfig>),
}

/// Takes the answer away when it is dropped.
#[derive(Debug)]
pub(crate) struct Posed {
    challenges: Challenges,
    answer: Answer,
}

impl Challenges {
    /// Gives `answer` from now on, until what is returned is dropped.
    pub(crate) fn pose(&self, answer: Answer) -> Posed {
        self.change(|open| match &answer {
            Answer::File(token, text) => {
                open.files.insert(token.clone(), text.clone());
            }
            Answer::Handshake(name, config) => {
                open.handshakes.insert(name.clone(), Arc::clone(config));
            }
        });
        Posed {
            challenges: self.clone(),
            answer,
        }
    }

    fn change(&self, act: impl Fn(&mut Open)) {
        self.0.rcu(|open| {
            let mut open = Open::clone(open);
            act(&mut open);
            open
        });
    }

    /// What is asked for by a request in cleartext. `None`: something else, or nothing that we were asked for; that may be for another
    /// ACME client behind us.
    pub(crate) fn file<B: Body>(&self, request: &Request<B>) -> Option<Bytes> {
        let token = request.uri().path().strip_prefix(PLACE)?;
        let asks = matches!(*request.method(), Method::GET | Method::HEAD);
        if !asks || !request.body().is_end_stream() {
            return None;
        }
        self.0.load().files.get(token).cloned()
    }

    /// Whether a handshake may be a question.
    pub(crate) fn expect_handshakes(&self) -> bool {
        !self.0.load().handshakes.is_empty()
    }

    /// RFC 8737 3: a question offers that one protocol, and names one host.
    fn handshake(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(ALPN) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.load().handshakes.get(&name).cloned()
    }

    /// The handshake of a client that may be the authority; if it isn't, as `config` has it.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<TlsStream<TcpStream>, (io::Error, Option<TcpStream>)> {
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let start = match (&mut acceptor).await {
            Ok(start) => start,
            Err(error) => return Err((error, acceptor.take_io())),
        };
        let config = self.handshake(&start.client_hello()).unwrap_or(config);
        let accepted = start.into_stream(config).into_fallible().await;
        accepted.map_err(|(error, stream)| (error, Some(stream)))
    }
}

impl Drop for Posed {
    fn drop(&mut self) {
        self.challenges.change(|open| match &self.answer {
            Answer::File(token, _) => {
                open.files.remove(token);
            }
            Answer::Handshake(name, _) => {
                open.handshakes.remove(name);
            }
        });
    }
}

/// The answer to [`Challenges::file`]'s question.
pub(crate) fn respond(file: Bytes, mut record: Box<Record>) -> Response<ResponseBody> {
    record.refused(Reason::Challenge, StatusCode::OK, "LR", false);
    let length = HeaderValue::from(file.len());
    let headers_only = record.is_head();
    let body = if headers_only { Vec::new() } else { vec![file] };
    let mut response = Response::new(ResponseBody::own(body, record));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if headers_only {
        headers.insert(CONTENT_LENGTH, length);
    }
    response
}

/// Ends the connection of an authority that has its answer: there is nothing more to say on it (RFC 8737 3).
pub(crate) async fn leave(mut stream: TlsStream<TcpStream>) {
    let _gone = stream.shutdown().await;
}
