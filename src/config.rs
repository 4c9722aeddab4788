//! The configuration, as the rest of firedoor sees it: typed, complete, and impossible to hold when invalid.
//!
//! A file goes `text → raw (TOML's tree, with every place) → parse (every problem at once) → Config`. Nothing outside this
//! folder knows TOML, and nothing inside [`Config`] is still a string that would have to be parsed later.

mod acme;
mod certificate;
mod check;
mod endpoint;
pub mod error;
mod expand;
mod load;
mod notify;
pub mod parse;
mod pool;
mod rate;
mod raw;
mod route;
mod secret;
mod tls;
mod warnings;
mod zone;

pub use acme::{Acme, Challenge, ExternalAccount};
pub(crate) use certificate::Subject;
pub use certificate::{Certificate, Unfit, Validity};
pub use check::{
    Check, CheckKind, CommandCheck, Expect, GrpcCheck, HttpCheck, Login, MysqlCheck, PostgresCheck,
    RedisCheck, TlsCheck,
};
pub use endpoint::{Endpoint, Tracing};
pub use load::{LoadError, load, texts};
pub use notify::{Means, Notify, Occasion};
pub use pool::{MinHealthy, Pool, Sticky};
pub use rate::{PerClient, Rate, RateKey};
pub(crate) use raw::closest;
pub use route::{
    Answer, Coding, Compression, ErrorPage, FieldEdits, HostPattern, Maintenance, MediaRange,
    Overrides, Page, Piece, PrefixEdit, Redirect, Respond, Route,
};
pub use secret::Secret;
pub(crate) use tls::provider;
pub use tls::server::{CertificateFiles, ClientAuth, ClientTrust, TlsServer};
pub use tls::{Anchors, Identity, TlsClient, TlsTerms};
pub use zone::{Address, Backend, Dependency, Protocol, Zone};

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

/// A complete and valid configuration. Everything that a file may leave out has its default here.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[[listener]]`, at least one.
    pub listeners: Vec<Listener>,
    /// `[admin]`
    pub admin: Admin,
    /// `[limits]`
    pub limits: Limits,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[failover]`
    pub failover: Failover,
    /// `[[pool]]`, at least one: those of the file, and each one that a backend or route names only by its default settings.
    pub pools: Vec<Pool>,
    /// `[[route]]`, in file order. Empty: everything goes to the one pool named `default`.
    pub routes: Vec<Route>,
    /// `[[zone]]`, in order of preference, at least one.
    pub zones: Vec<Zone>,
    /// `[access_log]`
    pub access_log: AccessLog,
    /// `[journal]`
    pub journal: Journal,
    /// `[tracing]`
    pub traces: Tracing,
    /// `[[notify]]`
    pub notify: Vec<Notify>,
}

impl Config {
    /// How `backend` is checked.
    pub fn check_of<'a>(&'a self, backend: &'a Backend) -> &'a Arc<Check> {
        backend
            .check
            .as_ref()
            .unwrap_or(&self.pools[backend.pool].check)
    }

    /// TLS towards components wherever it is made of files, with what to call it.
    pub fn renewable_clients(&self) -> Vec<(String, TlsClient)> {
        let mut found: Vec<(String, TlsClient)> = Vec::new();
        let mut add = |label: String, client: Option<&TlsClient>| {
            if let Some(client) = client.filter(|client| !client.files().is_empty())
                && !found.iter().any(|(_, known)| known.is(client))
            {
                found.push((label, client.clone()));
            }
        };
        for listener in &self.listeners {
            let acme = listener.tls.as_ref().and_then(TlsServer::acme);
            add(
                format!("listener {}: its ACME authority", listener.bind),
                acme.map(|acme| &acme.tls),
            );
        }
        let collector = self.traces.collector.as_ref();
        add(
            "tracing".to_owned(),
            collector.and_then(|collector| collector.tls.as_ref()),
        );
        for notify in &self.notify {
            if let Means::Webhook { endpoint, .. } = &notify.by {
                add(format!("notify {}", notify.name), endpoint.tls.as_ref());
            }
        }
        for zone in &self.zones {
            for backend in &zone.backends {
                let pool = format!("pool {}", self.pools[backend.pool].name);
                add(pool.clone(), backend.protocol.tls());
                let check = self.check_of(backend);
                add(format!("{pool}: its check"), check.kind.tls());
            }
            for dependency in &zone.dependencies {
                add(
                    format!("{}: its check", dependency.key),
                    dependency.check.kind.tls(),
                );
            }
        }
        found
    }
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Worker threads; `None` (0 in the file) means one per core. Fixed for the life of the process.
    pub workers: Option<NonZeroU32>,
    /// Where `state.json`, `journal.jsonl` and `outcomes.jsonl` live.
    pub state_dir: PathBuf,
    /// Bounds a graceful stop, a planned flip (so do four fifths of the hold time), and how long a left zone's long-lived
    /// connections go on.
    pub drain_timeout: Duration,
}

/// `[[listener]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address accepted on. Unique among the listeners.
    pub bind: SocketAddr,
    /// `None`: cleartext.
    pub tls: Option<TlsServer>,
    /// How long browsers are told to come over TLS only: `Strict-Transport-Security`.
    pub hsts: Option<Duration>,
    /// Requests aren't served here, but sent to the same host over TLS: the port that clients find it at.
    pub redirect: Option<u16>,
    /// Without TLS: clients that begin with HTTP/2's preface are spoken to in HTTP/2 (RFC 9113 3.3).
    pub h2c: bool,
    /// Each connection must begin with a PROXY header, which only `trusted_proxies` may send.
    pub proxy_protocol: bool,
    /// Peers whose `X-Forwarded-*`, `Forwarded`, `X-Request-Id` and PROXY headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once, over all workers.
    pub max_connections: usize,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where the admin listener is.
    pub bind: AdminBind,
    /// Required beyond loopback.
    pub token: Option<Secret>,
}

/// The admin listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminBind {
    /// `"127.0.0.1:9900"`
    Tcp(SocketAddr),
    /// `"unix:/run/firedoor/admin.sock"`
    Unix(PathBuf),
}

impl std::fmt::Display for AdminBind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[limits]`: what a client may take. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a whole request head, from its first byte (or from the accept, so that a TLS handshake is within it).
    pub header_timeout: Duration,
    /// Between two reads of a request body.
    pub body_timeout: Duration,
    /// For a client that doesn't read its response.
    pub write_timeout: Duration,
    /// For a kept-alive connection without a request.
    pub idle_timeout: Duration,
    /// Of a request head.
    pub max_header_size: usize,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Of a request body; `None` (0 in the file) means unlimited.
    pub max_body_size: Option<u64>,
    /// What each client may take.
    pub per_client: PerClient,
}

/// `[upstream]`: how backends are talked to.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// For a connection, with its TLS handshake and HTTP/2's first settings.
    pub connect_timeout: Duration,
    /// From the request's end to the response head.
    pub response_timeout: Duration,
    /// How long an idle connection is kept; should be below the app server's own keep-alive.
    pub idle_timeout: Duration,
    /// HTTP/2: how long a connection that owes something may be silent before it is asked whether it lives, and then until it is given up;
    /// zero: never asked.
    pub ping_interval: Duration,
    /// Idle connections kept per worker and backend.
    pub max_idle_per_worker: usize,
    /// Connections opened ahead, per worker and backend, to the zone that a flip in sight would make active; 0 = none.
    pub prewarm: usize,
    /// Attempts after the first.
    pub retries: u32,
    /// The share of requests that may be retried, over 10 s: 0.2 = one in five.
    pub retry_budget: f64,
    /// Statuses worth a retry, for idempotent requests only.
    pub retry_on_status: Vec<u16>,
    /// Request bodies up to this many bytes may be kept for a retry.
    pub replay_buffer: usize,
    /// How a backend is picked.
    pub balance: Balance,
    /// By which fields apps are told of their clients.
    pub forwarded: Forwarding,
    /// How much of a client's address apps are told: `Masked` or `Full`.
    pub client_ip: ClientIp,
}

/// By which fields an app is told who its client is, and how that one came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// All of them.
    Both,
}

/// How a backend is picked among those of the active zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Two random choices; the one with the smaller product of in-flight requests and latency.
    #[default]
    LeastLoaded,
    /// In turn, by weight.
    RoundRobin,
}

/// `[failover]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// How traffic returns to the preferred zone.
    pub failback: Failback,
    /// How long the preferred zone must have been serving before it gets the traffic back.
    pub failback_after: Duration,
    /// Between two flips, unless the active zone can serve nothing.
    pub min_stay: Duration,
    /// Automatic flips within an hour; past that the door stays where it is.
    pub max_flips_per_hour: u32,
    /// How long a request may wait for a zone; zero = never.
    pub hold_time: Duration,
    /// How many requests may wait at once, over all workers.
    pub hold_requests: usize,
    /// What happens to a backend that passes its checks but fails live requests.
    pub gray: Gray,
    /// Program and arguments that a planned flip runs before it commits; empty: none.
    pub promote_command: Vec<String>,
    /// How long that may take.
    pub promote_timeout: Duration,
}

/// How traffic returns to the preferred zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failback {
    /// An operator does it; firedoor says that it is possible.
    Manual,
    /// By itself, `failback_after`.
    Auto,
    /// By itself, but only within a daily window.
    Window(FailbackWindow),
}

/// A daily window: `"03:00-04:00 Europe/Berlin"`. May cross midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailbackWindow {
    /// Inclusive.
    pub from: jiff::civil::Time,
    /// Exclusive.
    pub to: jiff::civil::Time,
    /// The zone of both; UTC when the file names none.
    pub zone: jiff::tz::TimeZone,
}

/// What happens to a backend that passes its checks but fails or stalls live requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gray {
    /// It is reported.
    Report,
    /// It leaves picking, never the last of a pool.
    #[default]
    Eject,
    /// As `Eject`, and a pool that is gray as a whole fails its zone if a standby isn't gray.
    FailZone,
}

/// `[access_log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// How they look.
    pub format: LogFormat,
    /// How much of a client's address may stand in them, in every other log, and in traces.
    pub client_ip: ClientIp,
    /// Whether they have the query.
    pub query: bool,
    /// Which fields of the request's head they have besides.
    pub headers: Vec<HeaderName>,
}

/// `[journal]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// How much of what the decision goes by is recorded, for `firedoor replay`.
    pub outcomes: Detail,
}

/// How much of what the decision goes by is recorded beside the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing: the journal's own transitions, with their evidence, have to do.
    #[default]
    Transitions,
    /// Of each component every outcome that differs from the one before, and what operators do.
    Changes,
    /// All of it, so that a replay is exact.
    All,
}

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// `"off"`
    Off,
    /// `"-"`
    Stdout,
    /// A file, reopened on SIGUSR1.
    File(PathBuf),
}

/// How access-log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Apache's combined format.
    Combined,
    /// Apache's common format.
    Common,
}

/// How much of a client's address is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientIp {
    /// /24 for IPv4, /48 for IPv6.
    #[default]
    Masked,
    /// All of it.
    Full,
    /// `-`
    None,
}
