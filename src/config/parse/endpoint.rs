//! `[tracing]`, and what it has in common with `[[notify]]`: a URL that firedoor sends something to.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Uri};

use super::tls;
use super::values::{FIELD, PERCENT};
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{Endpoint, Tracing};

pub(super) const URL: Form<Uri> = Form {
    noun: "a URL",
    example: "\"https://example.com/path\"",
    parse: |text| {
        let url: Uri = text
            .parse()
            .map_err(|_| Refusal::malformed("it can't be read as one"))?;
        match (url.scheme_str(), url.authority()) {
            (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
                let fault = Refusal::malformed("a user and password don't belong into it");
                Err(fault
                    .hint("send them as a header field: headers = { Authorization = \"Basic …\" }"))
            }
            (Some("http" | "https"), Some(_)) => Ok(url),
            _ => Err(Refusal::malformed(
                "it has to begin with http:// or https://, and a host",
            )),
        }
    },
};

/// `[tracing]`
pub(super) fn traces(section: &Section<'_>) -> Tracing {
    let key = "otlp_endpoint";
    let collector = endpoint(section, key);
    Tracing {
        collector: collector.map(for_traces),
        sample: section.read("sample", &PERCENT).unwrap_or(1.0) / 100.0,
    }
}

/// The URL in `key`, with the keys that go with it. `None`: it is absent or empty, or there is a problem.
pub(super) fn endpoint(section: &Section<'_>, key: &'static str) -> Option<Endpoint> {
    let item = section.item(key);
    let url = item
        .filter(|item| !item.says(""))
        .and_then(|item| item.read(&URL));
    let headers = fields(section.section("headers"));
    let tls = match url.as_ref().map(|url| url.scheme_str() == Some("https")) {
        Some(true) => Some(tls::outside(section)),
        in_cleartext => {
            for name in ["ca", "cert", "key", "server_name", "verify"] {
                if let (Some(item), Some(_)) = (section.misplaced(name), in_cleartext) {
                    item.report(
                        format!("{name} does nothing without TLS"),
                        format!("remove it, or let {key} begin with https://"),
                    );
                }
            }
            None
        }
    };
    let (url, headers) = (url?, headers?);
    let tls = match tls {
        Some(client) => Some(client?),
        None => None,
    };
    Some(Endpoint { url, tls, headers })
}

/// `headers`
fn fields(mut section: Section<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut fields = Vec::new();
    let mut sound = true;
    for (name, item) in section.entries() {
        let field = || {
            let name = FIELD
                .read(name)
                .map_err(|problem| item.report(problem, "choose another name"));
            let text = item.text()?;
            let value = HeaderValue::from_str(&text.value);
            let value = value.map_err(|_| {
                item.report(
                    format!("{:?} is not the value of a header field", text.raw),
                    "write it in one line, without control characters",
                );
            });
            Some((name.ok()?, value.ok()?))
        };
        match field() {
            Some((name, _))
                if matches!(
                    name,
                    CONTENT_LENGTH | CONTENT_TYPE | HOST | TRANSFER_ENCODING
                ) =>
            {
                item.report(format!("{name} is firedoor's own to set here"), "remove it");
                sound = false;
            }
            Some((name, mut value)) => {
                value.set_sensitive(true);
                fields.push((name, value));
            }
            None => sound = false,
        }
    }
    sound.then_some(fields)
}

/// OTLP's own rule: the signal's path follows whatever the endpoint has (OpenTelemetry protocol exporter, "Endpoint URLs for OTLP/HTTP").
fn for_traces(endpoint: Endpoint) -> Endpoint {
    const SIGNAL: &str = "/v1/traces";
    let path = endpoint.url.path().trim_end_matches('/');
    if path.ends_with(SIGNAL) {
        return endpoint;
    }
    let mut parts = endpoint.url.clone().into_parts();
    parts.path_and_query = format!("{path}{SIGNAL}").parse().ok();
    match Uri::from_parts(parts) {
        Ok(url) => Endpoint { url, ..endpoint },
        Err(_) => endpoint,
    }
}
