//! Layer 6: a TLS handshake, what is wrong with the other side's certificate, and how long it will still be valid.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, ProtocolVersion, RootCertStore,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Finding;
use crate::config::{TlsCheck, TlsClient, provider};
use crate::outcome::CheckCode;
use crate::outcome::words::tls as words;

/// Secures a connection; for every kind of check whose protocol has TLS. `authority` is the component's address as configured:
/// its host is what the certificate must be for, unless the check names another.
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    authority: &str,
    client: &TlsClient,
    deadline: Instant,
) -> Result<TlsStream<S>, Finding> {
    let name = expected_name(authority, client)?;
    connect(stream, name, &client.config(), deadline).await
}

/// As [`handshake`], but a certificate that isn't in order doesn't end it: the second value is what is wrong with it. For protocols
/// whose servers hold an interrupted handshake against the host that it came from. Until that value has been looked at, the other
/// side may be anybody.
pub(super) async fn handshake_then_verify<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    authority: &str,
    client: &TlsClient,
    deadline: Instant,
) -> Result<(TlsStream<S>, Option<Finding>), Finding> {
    let name = expected_name(authority, client)?;
    let stream = connect(stream, name.clone(), &client.lenient_config(), deadline).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let objection = client.verify(chain, &name, UnixTime::now()).err();
    let objection = objection.map(|error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        Finding::new(CheckCode::L6Response, words::of(&error))
    });
    Ok((stream, objection))
}

/// Whom the certificate must be for.
fn expected_name(authority: &str, client: &TlsClient) -> Result<ServerName<'static>, Finding> {
    match &client.terms().server_name {
        Some(name) => Ok(name.clone()),
        None => host(authority),
    }
}

async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: ServerName<'static>,
    config: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<TlsStream<S>, Finding> {
    let connector = TlsConnector::from(Arc::clone(config));
    match timeout_at(deadline, connector.connect(name, stream)).await {
        Err(_) => Err(Finding::new(
            CheckCode::L6Timeout,
            "connected, but no TLS handshake",
        )),
        Ok(Err(error)) => Err(Finding::new(CheckCode::L6Response, words::of(&error))),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// The check that is a handshake and no more.
pub(super) async fn ask(
    stream: TcpStream,
    authority: &str,
    check: &TlsCheck,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let mut stream = handshake(stream, authority, &check.tls, deadline).await?;
    let detail = describe(stream.get_ref().1, check);
    // A server notes a connection that ends without this as broken off. Its own farewell isn't waited for.
    let _ = timeout_at(deadline, stream.shutdown()).await;
    Ok(Finding::new(CheckCode::L6Ok, detail))
}

/// `TLS 1.3, certificate until 2027-02-01`, and what an operator has to do about it.
fn describe(connection: &ClientConnection, check: &TlsCheck) -> String {
    let now = UnixTime::now();
    let soon =
        UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + check.expires_within);
    let terms = check.tls.terms();
    let roots = terms.anchors.roots();
    let mut detail = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        _ => "TLS 1.3".to_owned(),
    };
    match end_of_validity(connection, roots, soon) {
        Some(end) if end <= now.as_secs() => {
            detail.push_str(&format!(
                ", WARNING: the certificate expired on {}, but isn't verified",
                words::day(end)
            ));
        }
        Some(end) => detail.push_str(&format!(
            ", WARNING: the certificate expires {}, on {}",
            words::ahead(end - now.as_secs()),
            words::day(end)
        )),
        None => {
            if let Some(end) = end_of_validity(connection, roots, NEVER) {
                detail.push_str(&format!(", certificate until {}", words::day(end)));
            }
        }
    }
    if !terms.verify {
        detail.push_str(", not verified");
    }
    detail
}

/// The certificate of the chain that is the first to be no longer valid at the time `at`: its end, in seconds since 1970.
///
/// rustls says it when it is asked to verify the same chain as if it were that time already, so no other reader of X.509 is
/// needed. It looks at the server's own certificate first, whoever signed that; so an end that is beyond question is found even
/// where nothing is verified.
fn end_of_validity(
    connection: &ClientConnection,
    roots: &RootCertStore,
    at: UnixTime,
) -> Option<u64> {
    let (server, signers) = connection.peer_certificates()?.split_first()?;
    let server = ParsedCertificate::try_from(server).ok()?;
    let algorithms = provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&server, roots, signers, at, algorithms) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(not_after.as_secs())
        }
        _ => None,
    }
}

/// The last second of X.509's calendar: no certificate that ends at all is valid beyond it.
const NEVER: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));

/// The host of `10.1.0.21:5432`, `[2001:db8::1]:5432` or `db.example:5432`.
fn host(authority: &str) -> Result<ServerName<'static>, Finding> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Finding::new(
            CheckCode::L6Response,
            "no certificate can be for this address: give tls a server_name",
        )
    })
}
