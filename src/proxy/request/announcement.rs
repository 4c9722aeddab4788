//! How a client is announced to backends that want to be told by a PROXY header.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::exchange::Exchange;
use crate::config::{ClientIp, Config};
use crate::introduction::{Announcement, Introduction};
use crate::telemetry::mask::masked;

/// How the client is announced to the backends of `pool`, where that is wanted.
pub(crate) fn of(state: &Exchange, config: &Config, pool: usize) -> Option<Announcement> {
    let version = config.pools[pool].send_proxy?;
    let unknown = || match state.peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    Some(Announcement {
        version,
        client: Introduction {
            source: match config.upstream.client_ip {
                ClientIp::Full => state.peer,
                // With its port it would name one person's connection all the same.
                ClientIp::Masked | ClientIp::None => SocketAddr::new(masked(state.peer.ip()), 0),
            },
            // Only a connection from before the reload that brought `send_proxy` doesn't know where it came to.
            destination: state.destination.unwrap_or_else(unknown),
        },
    })
}
