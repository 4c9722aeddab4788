//! What a route answers by itself, without asking any backend.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

/// Instead of a backend's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `redirect = { … }`
    Redirect(Redirect),
    /// `respond = { … }`
    Respond(Respond),
    /// `maintenance = …`: 503 for so long, though the route has a pool.
    Maintenance(Maintenance),
}

/// Where else to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// One after the other they make `Location`. Parsing makes sure that no client can choose the host.
    pub to: Vec<Piece>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// A part of a redirect's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands: characters of a URI.
    Text(String),
    /// `{host}`: the request's host, without a port.
    Host,
    /// `{path}`: its path, with the leading `/`.
    Path,
    /// `{query}`: its query with the leading `?`, or nothing.
    Query,
}

/// Always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: StatusCode,
    /// Empty where the status doesn't allow one.
    pub body: Arc<str>,
    /// `Content-Type`.
    pub content_type: HeaderValue,
}

/// While the application is being worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// What people see; `None`: the pool's own error page, or a sentence.
    pub page: Option<Page>,
    /// In whole seconds, at least one.
    pub retry_after: Duration,
}

/// A page for people. Its `{request_id}` are still to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most [`Page::MAX`] bytes of UTF-8. Shared by all workers: each may have it for many routes.
    pub text: Bytes,
    /// HTML, or else plain text.
    pub html: bool,
}

impl Page {
    /// How many bytes a page may have.
    pub const MAX: usize = 1 << 20;
}

/// `error_page = { "502-504" = "sorry.html" }`, one of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// Inclusive ranges of statuses.
    pub statuses: Vec<(u16, u16)>,
    /// What people see instead of firedoor's own words.
    pub page: Page,
}

impl ErrorPage {
    /// What firedoor answers by itself once it knows whose request it is, and with the words of no route: all that a page can be shown for.
    pub const POSSIBLE: [u16; 9] = [400, 408, 413, 421, 429, 501, 502, 503, 504];

    /// Whether a range has any of these.
    pub fn is_possible(&(from, to): &(u16, u16)) -> bool {
        Self::POSSIBLE
            .iter()
            .any(|status| (from..=to).contains(status))
    }

    /// How many statuses the range has by which it is for `status`; `None`: it isn't.
    pub fn breadth(&self, status: StatusCode) -> Option<u16> {
        let status = status.as_u16();
        let meant = |&&(from, to): &&(u16, u16)| (from..=to).contains(&status);
        let ranges = self.statuses.iter().filter(meant);
        ranges.map(|(from, to)| to - from + 1).min()
    }
}
