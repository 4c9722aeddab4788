//! Answers that need no backend: redirects, responses that are always the same, and maintenance.

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};

use super::page::PreparedPage;
use crate::config::{self, Piece};
use crate::proxy::request::error::Refusal;
use crate::proxy::request::record::Record;
use crate::proxy::request::redirect::in_uri;
use crate::proxy::request::route::bare;

/// firedoor's own answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Redirect(config::Redirect),
    Respond {
        status: StatusCode,
        body: Bytes,
        content_type: HeaderValue,
    },
    Maintenance {
        page: Option<PreparedPage>,
        /// Seconds.
        retry_after: HeaderValue,
    },
}

impl Answer {
    pub(crate) fn new(answer: &config::Answer) -> Self {
        match answer {
            config::Answer::Redirect(redirect) => Self::Redirect(redirect.clone()),
            config::Answer::Respond(respond) => Self::Respond {
                status: respond.status,
                body: Bytes::copy_from_slice(respond.body.as_bytes()),
                content_type: HeaderValue::from_bytes(respond.content_type.as_bytes())
                    .unwrap_or_else(|_| HeaderValue::from_static("text/plain")),
            },
            config::Answer::Maintenance(maintenance) => Self::Maintenance {
                page: maintenance.page.as_ref().map(PreparedPage::new),
                retry_after: HeaderValue::from(maintenance.retry_after.as_secs()),
            },
        }
    }

    /// Whether a client that asks for a tunnel (RFC 8441 5) would take it for one.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Respond { status, .. } if status.is_success())
    }

    /// How `request` is turned away. Where to goes into `record`.
    pub(crate) fn refusal<B>(&self, request: &Request<B>, record: &mut Record) -> Refusal {
        match self {
            Self::Redirect(redirect) => {
                let Some(location) = location(&redirect.to, request) else {
                    return Refusal::BadTarget;
                };
                record.sent_on(location);
                Refusal::Answered(redirect.status)
            }
            Self::Respond { status, .. } => Refusal::Answered(*status),
            Self::Maintenance { .. } => Refusal::Maintenance,
        }
    }
}

/// `Location` for `request`.
fn location<B>(to: &[Piece], request: &Request<B>) -> Option<HeaderValue> {
    let target = request.uri();
    let mut location = String::with_capacity(128);
    for piece in to {
        match piece {
            Piece::Text(text) => location.push_str(text),
            // Whatever stands in Host is a host, and one that the route is for.
            Piece::Host => {
                let host = request.headers().get(HOST)?.to_str().ok()?;
                location.push_str(&bare(host));
            }
            // `OPTIONS *` is about the server as a whole.
            Piece::Path if target.path() == "*" => location.push('/'),
            Piece::Path => location.extend(in_uri(target.path())),
            Piece::Query => {
                if let Some(query) = target.query() {
                    location.push('?');
                    location.extend(in_uri(query));
                }
            }
        }
    }
    HeaderValue::try_from(location).ok()
}

#[cfg(test)]
mod tests;
