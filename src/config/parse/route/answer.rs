//! What a route answers by itself: `redirect`, `respond` and `maintenance`. And `redirect = "https"`, which only cleartext gets.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::config::raw::{Form, Item, Section};
use crate::config::{Answer, HostPattern, Maintenance, Redirect, Respond};

use super::super::page::page;
use super::super::values::{DURATION, REDIRECT};
use super::target;

/// `Content-Type`.
const CONTENT_TYPE: Form<HeaderValue> = Form {
    noun: "a content type",
    example: "\"text/plain; charset=utf-8\"",
    parse: |text| {
        let sound = text.split_once('/').is_some_and(|(kind, rest)| {
            let token = |text: &str| !text.is_empty() && !text.contains([' ', ',', '/']);
            token(kind) && token(rest.split(';').next().unwrap_or_default().trim_end())
        });
        let value = HeaderValue::from_str(text).ok().filter(|_| sound);
        value.ok_or_else(|| crate::config::raw::Refusal::malformed("it has no type and subtype"))
    },
};

/// A `redirect` that is no table.
const HTTPS: Form<u16> = Form {
    noun: "a redirect",
    example: "\"https\", or { to = \"https://new.example{path}{query}\" }",
    parse: REDIRECT.parse,
};

/// Statuses by which clients are sent elsewhere.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// A response that is kept in memory.
const MAX_BODY: usize = 64 << 10;

/// For how long clients are told to stay away, where nobody says so.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The one answer of the route, if it has one. `located`: its fields have a `Location`.
pub(super) fn answer(
    section: &Section<'_>,
    host: Option<&HostPattern>,
    located: bool,
) -> Option<Answer> {
    let redirect = section.item("redirect").filter(Item::is_table);
    let respond = section.item("respond");
    let maintenance = section.item("maintenance");
    let maintained = maintenance.as_ref().filter(|item| !item.says("false"));
    let present = [redirect.as_ref(), respond.as_ref(), maintained];
    if let Some(other) = present.into_iter().flatten().nth(1) {
        other.report(
            "a route has one answer: redirect, respond or maintenance",
            "remove all but one of them",
        );
    }
    let redirect = redirect
        .and_then(Item::into_section)
        .and_then(|table| redirected(&table, host));
    let respond = respond
        .and_then(Item::into_section)
        .and_then(|table| responded(&table, located));
    let maintenance = maintenance.and_then(maintenance_of);
    redirect
        .map(Answer::Redirect)
        .or(respond.map(Answer::Respond))
        .or(maintenance.map(Answer::Maintenance))
}

/// At which port the route is served over TLS, if it sends cleartext there.
pub(super) fn https(section: &Section<'_>) -> Option<u16> {
    let item = section.lookup("redirect")?;
    if item.is_table() {
        return None;
    }
    item.read(&HTTPS)
}

fn redirected(table: &Section<'_>, host: Option<&HostPattern>) -> Option<Redirect> {
    let status = table.item("status");
    let status = match &status {
        None => Some(StatusCode::PERMANENT_REDIRECT),
        Some(item) => item.number::<u16>(300..=399).and_then(|status| {
            let possible = REDIRECTS.contains(&status);
            if !possible {
                item.refuse("no redirect", "301, 302, 303, 307 and 308 are possible");
            }
            StatusCode::from_u16(status).ok().filter(|_| possible)
        }),
    };
    let to = table.required("to", "add to = \"https://new.example{path}{query}\"")?;
    let pieces = to.read(&target::TARGET)?;
    if host.is_none() && pieces.contains(&crate::config::Piece::Host) {
        to.report(
            "without a host of its own, a route would redirect to whatever host a client names",
            "name the new host instead of {host}, or give the route a host",
        );
    }
    Some(Redirect {
        to: pieces,
        status: status?,
    })
}

fn responded(table: &Section<'_>, located: bool) -> Option<Respond> {
    let status = table.number::<u16>("status", 200..=599).unwrap_or(200);
    let status = StatusCode::from_u16(status).ok()?;
    if let (true, false, Some(item)) = (
        REDIRECTS.contains(&status.as_u16()),
        located,
        table.lookup("status"),
    ) {
        let hint = format!(
            "write redirect = {{ to = \"…\", status = {} }} instead of respond",
            status.as_u16()
        );
        item.refuse("a redirect to nowhere: it has no Location", &hint);
    }
    let body = table.item("body");
    let content_type = table.read("content_type", &CONTENT_TYPE);
    let text = body.as_ref().and_then(Item::text);
    let text = text.map(|text| text.value).unwrap_or_default();
    if let Some(item) = &body {
        if text.len() > MAX_BODY {
            item.report("the body is too large", "up to 64KiB are possible");
        }
        if matches!(status.as_u16(), 204 | 205 | 304) && !text.is_empty() {
            item.report(
                format!("a {} has no body", status.as_u16()),
                "remove it, or take another status",
            );
        }
    }
    Some(Respond {
        status,
        body: text.into(),
        content_type: content_type
            .unwrap_or_else(|| HeaderValue::from_static("text/plain; charset=utf-8")),
    })
}

/// `true`, or a table.
fn maintenance_of(item: Item<'_>) -> Option<Maintenance> {
    let usual = Maintenance {
        page: None,
        retry_after: RETRY_AFTER,
    };
    if item.is_boolean() {
        return item.boolean()?.then_some(usual);
    }
    if !item.is_table() {
        let hint = "write true, or { page = \"back-soon.html\" }";
        return item.mistype("true, false or a table", hint);
    }
    let table = item.into_section()?;
    let retry_after = table.read_within(
        "retry_after",
        &DURATION,
        Duration::from_secs(1)..=Duration::MAX,
        "a second or more",
    );
    Some(Maintenance {
        page: table.item("page").and_then(|item| page(&item)),
        retry_after: retry_after.unwrap_or(usual.retry_after),
    })
}
