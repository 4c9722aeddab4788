//! What a probe talks over: a fresh TCP connection, secured where the check says so.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Finding, tcp, tls};
use crate::config::{HttpCheck, TlsClient};
use crate::introduction::Version;
use crate::outcome::CheckCode;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// With or without TLS: the protocol above needn't know.
pub(super) type Stream = Box<dyn Duplex>;

/// For HTTP: with whether HTTP/2 is to be spoken.
pub(super) async fn open_http(
    address: SocketAddr,
    authority: &str,
    check: &HttpCheck,
    introduces: Option<Version>,
    deadline: Instant,
) -> Result<(Stream, bool), Finding> {
    let stream = tcp::connect(address, introduces, deadline).await?;
    let Some(client) = &check.tls else {
        return Ok((Box::new(stream), check.h2c));
    };
    let secured = tls::handshake(stream, authority, client, deadline).await?;
    let h2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    if !h2 && client.terms().alpn == ["h2"] {
        let why = "the server has TLS, but not for this protocol";
        return Err(Finding::new(CheckCode::L6Response, why));
    }
    Ok((Box::new(secured), h2))
}

/// Connects, and shakes hands if `tls` is there. `authority` is the component's address as configured.
///
/// For protocols that begin with TLS; one that begins in cleartext and asks for TLS in its own words calls
/// [`tls::handshake`] on the stream that it has.
pub(super) async fn open(
    address: SocketAddr,
    authority: &str,
    tls: Option<&TlsClient>,
    introduces: Option<Version>,
    deadline: Instant,
) -> Result<Stream, Finding> {
    let stream = tcp::connect(address, introduces, deadline).await?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(client) => {
            let secured = tls::handshake(stream, authority, client, deadline).await?;
            Ok(Box::new(secured))
        }
    }
}
