//! One HTTP request to somebody outside: an authority, a collector, a webhook. On a connection of its own, over TLS where the URL says so, and
//! with an answer of bounded size.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, fmt::rfc2822};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::TlsClient;

/// Longer waits aren't believed.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// For a connection to one address.
const CONNECT: Duration = Duration::from_secs(5);

/// Sends `request`, whose URL is absolute, and reads the answer, whose body may have `limit` bytes; `None`: it is of no interest, and not waited
/// for. Over TLS by `tls` if the URL is one of https. How long all of it may take is the caller's to say.
///
/// # Errors
/// In words.
///
/// # Cancel safety
/// Nothing of it outlives the future.
pub(crate) async fn run<B>(
    tls: Option<&TlsClient>,
    mut request: Request<B>,
    limit: Option<usize>,
) -> Result<Response<Bytes>, String>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let url = request.uri().clone();
    let authority = url.authority().ok_or("its URL has no host")?;
    let host = authority.host().trim_matches(['[', ']']);
    let value = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, value);
    let target = url.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);

    let port = authority.port_u16();
    if url.scheme_str() != Some("https") {
        let stream = connect(host, port.unwrap_or(80)).await?;
        return exchange(stream, request, limit).await;
    }
    let tls = tls.ok_or("it is https, and nothing is known of whom to trust")?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "not a host name")?;
    let name = tls.terms().server_name.clone().unwrap_or(name);
    let stream = connect(host, port.unwrap_or(443)).await?;
    let stream = TlsConnector::from(tls.config())
        .connect(name, stream)
        .await
        .map_err(|error| format!("no TLS: {error}"))?;
    exchange(stream, request, limit).await
}

async fn exchange<S, B>(
    stream: S,
    request: Request<B>,
    limit: Option<usize>,
) -> Result<Response<Bytes>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let Some(limit) = limit else {
            return Ok(Response::from_parts(parts, Bytes::new()));
        };
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|error| format!("its answer can't be read: {error}"))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
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

/// How long an answer says to wait: seconds, or a date (RFC 9110 10.2.3). Never more than a week.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
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
