//! What went wrong with a request, as RFC 9457 says it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::config::error::ConfigError;
use crate::health::checker::Refusal;
use crate::serve::ReloadError;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// What is wrong and, where possible, what to do.
    detail: String,
    /// What some problems say besides: how to authenticate, which methods would have been right …
    fields: Vec<(HeaderName, HeaderValue)>,
    /// The same, for the body.
    members: Map<String, Value>,
}

impl Problem {
    /// `detail` says what is wrong and, where it can, what to do.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            fields: Vec::new(),
            members: Map::new(),
        }
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        let scheme = HeaderValue::from_static("Bearer realm=\"firedoor\"");
        Self::new(StatusCode::UNAUTHORIZED, detail).with_field(WWW_AUTHENTICATE, scheme)
    }

    pub(super) fn try_again(after: Duration, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.with_field(RETRY_AFTER, after.as_secs().into())
    }

    pub(super) fn wrong_method(allowed: &'static [Method]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let allowed = allowed.join(", ");
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this endpoint takes {allowed}"),
        );
        match HeaderValue::try_from(allowed) {
            Ok(allowed) => problem.with_field(ALLOW, allowed),
            Err(_) => problem,
        }
    }

    pub(super) fn with_field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        for (name, value) in self.members {
            body[name] = value;
        }
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.fields);
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::UnknownZone(..) | Refusal::UnknownComponent(_) => StatusCode::NOT_FOUND,
            Refusal::AlreadyActive(_)
            | Refusal::NotPinned(_)
            | Refusal::PinnedElsewhere(_)
            | Refusal::FlipPending(_)
            | Refusal::CannotServe(..)
            | Refusal::Promoting(_)
            | Refusal::NoDrill(_)
            | Refusal::GivenUp(..) => StatusCode::CONFLICT,
            Refusal::Overtaken(_) => StatusCode::PRECONDITION_FAILED,
            Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = Self::new(status, refusal.to_string());
        match refusal {
            Refusal::Overtaken(changes) => problem.with_member("changes", changes),
            _ => problem,
        }
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Invalid(error) => Self::from(*error),
            ReloadError::NoFile => Self::new(
                StatusCode::CONFLICT,
                "this firedoor runs without a configuration file, so there is nothing to read again",
            ),
            ReloadError::Stopping => Self::from(Refusal::Stopping),
            ReloadError::Overtaken(changes) => Self::from(Refusal::Overtaken(changes)),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let count = error.problems.len();
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "{} has {count} problem{}; the old configuration stays in force",
                error.file.display(),
                if count == 1 { "" } else { "s" },
            ),
        );
        problem.with_member("problems", error.to_json())
    }
}
