//! The HTTP client towards an authority: https only, a connection for each request, and everything bounded.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::{Timestamp, fmt::rfc2822};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::TlsClient;

/// For one request, from the look-up of the host to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// For a connection to one address.
const CONNECT: Duration = Duration::from_secs(5);

/// Of an answer.
const LIMIT: usize = 1 << 20;

/// Longer waits aren't believed.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Asks one authority. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    tls: TlsClient,
    told_to_wait: Arc<Mutex<Option<Duration>>>,
}

impl Agent {
    pub(super) fn new(tls: TlsClient) -> Self {
        Self {
            tls,
            told_to_wait: Arc::default(),
        }
    }

    /// How long the last refusal said to wait.
    pub(super) fn told_to_wait(&self) -> Option<Duration> {
        *self
            .told_to_wait
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let told = |problem: String| Error::Other(format!("{host}: {problem}").into());
        let asks = request.method() == Method::POST;
        let response = match timeout(PATIENCE, exchange(&self.tls, request)).await {
            Ok(response) => response.map_err(told)?,
            Err(_) => return Err(told(format!("no answer within {PATIENCE:?}"))),
        };
        let (status, headers) = (response.status(), response.headers());
        if status.is_client_error() || status.is_server_error() {
            let wait = retry_after(headers, Timestamp::now());
            *self
                .told_to_wait
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = wait;
            // Anything but a problem document doesn't come from the authority itself, but from what stands before it; and only for the
            // answer to a POST does the library look for one.
            if !asks || !is_problem(headers) {
                return Err(told(format!("it answers {status}")));
            }
        }
        Ok(BytesResponse::from(response))
    }
}

impl HttpClient for Agent {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}

/// One request and its answer, on a connection of their own. The error is in words.
async fn exchange(
    tls: &TlsClient,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, String> {
    let url = request.uri().clone();
    let (true, Some(authority)) = (url.scheme_str() == Some("https"), url.authority()) else {
        return Err(format!("{url} is not https"));
    };
    let host = authority.host().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "not a host name")?;
    let stream = connect(host, authority.port_u16().unwrap_or(443)).await?;
    let stream = TlsConnector::from(tls.config())
        .connect(name, stream)
        .await
        .map_err(|error| format!("no TLS: {error}"))?;

    let value = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, value);
    let target = url.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);

    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LIMIT).collect().await;
        let body = body.map_err(|error| format!("its answer can't be read: {error}"))?;
        Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
    };
    // The connection is driven here rather than by a task of its own, so that nothing of it outlives the request.
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended.map_err(broken)?;
            answer.await
        }
    }
}

/// To the first of the host's addresses that answers: where IPv6 leads nowhere, IPv4 must still get its turn.
async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = lookup_host((host, port)).await;
    let mut last = "it has no address".to_owned();
    for address in addresses.map_err(|error| format!("can't be resolved: {error}"))? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no connection to {} within {CONNECT:?}", address.ip()),
        }
    }
    Err(format!("can't connect: {last}"))
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.contains("json"))
}

/// RFC 9110 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_and_never_absurd() {
        let now: Timestamp = "2026-01-15T03:12:07Z".parse().unwrap();
        for (value, wait) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Thu, 15 Jan 2026 03:13:07 GMT", Some(60)),
            ("Thu, 15 Jan 2026 03:11:07 GMT", Some(0)),
            ("999999999999", Some(LONGEST_WAIT.as_secs())),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            let found = retry_after(&headers, now);
            assert_eq!(found.map(|wait| wait.as_secs()), wait, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
