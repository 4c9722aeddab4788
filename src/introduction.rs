//! The header by which a proxy introduces its client to the server behind it: the PROXY protocol, versions 1 and 2
//! (`proxy-protocol.txt` of HAProxy). Pure.
//!
//! `proxy_header` reads and writes it. What stands here is what it leaves to its callers: how much of what comes belongs to the
//! header, and what of version 1 it lets through that no proxy writes.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader};

/// The most that is read of one, in bytes: as by nginx. Version 2 could name 64 KiB; what may follow the addresses (a TLS
/// client's certificate, at the largest) fits.
pub(crate) const LONGEST: usize = 4096;

/// A line of version 1 is never longer, its CR LF included (2.1).
const LONGEST_LINE: usize = 107;

const FIRST: &[u8] = b"PROXY ";
const SECOND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version, family and length of version 2 (2.2).
const FIXED: usize = 16;

/// Version 2, and a connection of the proxy's own.
const LOCAL: u8 = 0x20;

/// Whose connection another proxy passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The client.
    pub(crate) source: SocketAddr,
    /// Where it has connected to.
    pub(crate) destination: SocketAddr,
}

/// Which version is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    First,
    /// Binary.
    Second,
}

/// What is said of a client at the beginning of a connection, and in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) version: Version,
    pub(crate) client: Introduction,
}

impl Announcement {
    /// As it goes over the wire.
    pub(crate) fn header(&self) -> Vec<u8> {
        write(self.version, Some(self.client))
    }
}

/// How much of the bytes that have come belongs to the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them, and some are missing.
    Part,
    /// So many: it is complete.
    Whole(usize),
}

/// Why there is no introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something else has come.
    Foreign,
    /// More than is read of one.
    TooLong,
    /// It begins as one, but isn't.
    Malformed,
}

/// How much of `bytes`, which come first on a connection, belongs to the header. What follows it is not ours to read: it may
/// be the first bytes of a TLS handshake.
pub(crate) fn measure(bytes: &[u8]) -> Result<Extent, Fault> {
    let begins_with = |signature: &[u8]| {
        let known = bytes.len().min(signature.len());
        bytes[..known] == signature[..known]
    };
    if begins_with(FIRST) {
        return match bytes.iter().position(|&b| b == b'\n') {
            Some(end) if end < LONGEST_LINE => Ok(Extent::Whole(end + 1)),
            None if bytes.len() < LONGEST_LINE => Ok(Extent::Part),
            Some(_) | None => Err(Fault::TooLong),
        };
    }
    if !begins_with(SECOND) {
        return Err(Fault::Foreign);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(Extent::Part);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST {
        return Err(Fault::TooLong);
    }
    Ok(if bytes.len() < length {
        Extent::Part
    } else {
        Extent::Whole(length)
    })
}

/// What a complete `header` says. `None`: it introduces nobody, or somebody who has no address of the internet. It is a connection
/// of the proxy's own (`LOCAL`, its health checks), or it comes from a UNIX socket (`UNKNOWN`).
pub(crate) fn read(header: &[u8]) -> Result<Option<Introduction>, Fault> {
    // The rest of it doesn't matter then, whatever it is (2.2), the family that the library would look at included.
    if header.starts_with(SECOND) && header.get(SECOND.len()) == Some(&LOCAL) {
        return Ok(None);
    }
    // The library would take `+1` and `007` for port numbers, and passes over whatever stands after an `UNKNOWN`, which is right (2.1).
    let ports = header.split(|&b| b == b' ' || b == b'\r').skip(4).take(2);
    let odd = |port: &[u8]| port.starts_with(b"+") || (port.starts_with(b"0") && port.len() > 1);
    let named = header.starts_with(b"PROXY TCP");
    if named && ports.into_iter().any(odd) {
        return Err(Fault::Malformed);
    }
    let (parsed, length) =
        ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| Fault::Malformed)?;
    if length != header.len() {
        return Err(Fault::Malformed);
    }
    Ok(parsed.proxied_address().map(|addresses| Introduction {
        source: addresses.source,
        destination: addresses.destination,
    }))
}

/// The header that introduces `client`, or with `None`, ourselves.
pub(crate) fn write(version: Version, client: Option<Introduction>) -> Vec<u8> {
    let header = match client.map(Introduction::in_one_family) {
        Some(client) => {
            ProxyHeader::with_address(ProxiedAddress::stream(client.source, client.destination))
        }
        None => ProxyHeader::with_local(),
    };
    let mut bytes = Vec::with_capacity(LONGEST_LINE);
    let written = match version {
        Version::First => header.encode_v1(&mut bytes),
        Version::Second => header.encode_v2(&mut bytes),
    };
    written.expect("both addresses are of one family");
    bytes
}

impl Introduction {
    /// A header has room for one family: IPv4 if both can be written so, IPv6 otherwise.
    fn in_one_family(self) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (source, destination) = (canonical(self.source), canonical(self.destination));
        let mapped = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            SocketAddr::V6(_) => address,
        };
        if source.is_ipv4() == destination.is_ipv4() {
            Self {
                source,
                destination,
            }
        } else {
            Self {
                source: mapped(source),
                destination: mapped(destination),
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it doesn't begin with a PROXY header",
            Self::TooLong => "its PROXY header is too long",
            Self::Malformed => "its PROXY header is malformed",
        })
    }
}

#[cfg(test)]
mod tests;
