//! What went wrong with a request, as RFC 9457 says it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::config::error::ConfigError;
use crate::health::checker::Refusal;
use crate::serve::ReloadError;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// What is wrong and, where possible, what to do.
    detail: String,
    more: More,
}

/// What some problems say besides.
#[derive(Debug)]
enum More {
    Nothing,
    /// Which methods would have been right.
    Allow(&'static [Method]),
    /// How to authenticate.
    Authenticate,
    /// When to come back.
    TryAgain(Duration),
    /// A member `problems`.
    Problems(Value),
}

impl Problem {
    /// `detail` says what is wrong and, where it can, what to do.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            more: More::Nothing,
        }
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self {
            more: More::Authenticate,
            ..Self::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    pub(super) fn try_again(after: Duration, detail: impl Into<String>) -> Self {
        Self {
            more: More::TryAgain(after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    pub(super) fn wrong_method(allowed: &'static [Method]) -> Self {
        Self {
            more: More::Allow(allowed),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("this endpoint takes {}", list(allowed)),
            )
        }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.more {
            More::Nothing => {}
            More::Allow(methods) => {
                if let Ok(value) = HeaderValue::try_from(list(methods)) {
                    headers.insert(ALLOW, value);
                }
            }
            More::Authenticate => {
                let scheme = HeaderValue::from_static("Bearer realm=\"firedoor\"");
                headers.insert(WWW_AUTHENTICATE, scheme);
            }
            More::TryAgain(after) => {
                headers.insert(RETRY_AFTER, after.as_secs().into());
            }
            More::Problems(problems) => body["problems"] = problems,
        }
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

fn list(methods: &[Method]) -> String {
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    methods.join(", ")
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
            Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Unreadable(file, why) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{} can't be read: {why}", file.display()),
            ),
            ReloadError::Invalid(error) => Self::from(*error),
            ReloadError::Bind(why) => Self::new(StatusCode::CONFLICT, why),
            ReloadError::NoFile => Self::new(
                StatusCode::CONFLICT,
                "this firedoor runs without a configuration file, so there is nothing to read again",
            ),
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let count = error.problems.len();
        let problems = error.to_json();
        Self {
            more: More::Problems(problems),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!(
                    "{} has {count} problem{}; the old configuration stays in force",
                    error.file.display(),
                    if count == 1 { "" } else { "s" },
                ),
            )
        }
    }
}
