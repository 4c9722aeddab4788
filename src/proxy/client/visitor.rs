//! Who a client connection comes from, and how far that is believed.

use std::net::SocketAddr;

use crate::config::Listener;
use crate::introduction::Introduction;

/// See the module's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// The client: whoever has connected, or whom a proxy that we trust has introduced.
    pub(crate) address: SocketAddr,
    /// Where it has connected to, as far as that is known.
    pub(crate) destination: Option<SocketAddr>,
    /// Whether what it says of its own clients is believed.
    pub(crate) trusted: bool,
}

impl Visitor {
    /// Whoever has connected to `listener`.
    pub(crate) fn direct(peer: SocketAddr, listener: &Listener) -> Self {
        Self {
            address: peer,
            destination: None,
            trusted: is_trusted(peer, listener),
        }
    }

    /// Whoever `peer`, a trusted proxy, passes on.
    ///
    /// It passes on bytes and hasn't looked at them: an `X-Forwarded-For` in them is the client's word. So it is the client who
    /// must be trusted to be believed. Without an introduction we know only that it isn't known who that is, and the tempting
    /// conclusion, that it is the proxy itself, would let the clients of a UNIX socket say what they like.
    pub(crate) fn introduced(
        peer: SocketAddr,
        introduction: Option<Introduction>,
        listener: &Listener,
    ) -> Self {
        match introduction {
            Some(Introduction {
                source,
                destination,
            }) => Self {
                address: source,
                destination: Some(destination),
                trusted: is_trusted(source, listener),
            },
            None => Self {
                address: peer,
                destination: None,
                trusted: false,
            },
        }
    }
}

/// Whether `address` is one of those whom `listener` trusts.
pub(in crate::proxy) fn is_trusted(address: SocketAddr, listener: &Listener) -> bool {
    let ip = address.ip().to_canonical();
    listener.trusted_proxies.iter().any(|net| net.contains(&ip))
}
