//! `/v1/journal`: flips and transitions, newest last.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::Context;
use super::api::{bad_request, json_ok, parameter};
use super::problem::Problem;

/// Entries of one answer, where the request names no limit.
const DEFAULT_LIMIT: usize = 100;
/// Entries of one answer at most.
const MAX_LIMIT: usize = 1000;

/// The first `limit` entries after number `after`; without `after`, the newest ones. `kind` leaves out all others.
pub(super) async fn journal(
    context: &Context,
    query: Option<&str>,
) -> Result<Response<Full<Bytes>>, Problem> {
    let after: Option<u64> = number(query, "after")?;
    let limit = number(query, "limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_request(format!(
            "limit={limit}: 1 to {MAX_LIMIT} are possible"
        )));
    }
    let mut entries = context
        .monitor
        .journal(after.unwrap_or(0), usize::MAX)
        .await;
    // Before the filter: the next request asks for what comes after all that this one looked at.
    let newest = entries.last().map(|entry| entry.number);
    if let Some(kind) = parameter(query, "kind") {
        entries.retain(|entry| entry.json["kind"] == kind);
    }
    let complete = entries.len() <= limit;
    match after {
        Some(_) => entries.truncate(limit),
        None => drop(entries.drain(..entries.len().saturating_sub(limit))),
    }
    let last = match entries.last() {
        Some(entry) if after.is_some() && !complete => entry.number,
        _ => newest.or(after).unwrap_or(0),
    };
    let entries: Vec<&Value> = entries.iter().map(|entry| &entry.json).collect();
    Ok(json_ok(&json!({ "entries": entries, "last": last })))
}

fn number<N: std::str::FromStr>(query: Option<&str>, name: &str) -> Result<Option<N>, Problem> {
    parameter(query, name)
        .map(|value| {
            value
                .parse()
                .map_err(|_| bad_request(format!("{name}={value}: a whole number is needed")))
        })
        .transpose()
}
