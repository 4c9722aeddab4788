//! `[server]`, `[[listener]]`, `[admin]`, `[journal]`: what firedoor itself is, where it listens and what it records.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::raw::{Item, Section};
use crate::config::{Admin, AdminBind, Detail, Journal, Listener, Secret, Server};

use super::address::BIND;
use super::tls;
use super::values::{DURATION, LIFETIME, NETWORK, REDIRECT};

const ADMIN_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
/// Bytes that the kernel takes for a socket's path (unix(7), `sun_path` without its zero byte).
const SOCKET_PATH: usize = 107;

/// `[server]`
pub(super) fn server(section: &Section<'_>) -> Server {
    let workers = section.number::<u32>("workers", 0..=1024);
    Server {
        workers: workers.and_then(|workers| workers.try_into().ok()),
        state_dir: section
            .item("state_dir")
            .and_then(|item| state_dir(section, &item))
            .unwrap_or_else(|| default_state_dir(section)),
        drain_timeout: section
            .read("drain_timeout", &DURATION)
            .unwrap_or(Duration::from_secs(30)),
    }
}

/// An empty one would be the configuration's own folder.
fn state_dir(section: &Section<'_>, item: &Item<'_>) -> Option<PathBuf> {
    let text = item.text()?.value;
    if text.is_empty() {
        item.refuse(
            "no folder",
            "name one, like \"state\" or \"/var/lib/firedoor\"",
        );
    }
    Some(section.folder().join(text))
}

/// systemd's `StateDirectory=` where there is one, since the configuration's own folder can't be written there.
fn default_state_dir(section: &Section<'_>) -> PathBuf {
    let given = section.variable("STATE_DIRECTORY").unwrap_or_default();
    let folder = match given.split(':').next() {
        Some("") | None => "state",
        Some(first) => first,
    };
    section.folder().join(folder)
}

/// `[journal]`
pub(super) fn journal(section: &Section<'_>) -> Journal {
    let details = [
        ("transitions", Detail::Transitions),
        ("changes", Detail::Changes),
        ("all", Detail::All),
    ];
    Journal {
        outcomes: section
            .choice("outcomes", &details, &[])
            .unwrap_or_default(),
    }
}

/// `[[listener]]`
pub(super) fn listeners(root: &Section<'_>) -> Vec<Listener> {
    let Some(sections) = root.sections("listener") else {
        return Vec::new();
    };
    if sections.is_empty() {
        root.miss(
            "listener",
            "there is no listener",
            "add [[listener]] with bind = \"127.0.0.1:8080\"",
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    let reachable = sections.iter().any(|section| !section.has("tls"));
    for section in sections {
        let bind = section.required("bind", "add bind = \"127.0.0.1:8080\"");
        let address = bind.as_ref().and_then(|item| item.read(&BIND));
        let Some(listener) = listener(&section, address, reachable) else {
            continue;
        };
        tls::acme::agree(&section, &listener, &listeners);
        // Port 0 is a different port each time.
        let taken =
            listener.bind.port() != 0 && listeners.iter().any(|other| other.bind == listener.bind);
        if let (true, Some(item)) = (taken, bind) {
            item.refuse(
                "bound by another listener",
                "remove one of the two, or change its port",
            );
        }
        listeners.push(listener);
    }
    listeners
}

/// All of the keys are read even if there is no usable address, so that their problems are reported.
fn listener(section: &Section<'_>, bind: Option<SocketAddr>, reachable: bool) -> Option<Listener> {
    let table = section.item("tls").and_then(Item::into_section);
    let tls = table
        .as_ref()
        .and_then(|table| tls::server::server(table, reachable));
    let hsts = table.and_then(|table| table.read("hsts", &LIFETIME));
    if let Some(hsts) = section.misplaced("hsts") {
        hsts.report(
            "hsts is part of a listener's TLS",
            "move it into [listener.tls], or into a [[route]] for what comes over TLS to a trusted proxy",
        );
    }
    let redirect = section.item("redirect");
    if let (Some(redirect), true) = (&redirect, section.has("tls")) {
        redirect.report(
            "redirect does nothing on a listener that speaks TLS itself",
            "move it to the [[listener]] that clients reach without TLS",
        );
    }
    let redirect = redirect.and_then(|redirect| redirect.read(&REDIRECT));
    let proxy_protocol = section.item("proxy_protocol");
    let h2c = section.boolean("h2c");
    if let (Some(true), Some(item)) = (h2c, section.lookup("h2c").filter(|_| section.has("tls"))) {
        item.report(
            "h2c does nothing on a listener that speaks TLS",
            "remove it: there, HTTP/2 is agreed on in the handshake",
        );
    }
    let networks = section
        .item("trusted_proxies")
        .and_then(|item| item.list("a list of networks", "write it like [\"10.0.0.0/8\"]"))
        .unwrap_or_default();
    let trusted_proxies = networks
        .iter()
        .filter_map(|item| item.read(&NETWORK))
        .collect();
    let proxy_protocol = proxy_protocol.and_then(|item| {
        let demanded = item.boolean()?;
        if demanded && networks.is_empty() {
            item.report(
                "nobody may send a PROXY header, so nobody would be served",
                "say where your balancers are: trusted_proxies = [\"10.0.0.0/8\"]",
            );
        }
        Some(demanded)
    });
    let max_connections = section
        .number("max_connections", 1..=10_000_000)
        .unwrap_or(20_000);
    Some(Listener {
        bind: bind?,
        tls,
        hsts,
        redirect,
        proxy_protocol: proxy_protocol.unwrap_or(false),
        h2c: h2c.unwrap_or(false),
        trusted_proxies,
        max_connections,
    })
}

/// `[admin]`
pub(super) fn admin(section: &Section<'_>, listeners: &[Listener]) -> Admin {
    let item = section.item("bind");
    let bind = match &item {
        Some(item) => admin_bind(section, item),
        None => Some(AdminBind::Tcp(ADMIN_BIND)),
    };
    let token = section.item("token_file").and_then(|item| token(&item));
    if let Some(AdminBind::Tcp(address)) = bind {
        let exposed = !address.ip().is_loopback() && !section.has("token_file");
        if let (true, Some(item)) = (exposed, &item) {
            item.refuse(
                "reachable by others, but no token protects it",
                "add token_file = \"admin.token\", or bind it to 127.0.0.1",
            );
        }
        let taken = address.port() != 0 && listeners.iter().any(|other| other.bind == address);
        match &item {
            Some(item) if taken => {
                item.refuse("bound by a listener", "change one of the two ports")
            }
            None if taken => section.miss(
                "bind",
                &format!("a listener is bound to {ADMIN_BIND}, the admin listener's default"),
                "add [admin] with a bind of its own",
            ),
            _ => {}
        }
    }
    Admin {
        bind: bind.unwrap_or(AdminBind::Tcp(ADMIN_BIND)),
        token,
    }
}

fn admin_bind(section: &Section<'_>, item: &Item<'_>) -> Option<AdminBind> {
    if let Some(path) = item.text()?.value.strip_prefix("unix:") {
        let socket = section.folder().join(path);
        if path.is_empty() {
            item.refuse(
                "a socket without a path",
                "write it like \"unix:/run/firedoor/admin.sock\"",
            );
        } else if socket.as_os_str().len() > SOCKET_PATH {
            item.refuse(
                "too long a path for a socket",
                &format!("with its folder it may have {SOCKET_PATH} bytes"),
            );
        }
        return Some(AdminBind::Unix(socket));
    }
    item.read(&BIND).map(AdminBind::Tcp)
}

fn token(item: &Item<'_>) -> Option<Secret> {
    let token = item.file()?;
    let token = token.trim();
    let visible = |b: u8| (0x21..=0x7e).contains(&b);
    if token.is_empty() || !token.bytes().all(visible) {
        item.refuse(
            "a file without a usable token",
            "put one line of visible characters into it, without spaces",
        );
        return None;
    }
    Some(Secret::new(token))
}
