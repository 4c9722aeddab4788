//! What is learnt about a component: by a probe ([`Outcome`]) or by a live request ([`Observation`]).

pub(crate) mod words;

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::zone::ComponentId;

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// HAProxy's result code.
    pub code: CheckCode,
    /// What an operator reads: `"HTTP 500, expected 200-399"`, `"connection refused"`.
    pub detail: String,
    /// From the start of the connection to the conclusion.
    pub took: Duration,
    /// The protocol's own status, where it has one (HTTP: 500).
    pub status: Option<u16>,
}

impl Outcome {
    /// Whether the probe passed.
    pub fn passed(&self) -> bool {
        matches!(
            self.code,
            CheckCode::L4Ok | CheckCode::L6Ok | CheckCode::L7Ok
        )
    }

    /// Whether it says anything about the component. That we ourselves are short of descriptors or ports does not, and would
    /// look like all of them failing at once.
    pub fn is_conclusive(&self) -> bool {
        self.code != CheckCode::SocketError
    }
}

/// Whether an attempt to connect has failed because of our own system: it never left it.
pub fn is_own_fault(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
    )
}

impl fmt::Display for Outcome {
    /// `L7STS/500 in 3 ms (HTTP 500, expected 200-399)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, "/{status}")?;
        }
        write!(f, " in {} ms", self.took.as_millis())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

/// HAProxy's vocabulary of check results, since operators grep for it.
/// Source: HAProxy configuration manual, "show stat", field `check_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckCode {
    /// Our own system gave us no socket, or no port to connect from.
    SocketError,
    /// Connected.
    L4Ok,
    /// No connection within the timeout.
    L4Timeout,
    /// Refused, reset or unreachable; also a name that doesn't resolve.
    L4Con,
    /// TLS handshake done.
    L6Ok,
    /// No TLS handshake within the timeout.
    L6Timeout,
    /// TLS broken.
    L6Response,
    /// The answer was as expected.
    L7Ok,
    /// Connected, but no answer within the timeout.
    L7Timeout,
    /// The answer broke the protocol, or the connection broke off.
    L7Response,
    /// A proper answer, but not the expected one.
    L7Status,
}

impl CheckCode {
    /// The code as HAProxy spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Con => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Response => "L6RSP",
            Self::L7Ok => "L7OK",
            Self::L7Timeout => "L7TOUT",
            Self::L7Response => "L7RSP",
            Self::L7Status => "L7STS",
        }
    }

    /// The code that [`Self::as_str`] spells so.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::SocketError,
            Self::L4Ok,
            Self::L4Timeout,
            Self::L4Con,
            Self::L6Ok,
            Self::L6Timeout,
            Self::L6Response,
            Self::L7Ok,
            Self::L7Timeout,
            Self::L7Response,
            Self::L7Status,
        ];
        all.into_iter().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What live requests saw of a backend. It doesn't judge: it asks for confirming probes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The backend.
    pub component: ComponentId,
    /// What they saw.
    pub sign: Sign,
}

/// A sign that something may be wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// A live request failed there.
    Trouble(Trouble),
    /// It owes answers, and nothing comes from it.
    Silence(Silence),
}

/// For how long nothing has come from a backend that owes answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Silence {
    /// So far.
    pub lasted: Duration,
    /// How long its answers usually take; `None` before the first.
    pub usual: Option<Duration>,
}

/// How a live request failed at a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Connection refused, unreachable or reset while connecting.
    Connect,
    /// No connection within `connect_timeout`, TLS included.
    ConnectTimeout,
    /// Connected, but not in the protocol that is needed: its certificate isn't in order, or what it speaks isn't TLS, or not HTTP/2.
    Handshake,
    /// The connection broke before the response head, or in the middle of the response.
    Reset,
    /// No response head within `response_timeout`.
    ResponseTimeout,
    /// What came wasn't HTTP.
    Protocol,
    /// A complete response with a 5xx status of the application.
    ServerError,
}

impl From<Trouble> for Sign {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => trouble.fmt(f),
            Self::Silence(silence) => silence.fmt(f),
        }
    }
}

impl fmt::Display for Silence {
    /// `no answer for 120 ms, usually after 12.3 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer for {} ms", self.lasted.as_millis())?;
        match self.usual {
            Some(usual) => write!(f, ", usually after {:.1} ms", usual.as_secs_f64() * 1e3),
            None => f.write_str(", and there was none before"),
        }
    }
}

/// How a live request ended at a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing speaks against the backend.
    Well,
    /// With a complete response whose status is 5xx: what the application says when something is wrong with itself, or with what
    /// it was asked.
    ServerError,
    /// Refused, cut off, stalled, or not HTTP.
    Broken,
}

/// How live requests went at one backend since the last tally of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that ended.
    pub requests: u32,
    /// Those of them that had a [`Trouble`].
    pub failures: u32,
    /// Those of the failures that ended in a [`Ending::ServerError`].
    pub server_errors: u32,
    /// Those that took part in a trial.
    pub trial: TrialTally,
}

/// How those requests went that were dealt out between the active zone and a standby, to compare the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrialTally {
    /// All that ended.
    pub requests: u32,
    /// Those of them that had a [`Trouble`].
    pub failures: u32,
}

impl TrialTally {
    /// Adds what has happened since.
    pub fn add(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.failures = self.failures.saturating_add(more.failures);
    }
}

impl fmt::Display for TrialTally {
    /// `3 of 4`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.failures, self.requests)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection refused",
            Self::ConnectTimeout => "connect timed out",
            Self::Handshake => "handshake failed",
            Self::Reset => "connection broke off",
            Self::ResponseTimeout => "no response in time",
            Self::Protocol => "broke the protocol",
            Self::ServerError => "server error",
        })
    }
}
