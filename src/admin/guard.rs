//! Who may ask: against pages in an operator's browser (DNS rebinding, cross-site requests) and against strangers (token).

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::uri::Authority;
use http::{StatusCode, Uri, Version, request};

use super::problem::Problem;
use crate::config::Secret;

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Over TCP, to our address `own`.
    Tcp {
        /// The address that the connection was made to.
        own: IpAddr,
    },
    /// Over a Unix socket, which no browser can reach.
    Unix,
}

/// Refuses what a page of somebody else's, open in an operator's browser, could have sent.
pub(crate) fn check_origin(caller: Caller, head: &request::Parts) -> Result<(), Problem> {
    check_page(head)?;
    check_name(caller, head)
}

/// Refuses names that aren't ours. DNS rebinding makes the host name of somebody else's page point at us, so the name in `Host` is what
/// gives it away: only loopback names and the address that was connected to are ours.
pub(super) fn check_name(caller: Caller, head: &request::Parts) -> Result<(), Problem> {
    match (caller, host(head)?) {
        (Caller::Tcp { own }, Some(host)) if !is_ours(host.host(), own) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "\"{host}\" is not a name of this listener: ask for localhost, a loopback address or its own address"
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses what a browser says to come from elsewhere. `Origin`, where it sends one, must be the same as `Host`.
pub(super) fn check_page(head: &request::Parts) -> Result<(), Problem> {
    let Some(host) = host(head)? else {
        // A browser always sends one; the health checks of old load balancers (HTTP/1.0) don't.
        return Ok(());
    };
    check_site(head)?;
    let Some(origin) = head.headers.get(ORIGIN) else {
        return Ok(());
    };
    let same = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok())
        .and_then(|origin| origin.into_parts().authority)
        .is_some_and(|origin| origin == host);
    if same {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "requests from pages of another origin are refused",
        ))
    }
}

/// Refuses what a browser says to come from another site, or another port of this host (Fetch Metadata, W3C). A link to a page may
/// be followed from anywhere: whoever has it there can't read what comes, and nothing is changed by it.
fn check_site(head: &request::Parts) -> Result<(), Problem> {
    let is = |name: &str, value: &str| head.headers.get(name).is_some_and(|found| found == value);
    let ours = !head.headers.contains_key("sec-fetch-site")
        || is("sec-fetch-site", "same-origin")
        || is("sec-fetch-site", "none");
    let followed = head.method.is_safe()
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document");
    if ours || followed {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "requests from pages of another site are refused",
        ))
    }
}

/// Refuses a request without the configured token.
pub(super) fn check_token(token: Option<&Secret>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else { return Ok(()) };
    let offered = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match offered {
        Some(offered) if same(offered.as_bytes(), token.expose().as_bytes()) => Ok(()),
        Some(_) => Err(Problem::unauthorized("the token is not the right one")),
        None => Err(Problem::unauthorized(
            "a token is needed: send \"Authorization: Bearer …\"",
        )),
    }
}

fn host(head: &request::Parts) -> Result<Option<Authority>, Problem> {
    let malformed = || Problem::new(StatusCode::BAD_REQUEST, "exactly one valid Host is needed");
    let mut hosts = head.headers.get_all(HOST).iter();
    let field = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(Authority::try_from(host.as_bytes()).map_err(|_| malformed())?),
        (None, _) if head.version == Version::HTTP_10 => None,
        _ => return Err(malformed()),
    };
    // An absolute-form target outranks the field (RFC 9112, 3.2.2).
    Ok(head.uri.authority().cloned().or(field))
}

fn is_ours(host: &str, own: IpAddr) -> bool {
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match literal.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address == own
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Compares without ending at the first difference, so that time tells nothing about how much was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left
        .iter()
        .zip(right)
        .fold(0, |found, (left, right)| found | (left ^ right));
    left.len() == right.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_the_own_address_are_ours() {
        let own: IpAddr = "10.1.0.5".parse().unwrap();
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "10.1.0.5",
        ] {
            assert!(is_ours(host, own), "{host}");
        }
        for host in [
            "10.1.0.6",
            "rebind.example",
            "localhost.example",
            "[::2]",
            "",
        ] {
            assert!(!is_ours(host, own), "{host}");
        }
    }

    #[test]
    fn tokens_are_the_same_only_as_a_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secre", b"secret"));
        assert!(!same(b"secret", b"secre"));
        assert!(!same(b"secreT", b"secret"));
        assert!(!same(b"", b"secret"));
    }
}
