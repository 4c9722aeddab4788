//! A fire-protection zone and its components, as configured.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::{Check, Config, TlsClient};
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
    /// What is spoken there.
    pub protocol: Protocol,
    /// How it is checked, where its protocol makes that differ from its pool's check.
    pub check: Option<Arc<Check>>,
    /// Its share, relative to its siblings; at least 1.
    pub weight: u32,
    /// Requests at once, over all workers; `None` (0 in the file) means unlimited.
    pub max_in_flight: Option<NonZeroU32>,
}

/// What a backend is spoken to in: the scheme of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http://`, or no scheme: HTTP/1.1 in cleartext.
    Http,
    /// `h2c://`: HTTP/2 in cleartext, with prior knowledge.
    H2c,
    /// `https://`: over TLS, with a certificate for that name; HTTP/1.1 or HTTP/2, by ALPN.
    Https(TlsClient, ServerName<'static>),
}

impl Protocol {
    /// How TLS is spoken, where it is.
    pub fn tls(&self) -> Option<&TlsClient> {
        match self {
            Self::Http | Self::H2c => None,
            Self::Https(client, _) => Some(client),
        }
    }

    /// Whether several requests may share a connection: HTTP/2 is spoken, or offered.
    pub fn may_share(&self) -> bool {
        match self {
            Self::Http => false,
            Self::H2c => true,
            Self::Https(client, _) => client.terms().alpn.contains(&"h2"),
        }
    }
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

impl Address {
    /// Stands in for one that can't be read, and gets to see nobody.
    pub(super) fn unknown() -> Self {
        Self::Name("".into(), 0)
    }

    /// Whom a certificate for it is for; `None` if there can't be one.
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Ip(address) => Some(ServerName::from(address.ip())),
            Self::Name(name, _) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                ServerName::try_from(name.to_owned()).ok()
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl Config {
    /// What to say of a preference that isn't what it was `before`; zones that merely come or go behind the first one change none.
    pub fn other_preference(&self, before: &Self) -> Option<String> {
        let had = |config: &Self, name: &str| config.zones.iter().any(|zone| *zone.name == *name);
        let kept = |config: &Self, other: &Self| -> Vec<_> {
            let zones = config.zones.iter().map(|zone| &zone.name);
            zones.filter(|name| had(other, name)).cloned().collect()
        };
        let first = |config: &Self| config.zones.first().map(|zone| zone.name.clone());
        if first(self) == first(before) && kept(self, before) == kept(before, self) {
            return None;
        }
        let names: Vec<&str> = self.zones.iter().map(|zone| &*zone.name).collect();
        let (preferred, then) = names.split_first()?;
        let then = match then {
            [] => String::new(),
            then => format!(", then {}", then.join(", ")),
        };
        Some(format!("{preferred} is the preferred zone now{then}"))
    }
}
