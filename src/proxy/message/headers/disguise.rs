//! What other proxies say of a client's address, for apps that may only know its network.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::claim::strip;
use super::forwarded::address;
use crate::config::ClientIp;
use crate::proxy::message::spelling::reads_as;
use crate::telemetry::mask;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Fields in which content delivery networks, clouds and balancers name a client's address, or apps look for it.
const NAMING: [&str; 21] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded-for",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-nf-client-connection-ip",
    "x-original-forwarded-for",
    "x-original-remote-addr",
    "x-remote-ip",
];

/// Removes fields that name a client's address whole, but for `X-Real-IP` of a peer that is believed, which apps behind nginx rely on: it
/// names the network. The fields that firedoor writes itself are not its business.
pub(crate) fn disguise(headers: &mut HeaderMap, client_ip: ClientIp) {
    if client_ip == ClientIp::Full {
        return;
    }
    if let Some(real) = headers.remove(X_REAL_IP) {
        let address = real.to_str().ok().and_then(|real| address(real.trim()));
        let network = address.map(|address| mask::shown(address, client_ip));
        if let Some(Ok(network)) = network.map(HeaderValue::try_from) {
            headers.insert(X_REAL_IP, network);
        }
    }
    strip(headers, |name| {
        NAMING.iter().any(|known| reads_as(name, known))
    });
}
