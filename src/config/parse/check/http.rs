//! The keys of an `http` check.

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

use crate::config::parse::tls;
use crate::config::parse::values::STATUSES;
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{CheckKind, HttpCheck};

const METHOD: Form<Method> = Form {
    noun: "a method",
    example: "\"GET\" or \"HEAD\"",
    parse: |text| {
        let method = Method::from_bytes(text.as_bytes());
        match method {
            Ok(Method::CONNECT) => Err(Refusal::unsuitable("for tunnels only")),
            Ok(method) => Ok(method),
            Err(_) => Err(Refusal::malformed(
                "only the characters of a token are possible",
            )),
        }
    },
};

const HOST: Form<HeaderValue> = Form {
    noun: "a host",
    example: "\"app.example\"",
    parse: |text| {
        HeaderValue::from_str(text)
            .ok()
            .filter(|_| !text.is_empty() && !text.contains([' ', '/', '\t']))
            .ok_or_else(|| Refusal::malformed("only a name and perhaps a port are possible"))
    },
};

const PATH: Form<PathAndQuery> = Form {
    noun: "a path",
    example: "\"/healthz\"",
    parse: |text| {
        if !text.starts_with('/') {
            return Err(Refusal::malformed("it doesn't start with \"/\""));
        }
        text.parse()
            .map_err(|_| Refusal::malformed("it has characters that a URL can't have"))
    },
};

/// What an `http` check is unless somebody says otherwise.
pub(super) fn builtin() -> HttpCheck {
    HttpCheck {
        method: Method::GET,
        path: PathAndQuery::from_static("/"),
        host: None,
        expect: vec![(200, 399)],
        body: None,
        tls: None,
        h2c: false,
    }
}

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> HttpCheck {
    let base = match base {
        CheckKind::Http(base) => base,
        _ => &builtin(),
    };
    let body = section.item("body").and_then(|item| item.text());
    HttpCheck {
        method: section
            .read("method", &METHOD)
            .unwrap_or_else(|| base.method.clone()),
        path: section
            .read("path", &PATH)
            .unwrap_or_else(|| base.path.clone()),
        host: section.read("host", &HOST).or_else(|| base.host.clone()),
        expect: section
            .read("expect", &STATUSES)
            .unwrap_or_else(|| base.expect.clone()),
        tls: tls::optional(section, base.tls.as_ref(), &["http/1.1"]),
        h2c: false,
        body: body.map(|text| text.value).or_else(|| base.body.clone()),
    }
}
