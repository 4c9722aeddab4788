//! From cleartext to TLS: the redirect, and the promise that makes browsers come over TLS by themselves.

use std::cell::RefCell;
use std::time::Duration;

use http::{HeaderValue, Uri};

/// Sends all requests of a connection on to the same host, over TLS.
#[derive(Debug)]
pub(crate) struct Redirect {
    port: u16,
    /// Of the current request's answer.
    location: RefCell<Option<HeaderValue>>,
}

impl Redirect {
    /// `port` is where clients find the host over TLS.
    pub(crate) fn to(port: u16) -> Self {
        Self {
            port,
            location: RefCell::default(),
        }
    }

    /// Makes up where the request for `target` at `host` goes. `None`: the host can't be told.
    pub(crate) fn aim(&self, host: &str, target: &Uri) -> Option<()> {
        // An IPv6 address has colons of its own, within brackets.
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => name,
            _ => host,
        };
        if name.is_empty() {
            return None;
        }
        let port = match self.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let target = target
            .path_and_query()
            .map_or("/", |target| target.as_str());
        // `OPTIONS *` is about the server as a whole.
        let target = if target == "*" { "/" } else { target };
        let location = format!("https://{name}{port}{target}");
        *self.location.borrow_mut() = Some(HeaderValue::try_from(location).ok()?);
        Some(())
    }

    /// What [`Self::aim`] has made up.
    pub(crate) fn take(&self) -> Option<HeaderValue> {
        self.location.take()
    }
}

/// `Strict-Transport-Security` (RFC 6797 6.1) for so long. Not for subdomains: this listener may not serve them all.
pub(crate) fn promise(for_so_long: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={}", for_so_long.as_secs()))
        .unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aimed(port: u16, host: &str, target: &'static str) -> Option<HeaderValue> {
        let redirect = Redirect::to(port);
        redirect.aim(host, &Uri::from_static(target))?;
        redirect.take()
    }

    #[test]
    fn the_host_stays_and_the_port_is_the_other_one() {
        for (port, host, target, location) in [
            (443, "a.example", "/x?y=%20z", "https://a.example/x?y=%20z"),
            (443, "a.example:8080", "/", "https://a.example/"),
            (8443, "a.example:80", "/", "https://a.example:8443/"),
            (8443, "[2001:db8::1]", "/", "https://[2001:db8::1]:8443/"),
            (443, "[2001:db8::1]:80", "/", "https://[2001:db8::1]/"),
            (443, "a.example", "*", "https://a.example/"),
        ] {
            assert_eq!(aimed(port, host, target).unwrap(), location);
        }
        assert_eq!(aimed(443, "", "/"), None);
        assert_eq!(aimed(443, ":80", "/"), None);
    }
}
