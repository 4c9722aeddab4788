//! How one component is tested.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::{Protocol, Secret, TlsClient};
use crate::introduction::Version;

/// A configured test of one component. Equal checks of equal addresses are the same check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// From the start of one probe to the start of the next, jittered by a tenth either way.
    pub interval: Duration,
    /// For one probe, from connecting to the conclusion.
    pub timeout: Duration,
    /// Between probes while a doubt is being confirmed.
    pub confirm_interval: Duration,
    /// Consecutive fails that make a component `Down`.
    pub fall: NonZeroU32,
    /// Consecutive passes that bring a `Down` component back `Up`.
    pub rise: NonZeroU32,
    /// Each connection begins with a PROXY header of this version, which says that it is our own.
    pub send_proxy: Option<Version>,
}

impl Check {
    /// The same for a backend that is spoken to in `protocol`: over its TLS, unless the check has TLS of its own, and in HTTP/2 where
    /// that is what it speaks. A mere connection becomes a handshake, as in HAProxy's checks of servers with `ssl`: else a backend whose
    /// certificate nobody trusts would be up, while every request to it fails and a sound standby waits.
    pub(crate) fn over(&self, protocol: &Protocol) -> Self {
        let mut check = self.clone();
        let Some(client) = protocol.tls() else {
            if let (CheckKind::Http(http), Protocol::H2c) = (&mut check.kind, protocol) {
                http.h2c = true;
            }
            return check;
        };
        match &mut check.kind {
            CheckKind::Http(HttpCheck { tls, .. }) => {
                let offered = client.terms().alpn;
                *tls = match tls {
                    Some(own) if own.terms().alpn != offered => own.speaking(offered),
                    Some(own) => Some(own.clone()),
                    None => Some(client.clone()),
                }
            }
            CheckKind::Grpc(GrpcCheck { tls, .. }) if tls.is_none() => {
                *tls = client.speaking(&["h2"])
            }
            CheckKind::Tls(TlsCheck { tls, .. }) if tls.terms().is_plain() => *tls = client.clone(),
            CheckKind::Tcp => {
                check.kind = CheckKind::Tls(TlsCheck {
                    tls: client.clone(),
                    expires_within: TlsCheck::EXPIRES_WITHIN,
                });
            }
            _ => {}
        }
        check
    }
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection that is accepted passes.
    Tcp,
    /// A request whose answer is as expected passes.
    Http(HttpCheck),
    /// A TLS handshake with a certificate that is in order passes.
    Tls(TlsCheck),
    /// A PostgreSQL that answers, and is in the expected role, passes.
    Postgres(PostgresCheck),
    /// A Redis that answers, and is in the expected role, passes.
    Redis(RedisCheck),
    /// A MySQL or MariaDB that greets us, or lets us in and is in the expected role, passes.
    Mysql(MysqlCheck),
    /// A server that says of itself, or of one of its services, that it is serving passes.
    Grpc(GrpcCheck),
    /// A program that ends with exit code 0 passes.
    Command(CommandCheck),
}

impl CheckKind {
    /// How TLS is spoken, where it is.
    pub fn tls(&self) -> Option<&TlsClient> {
        match self {
            Self::Tcp | Self::Command(_) => None,
            Self::Http(check) => check.tls.as_ref(),
            Self::Tls(check) => Some(&check.tls),
            Self::Postgres(check) => check.tls.as_ref(),
            Self::Redis(check) => check.tls.as_ref(),
            Self::Mysql(check) => check.tls.as_ref(),
            Self::Grpc(check) => check.tls.as_ref(),
        }
    }
}

/// An HTTP request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// `GET` by default.
    pub method: http::Method,
    /// Path and query.
    pub path: http::uri::PathAndQuery,
    /// The `Host` field; by default the component's address.
    pub host: Option<http::HeaderValue>,
    /// Inclusive ranges of statuses that pass.
    pub expect: Vec<(u16, u16)>,
    /// Text that the body (its first 64 KiB) must contain.
    pub body: Option<String>,
    /// `None`: cleartext.
    pub tls: Option<TlsClient>,
    /// In cleartext: HTTP/2, with prior knowledge. Over TLS both sides agree on the version.
    pub h2c: bool,
}

/// A TLS handshake and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCheck {
    /// Whom to trust.
    pub tls: TlsClient,
    /// How long before its end a certificate is worth a word. It passes all the same.
    pub expires_within: Duration,
}

impl TlsCheck {
    /// [`Self::expires_within`] where nothing is said.
    pub(crate) const EXPIRES_WITHIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);
}

/// A start-up handshake, and with a login, who the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresCheck {
    /// `None`: nobody logs in, and who is asked for a login knows enough.
    pub login: Option<Login>,
    /// `None`: cleartext.
    pub tls: Option<TlsClient>,
}

/// Who logs in at a database, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Not empty and without a zero byte, as everything that goes into the messages.
    pub user: String,
    /// For servers that ask for one.
    pub password: Option<Secret>,
    /// PostgreSQL only; `None`: the one that is named as the user.
    pub database: Option<String>,
    /// What passes.
    pub expect: Expect,
    /// How old a replica's data may be; only with [`Expect::Replica`]. `None`: any age, as long as it is connected.
    pub max_lag: Option<Duration>,
}

/// PING, and who the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisCheck {
    /// Of an access control list; without, the password is the default user's.
    pub user: Option<String>,
    /// Sent before anything else.
    pub password: Option<Secret>,
    /// What passes.
    pub expect: Expect,
    /// `None`: cleartext.
    pub tls: Option<TlsClient>,
}

/// A handshake with MySQL or MariaDB, and where there is a login, who the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlCheck {
    /// `None`: the server must greet us, and no more.
    pub login: Option<Login>,
    /// `None`: cleartext.
    pub tls: Option<TlsClient>,
}

/// gRPC's standard health service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCheck {
    /// Of whom the server is asked; empty: of itself as a whole.
    pub service: String,
    /// The `:authority`; by default the component's address.
    pub host: Option<http::uri::Authority>,
    /// `None`: cleartext, with prior knowledge of HTTP/2.
    pub tls: Option<TlsClient>,
}

/// A program of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandCheck {
    /// A path, or a name that is looked for along `PATH`.
    pub program: PathBuf,
    /// Handed over as they are: no shell looks at them. They may hold what no log may.
    pub arguments: Vec<Secret>,
}

/// What a data store must be good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// It answers.
    #[default]
    Reachable,
    /// It takes writes: a primary.
    Writable,
    /// It follows a primary, and is connected to it.
    Replica,
}
