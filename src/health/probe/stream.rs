//! What a probe talks over: a fresh TCP connection, secured where the check says so.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Finding, tcp, tls};
use crate::config::TlsClient;
use crate::introduction::Version;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// With or without TLS: the protocol above needn't know.
pub(super) type Stream = Box<dyn Duplex>;

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
