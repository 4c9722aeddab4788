//! `[[route]]`: which requests go to which pool, and what is done to them on the way.

mod answer;
mod compression;
mod edits;
mod overrides;
mod target;

use http::header::LOCATION;

use crate::config::Route;
use crate::config::raw::{Form, Refusal, Section};

use super::address::HOST;
use super::pool::Pools;
use super::rate;
use super::values::LIFETIME;
use edits::Direction;

const PATH: Form<String> = Form {
    noun: "a path prefix",
    example: "\"/api\"",
    parse: path,
};

/// What is only for requests that are sent to a backend.
const IDLE: [&str; 13] = [
    "pool",
    "priority",
    "connect_timeout",
    "response_timeout",
    "body_timeout",
    "max_body_size",
    "retries",
    "retry_on_status",
    "hold_time",
    "idempotency_key",
    "request_headers",
    "compress",
    "compress_types",
];

/// `[[route]]`
pub(super) fn routes(root: &Section<'_>, pools: &Pools<'_>) -> Vec<Route> {
    let Some(sections) = root.sections("route") else {
        return Vec::new();
    };
    if sections.is_empty() && pools.default_missing() {
        root.miss(
            "route",
            "without a route everything goes to pool \"default\", but no backend is in it",
            "add [[route]] with pool = \"…\"",
        );
    }
    let mut routes: Vec<Route> = Vec::new();
    for section in &sections {
        let Some(route) = route(section, pools) else {
            continue;
        };
        let same = |other: &Route| other.host == route.host && other.path == route.path;
        if routes.iter().any(same) {
            section.report(
                "another route has the same host and path",
                "remove one of the two",
            );
        }
        routes.push(route);
    }
    routes
}

fn route(section: &Section<'_>, pools: &Pools<'_>) -> Option<Route> {
    let host = section.item("host").map(|item| item.read(&HOST));
    let path = section.item("path").map(|item| item.read(&PATH));
    let priority = section.number("priority", 0..=9);
    let rate = rate::read(section, "rate", "burst");
    let overrides = overrides::overrides(section);
    let request_headers = edits::fields(section, Direction::Request);
    let response_headers = edits::fields(section, Direction::Response);
    let moved = response_headers.remove.contains(&LOCATION) || response_headers.writes(&LOCATION);
    if let (true, true, Some(item)) = (
        moved,
        section.has("redirect"),
        section.lookup("response_headers"),
    ) {
        item.report(
            "Location can't be changed where the route redirects: clients would be sent elsewhere, or nowhere",
            "leave it to redirect",
        );
    }
    let hsts = section.read("hsts", &LIFETIME);
    let compression = compression::compression(section);
    let known_host = host.clone().flatten();
    let https = answer::https(section);
    let answer = answer::answer(
        section,
        known_host.as_ref(),
        response_headers.writes(&LOCATION),
    );
    let known_path = path.clone().flatten();
    let prefix = edits::prefix(section, known_path.as_deref().unwrap_or("/"));
    let leads_away = section
        .lookup("redirect")
        .is_some_and(|item| item.is_table());
    let pool = if leads_away || section.has("respond") {
        let _idle = section.misplaced("pool");
        for key in IDLE.iter().filter(|key| section.has(key)) {
            if let Some(item) = section.lookup(key) {
                item.report(
                    format!("{key} does nothing where the route answers by itself"),
                    "remove it, or the route's redirect or respond",
                );
            }
        }
        None
    } else if section.has("redirect") && https.is_none() && !section.has("pool") {
        // It has been told what is wrong with its redirect, which may be all that it wants to do.
        return None;
    } else {
        let pool = section.required("pool", "add pool = \"…\"");
        Some(pool.and_then(|item| pools.of_route(&item))?)
    };
    Some(Route {
        host: match host {
            Some(host) => Some(host?),
            None => None,
        },
        path: match path {
            Some(path) => path?,
            None => "/".to_owned(),
        },
        pool,
        priority: priority.unwrap_or(Route::DEFAULT_PRIORITY),
        rate,
        overrides,
        https,
        answer,
        prefix,
        request_headers,
        response_headers,
        hsts,
        compression,
    })
}

/// Paths of requests are normalised before they are matched, so this one is, too. Segments that would go by that are refused: such a
/// prefix doesn't match what its author sees in it.
fn path(text: &str) -> Result<String, Refusal> {
    if !text.starts_with('/') {
        return Err(Refusal::malformed("it doesn't start with \"/\""));
    }
    if text.contains(['?', '#', '*']) || text.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(Refusal::malformed("only a plain path is possible")
            .hint("a prefix covers everything below it; queries and wildcards don't take part"));
    }
    let spelled = super::path::decode(text).ok_or_else(|| {
        Refusal::malformed("it has a \"%\" without two hexadecimal digits")
            .hint("the character itself is written %25")
    })?;
    if spelled.contains("//")
        || spelled
            .split('/')
            .any(|segment| segment == "." || segment == "..")
    {
        return Err(
            Refusal::malformed("it has empty or dot segments").hint("write the path without them")
        );
    }
    Ok(match spelled.trim_end_matches('/') {
        "" => "/".to_owned(),
        prefix => prefix.to_owned(),
    })
}
