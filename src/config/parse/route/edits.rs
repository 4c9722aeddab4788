//! What a route changes about messages on their way.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use crate::config::raw::{Item, Section};
use crate::config::{FieldEdits, PrefixEdit};

use super::PATH;

/// In which direction a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// `request_headers` or `response_headers`.
pub(super) fn fields(section: &Section<'_>, direction: Direction) -> FieldEdits {
    let section = section.section(match direction {
        Direction::Request => "request_headers",
        Direction::Response => "response_headers",
    });
    let removed = section.item("remove");
    let removed = removed
        .and_then(|item| item.list("a list of header names", "write it like [\"X-Powered-By\"]"));
    let removed = removed.unwrap_or_default();
    let removed = removed.iter().filter_map(|item| {
        let text = item.text()?;
        name(&text.value, item, direction)
    });
    let edits = FieldEdits {
        remove: removed.collect(),
        set: pairs(section.section("set"), direction),
        add: pairs(section.section("add"), direction),
    };
    let names: Vec<&HeaderName> = edits.set.iter().map(|(name, _)| name).collect();
    if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
        section.report(
            &format!("set has {} more than once", names[twice]),
            "upper and lower case are the same in names; set is for one field, and add for several",
        );
    }
    edits
}

/// Names and their values; a name that stands for several fields has a list of them.
fn pairs(mut section: Section<'_>, direction: Direction) -> Vec<(HeaderName, HeaderValue)> {
    let mut pairs = Vec::new();
    for (key, item) in section.entries() {
        let name = name(key, &item, direction);
        let items = if item.is_list() {
            item.list("a string", "put it in quotes")
                .unwrap_or_default()
        } else {
            vec![item]
        };
        let values: Vec<HeaderValue> = items.iter().filter_map(value).collect();
        if let Some(name) = name {
            pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
    }
    pairs
}

/// A value, which is kept out of whatever shows a configuration if it was filled in: it may be a secret.
fn value(item: &Item<'_>) -> Option<HeaderValue> {
    let text = item.text()?;
    let visible = |b: u8| b == b'\t' || (b' '..0x7f).contains(&b);
    let value = Some(&text.value).filter(|value| value.bytes().all(visible));
    let Some(mut value) = value.and_then(|value| HeaderValue::from_str(value).ok()) else {
        item.report(
            "the value has characters that a header field can't have",
            "only visible ASCII characters, spaces and tabs are possible",
        );
        return None;
    };
    value.set_sensitive(text.value != text.raw);
    Some(value)
}

fn name(text: &str, item: &Item<'_>, direction: Direction) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        item.report(
            format!("{text:?} is not the name of a header field"),
            "letters, digits and !#$%&'*+-.^_`|~ are possible",
        );
        return None;
    };
    if let Some((reason, hint)) = untouchable(name.as_str(), direction) {
        item.report(format!("{text:?} can't be changed here: {reason}"), hint);
        return None;
    }
    Some(name)
}

/// Why a field is not the operator's to change. Some apps take `_` or `.` for `-`, so whatever is no letter or digit counts as that.
fn untouchable(name: &str, direction: Direction) -> Option<(&'static str, &'static str)> {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    match name.as_str() {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "upgrade"
        | "http2-settings"
        | "proxy-authorization"
        | "proxy-authenticate" => Some((
            "it concerns one connection only",
            "firedoor writes it anew for each connection",
        )),
        "content-length" | "transfer-encoding" | "content-range" | "expect" | "max-forwards" => {
            Some((
                "it says where the message ends, or how it is passed on",
                "leave it to those who send the message",
            ))
        }
        "host" if direction == Direction::Request => Some((
            "it says what the request is for",
            "redirect is for sending clients to another host",
        )),
        "via" | "x-request-id" | "traceparent" | "tracestate" => {
            Some(("it is firedoor's own", "README: privacy, and logs"))
        }
        "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host"
            if direction == Direction::Request =>
        {
            Some((
                "it is firedoor's own",
                "[[listener]] trusted_proxies says who else may write it",
            ))
        }
        name if direction == Direction::Request
            && (name.starts_with("client-cert") || name.starts_with("x-client-cert")) =>
        {
            Some(("it is firedoor's own", "[listener.tls] client_ca brings it"))
        }
        name if name.starts_with("firedoor") => Some((
            "it is firedoor's own",
            "apps and operators rely on what it says",
        )),
        _ => None,
    }
}

/// `strip_prefix` or `replace_prefix`; `path` is the route's own.
pub(super) fn prefix(section: &Section<'_>, path: &str) -> Option<PrefixEdit> {
    let strip = section.item("strip_prefix");
    let replace = section.item("replace_prefix");
    if let (Some(_), Some(item)) = (&strip, &replace) {
        item.report(
            "a route has either strip_prefix or replace_prefix",
            "remove one of the two",
        );
    }
    if let Some(item) = strip {
        let from = covering(&item, path)?;
        return Some(PrefixEdit {
            from,
            to: String::new(),
        });
    }
    let table = replace?.into_section()?;
    let from = table.required("from", "add from = \"/api\"");
    let to = table.required("to", "add to = \"/v2\"");
    let from = from.and_then(|item| covering(&item, path));
    let to = to.and_then(|item| {
        let to = item.read(&PATH)?;
        if to.is_ascii() && PathAndQuery::try_from(to.as_str()).is_err() {
            item.refuse(
                "not a path that can be sent",
                "write characters that a URI can't have as %XX",
            );
            return None;
        }
        Some(to)
    });
    Some(PrefixEdit {
        from: from?,
        to: bare(to?),
    })
}

/// A prefix that every path of the route has: otherwise only some requests would be changed, and an app that sees both kinds
/// of paths can't tell them apart.
fn covering(item: &Item<'_>, path: &str) -> Option<String> {
    let from = bare(item.read(&PATH)?);
    let covered = path.strip_prefix(&from);
    if !covered.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        item.refuse(
            &format!("no prefix of the route's path, which is {path:?}"),
            "give the prefix a [[route]] of its own, with it as its path",
        );
        return None;
    }
    if from.is_empty() {
        item.refuse("no prefix", "every path begins with \"/\", and keeps it");
        return None;
    }
    Some(from)
}

/// Without the slash that stands for the root.
fn bare(path: String) -> String {
    if path == "/" { String::new() } else { path }
}
