//! Addresses: those that are bound, those that are connected to, and the hosts of routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use crate::config::raw::{Form, Refusal};
use crate::config::{Address, HostPattern};

/// An address to bind.
pub(super) const BIND: Form<SocketAddr> = Form {
    noun: "an address to bind",
    example: "\"0.0.0.0:8080\" or \"[::]:8080\"",
    parse: |text| {
        text.parse().map_err(|_| {
            let refusal = Refusal::malformed("an IP address and a port are needed");
            match text.rsplit_once(':') {
                Some(("" | "*", port)) if is_port(port) => refusal.hint(format!(
                    "\"0.0.0.0:{port}\" is every IPv4 address, \"[::]:{port}\" every IPv6 address"
                )),
                Some(("localhost", port)) if is_port(port) => {
                    refusal.hint(format!("write \"127.0.0.1:{port}\""))
                }
                _ => refusal,
            }
        })
    },
};

/// An address to connect to.
pub(super) const ADDRESS: Form<Address> = Form {
    noun: "an address",
    example: "\"10.1.0.11:8080\", \"[2001:db8::1]:8080\" or \"app-1.example:8080\"",
    parse: |text| match text.split_once("://") {
        Some(("https" | "h2c", _)) => Err(Refusal::unsuitable(
            "an address with a scheme, as backends have it",
        )
        .hint("leave the scheme out; over TLS it is checked with tls = true")),
        _ => address(text),
    },
};

/// The address of a backend, and what is spoken there.
pub(super) const BACKEND: Form<(Scheme, Address)> = Form {
    noun: "an address",
    example: "\"10.1.0.11:8080\", \"https://10.1.0.11:8443\" or \"app-1.example:8080\"",
    parse: |text| match text.split_once("://") {
        Some(("https", rest)) => Ok((Scheme::Https, behind("https://", rest)?)),
        Some(("h2c", rest)) => Ok((Scheme::H2c, behind("h2c://", rest)?)),
        _ => Ok((Scheme::Http, address(text)?)),
    },
};

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Also where there is none.
    Http,
    Https,
    H2c,
}

/// The hosts of a route.
pub(super) const HOST: Form<HostPattern> = Form {
    noun: "a host",
    example: "\"kunde1.example\" or \"*.example\"",
    parse: host,
};

fn address(text: &str) -> Result<Address, Refusal> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    if text.contains('/') {
        return Err(Refusal::malformed("it has a scheme or a path").hint("write only host:port"));
    }
    bare(text)
}

/// Without `scheme`, which has to stay: what it says of the connection would get lost with it.
fn behind(scheme: &str, text: &str) -> Result<Address, Refusal> {
    if text.contains('/') {
        let hint = format!("write only {scheme}host:port");
        return Err(Refusal::malformed("it has a path").hint(hint));
    }
    bare(text)
}

fn bare(text: &str) -> Result<Address, Refusal> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Refusal::malformed("IPv6 needs brackets and a port")
            .hint("write it like \"[2001:db8::1]:8080\""));
    }
    if text.parse::<IpAddr>().is_ok() || text.ends_with(']') {
        return Err(no_port());
    }
    let (name, port) = text.rsplit_once(':').ok_or_else(no_port)?;
    let port: NonZeroU16 = port
        .parse()
        .map_err(|_| Refusal::malformed("ports are numbers from 1 to 65535"))?;
    if let Ok(address) = text.parse() {
        return Ok(Address::Ip(address));
    }
    dns_name(name)?;
    Ok(Address::Name(name.to_ascii_lowercase().into(), port.get()))
}

fn host(text: &str) -> Result<HostPattern, Refusal> {
    if text == "*" {
        return Err(Refusal::unsuitable("every host").hint("leave host out"));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    if let Some(address) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return Ok(HostPattern::Exact(text.to_ascii_lowercase()));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(HostPattern::Exact(text.to_owned()));
    }
    if text.rsplit_once(':').is_some_and(|(_, port)| is_port(port)) {
        return Err(Refusal::malformed("it has a port")
            .hint("leave the port out: a route is for every port"));
    }
    let (below, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    dns_name(name)?;
    let name = name.to_ascii_lowercase();
    Ok(if below {
        HostPattern::Below(name)
    } else {
        HostPattern::Exact(name)
    })
}

/// A label of digits only can't end a name: `10.0.0.256` is a slip, and the resolver would ask the world about it.
pub(super) fn dns_name(name: &str) -> Result<(), Refusal> {
    if !name.is_ascii() {
        return Err(Refusal::malformed("it has characters beyond ASCII")
            .hint("write such a name in its xn-- form"));
    }
    let label = |label: &str| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(fine) && !label.starts_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(Refusal::malformed("the name is not one of DNS"));
    }
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::malformed("the IP address is malformed"));
    }
    Ok(())
}

fn no_port() -> Refusal {
    Refusal::malformed("it has no port").hint("add the port, for example \":8080\"")
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names_and_from_slips() {
        let read = |text| address(text).ok().map(|address| address.to_string());
        for (written, meant) in [
            ("10.1.0.11:8080", "10.1.0.11:8080"),
            ("http://10.1.0.11:8080", "10.1.0.11:8080"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("App-1.Example:80", "app-1.example:80"),
            ("localhost:65535", "localhost:65535"),
            ("my_app.1and1.example.:80", "my_app.1and1.example.:80"),
        ] {
            assert_eq!(read(written).as_deref(), Some(meant));
        }
        for wrong in [
            "",
            ":80",
            "10.1.0.11",
            "10.1.0.11:0",
            "10.1.0.11:65536",
            "10.1.0.256:80",
            "10.1.11:80",
            "2001:db8::1",
            "[2001:db8::1]",
            "app",
            "app:http",
            "-app:80",
            "a..b:80",
            "app 1:80",
            "größe.example:80",
            "https://app:443",
            "h2c://app:80",
            "http://app:80/",
            "ftp://app:21",
            "unix:/run/app.sock",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn hosts_are_exact_or_everything_below() {
        let exact = |host: &str| Some(HostPattern::Exact(host.to_owned()));
        assert_eq!(host("Kunde1.Example.").ok(), exact("kunde1.example"));
        assert_eq!(host("10.0.0.1").ok(), exact("10.0.0.1"));
        assert_eq!(host("[2001:DB8::1]").ok(), exact("[2001:db8::1]"));
        assert_eq!(
            host("*.Example").ok(),
            Some(HostPattern::Below("example".to_owned()))
        );
        for wrong in [
            "",
            "*",
            "*.",
            "a.*.example",
            "*example",
            "a.example:80",
            "a/b",
            "größe.example",
        ] {
            assert_eq!(host(wrong).ok(), None, "{wrong:?}");
        }
    }
}
