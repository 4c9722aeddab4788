//! A fire-protection zone and its components, as configured.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Check;
use crate::zone::ComponentKey;

/// `[[zone]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique.
    pub name: Arc<str>,
    /// `[[zone.backend]]`
    pub backends: Vec<Backend>,
    /// `[[zone.dependency]]`
    pub dependencies: Vec<Dependency>,
}

/// `[[zone.backend]]`: one app server address.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Zone and name; the name defaults to the address.
    pub key: ComponentKey,
    /// Index into [`Config::pools`](crate::config::Config::pools).
    pub pool: usize,
    /// Where it is.
    pub address: Address,
    /// Its share, relative to its siblings; at least 1.
    pub weight: u32,
    /// Requests at once, over all workers; `None` (0 in the file) means unlimited.
    pub max_in_flight: Option<NonZeroU32>,
}

/// `[[zone.dependency]]`: something the backends need and we never route to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Zone and name.
    pub key: ComponentKey,
    /// Where it is checked.
    pub address: Address,
    /// Whether the zone fails with it.
    pub required: bool,
    /// How it is checked.
    pub check: Arc<Check>,
}

/// An address that may still have to be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IP address and port.
    Ip(SocketAddr),
    /// A DNS name and port; resolved in the background, the last good answer is kept.
    Name(Arc<str>, u16),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}
