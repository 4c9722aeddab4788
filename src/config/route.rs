//! Which requests go to which pool, and what is done to them on the way.

mod answer;
mod compression;
mod edits;
mod overrides;

use std::time::Duration;

pub use answer::{Answer, ErrorPage, Maintenance, Page, Piece, Redirect, Respond};
pub use compression::{Coding, Compression, MediaRange};
pub use edits::{FieldEdits, PrefixEdit};
pub use overrides::Overrides;

use super::Rate;

/// `[[route]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which hosts; `None`: any.
    pub host: Option<HostPattern>,
    /// A path prefix on segment borders, normalised, starting with `/`; `"/"` matches every path.
    pub path: String,
    /// Index into [`Config::pools`](crate::config::Config::pools). `None` only where `answer` redirects or responds.
    pub pool: Option<usize>,
    /// From 0 to 9. Where a zone is too small for the load, requests of lower priority are shed first.
    pub priority: u8,
    /// How often a client may make such a request, counted by itself, instead of
    /// [`PerClient::requests`](crate::config::PerClient::requests).
    pub rate: Option<Rate>,
    /// What is otherwise than everywhere else.
    pub overrides: Overrides,
    /// `redirect = "https"`: what comes in cleartext is sent on to the same host, over TLS at this port.
    pub https: Option<u16>,
    /// firedoor answers by itself.
    pub answer: Option<Answer>,
    /// What happens to the path's beginning.
    pub prefix: Option<PrefixEdit>,
    /// What happens to the fields of requests, before firedoor adds its own.
    pub request_headers: FieldEdits,
    /// What happens to the fields of responses, firedoor's own answers included.
    pub response_headers: FieldEdits,
    /// `Strict-Transport-Security`, where it comes over TLS.
    pub hsts: Option<Duration>,
    /// Which responses are compressed; `None`: none.
    pub compression: Option<Compression>,
}

impl Route {
    /// All requests to a pool, as they are.
    pub fn to(pool: usize) -> Self {
        Self {
            host: None,
            path: "/".to_owned(),
            pool: Some(pool),
            priority: Self::DEFAULT_PRIORITY,
            rate: None,
            overrides: Overrides::default(),
            https: None,
            answer: None,
            prefix: None,
            request_headers: FieldEdits::default(),
            response_headers: FieldEdits::default(),
            hsts: None,
            compression: None,
        }
    }

    /// Of a route that names none, and where there is no route: in the middle.
    pub const DEFAULT_PRIORITY: u8 = 5;
    /// How many priorities there are.
    pub const PRIORITIES: usize = 10;
}

/// Which hosts a route is for. Lower-case ASCII, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `kunde1.example`
    Exact(String),
    /// `*.example` as `example`: any host below it, at any depth, but not itself.
    Below(String),
}
