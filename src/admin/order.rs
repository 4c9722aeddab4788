//! Orders: requests that change something. Each stands in the journal, with who gave it and what came of it, the refused ones too.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_MATCH};
use http::{Response, StatusCode, request};
use http_body_util::Full;
use hyper::body::Incoming;
use percent_encoding::percent_decode;
use serde_json::{Map, Value, json};

use super::api::{bad_request, json_ok, members};
use super::endpoint::Endpoint;
use super::problem::Problem;
use super::{Context, drill};
use crate::health::checker::Command;
use crate::health::report::{Condition, Giver, Order, OrderEnd, Stamp, Way};
use crate::telemetry::mask::shown;

/// How whoever orders calls themselves, percent-encoded where it isn't plain ASCII. Nobody verifies it.
pub(crate) const OPERATOR: &str = "firedoor-operator";
/// Characters of a reason: it is written into the journal as often as it has consequences.
const REASON: usize = 1000;
/// Characters of such a name that are kept.
const NAME: usize = 64;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Tcp(IpAddr),
    /// Of this user, as the kernel says.
    Unix(Option<u32>),
}

/// What an endpoint is told to do.
enum Wanted {
    Command(Command),
    Reload { reason: Option<String> },
}

/// Carries out an order, and answers when that is done.
pub(super) async fn order(
    endpoint: Endpoint,
    head: &request::Parts,
    body: Incoming,
    peer: Peer,
    context: &Context,
) -> Result<Response<Full<Bytes>>, Problem> {
    let by = giver(&head.headers, peer, context);
    let condition = condition(&head.headers);
    let example = match endpoint {
        Endpoint::Drill => r#"{"zone": "fz-1", "for": "10m"}"#,
        _ => r#"{"reason": "new disks"}"#,
    };
    let wanted = match members(body, example).await {
        Ok(members) => wanted(endpoint, members),
        Err(problem) => Err(problem),
    };
    // Lets hyper look whether whoever ordered is still there; if not, this ends here. After it has been frozen, firedoor
    // finds orders whose givers have long given up, and must not surprise them.
    tokio::task::yield_now().await;
    let done = match wanted {
        Ok(Wanted::Command(command)) => command_done(context, command, by, condition).await,
        Ok(Wanted::Reload { reason }) => reloaded(context, reason, by, condition).await,
        Err(problem) => {
            let refused = Order {
                by,
                what: format!("POST {}", head.uri.path()),
                reason: None,
                end: OrderEnd::Refused(problem.detail().to_owned()),
                left_out: 0,
            };
            context.monitor.note(refused).await;
            Err(problem)
        }
    };
    done.map_err(|problem| match problem.status() {
        StatusCode::PRECONDITION_FAILED => problem.with_field(ETAG, tag(&context.monitor.stamp())),
        _ => problem,
    })
}

async fn command_done(
    context: &Context,
    command: Command,
    by: Giver,
    condition: Option<Condition>,
) -> Result<Response<Full<Bytes>>, Problem> {
    let done = context.monitor.command(command, by, condition).await?;
    Ok(json_ok(&json!({
        "epoch": done.epoch,
        "active_zone": *done.active,
        "message": done.message,
    })))
}

async fn reloaded(
    context: &Context,
    reason: Option<String>,
    by: Giver,
    condition: Option<Condition>,
) -> Result<Response<Full<Bytes>>, Problem> {
    let reloaded = context.reload.reload(by, reason, condition).await?;
    Ok(json_ok(&json!({
        "generation": reloaded.generation,
        "changes": reloaded.changes,
    })))
}

fn wanted(endpoint: Endpoint, members: Map<String, Value>) -> Result<Wanted, Problem> {
    let command = match endpoint {
        Endpoint::Drill => drill::begin(members)?,
        Endpoint::AbortDrill => drill::abort(members)?,
        Endpoint::Activate { zone } => {
            let Words { reason, hold } = words(members)?;
            Command::Activate { zone, hold, reason }
        }
        Endpoint::Failback => {
            let Words { reason, hold } = words(members)?;
            Command::Failback { hold, reason }
        }
        Endpoint::Pin { zone } => {
            let reason = words(members)?.reason;
            Command::Pin { zone, reason }
        }
        Endpoint::Unpin { zone } => {
            let reason = words(members)?.reason;
            Command::Unpin { zone, reason }
        }
        Endpoint::Operator { component, state } => {
            let reason = words(members)?.reason;
            Command::Operator {
                component,
                state,
                reason,
            }
        }
        Endpoint::Reload => {
            let reason = words(members)?.reason;
            return Ok(Wanted::Reload { reason });
        }
        _ => return Err(bad_request("this endpoint takes no orders")),
    };
    Ok(Wanted::Command(command))
}

/// What an order's body may say.
struct Words {
    reason: Option<String>,
    hold: bool,
}

/// An empty body is an order without a reason, with a hold.
fn words(mut members: Map<String, Value>) -> Result<Words, Problem> {
    let reason = reason(&mut members)?;
    let hold = match members.remove("hold") {
        None => true,
        Some(Value::Bool(hold)) => hold,
        Some(_) => return Err(bad_request("\"hold\" must be true or false")),
    };
    match members.keys().next() {
        None => Ok(Words { reason, hold }),
        Some(unknown) => Err(bad_request(format!(
            "unknown member {unknown:?}; known are \"reason\" and \"hold\""
        ))),
    }
}

/// Why an order is given.
pub(super) fn reason(members: &mut Map<String, Value>) -> Result<Option<String>, Problem> {
    match members.remove("reason") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(reason)) if reason.chars().count() <= REASON => Ok(Some(reason)),
        Some(Value::String(_)) => Err(bad_request(format!(
            "\"reason\" may have {REASON} characters"
        ))),
        Some(_) => Err(bad_request("\"reason\" must be a string")),
    }
}

fn giver(headers: &HeaderMap, peer: Peer, context: &Context) -> Giver {
    let how = context.snapshot.current().config.access_log.client_ip;
    let name = headers.get(OPERATOR).map(|name| {
        let name = percent_decode(name.as_bytes()).decode_utf8_lossy();
        let name = name.chars().filter(|c| !c.is_control());
        name.take(NAME).collect::<String>().trim().to_owned()
    });
    Giver {
        name: name.filter(|name| !name.is_empty()),
        way: match peer {
            Peer::Tcp(address) => Way::Tcp(shown(address, how)),
            Peer::Unix(user) => Way::Unix(user),
        },
        // Whoever has come this far has shown the right one, if there is one to show.
        token: context.token.is_some() && headers.contains_key(AUTHORIZATION),
    }
}

/// In which states of affairs the order may be carried out (RFC 9110, 13.1.1); `None`: in any.
fn condition(headers: &HeaderMap) -> Option<Condition> {
    let fields = headers.get_all(IF_MATCH).iter();
    let fields: Vec<&str> = fields.map(|field| field.to_str().unwrap_or("")).collect();
    if fields.is_empty() || fields == ["*"] {
        return None;
    }
    let tags = fields.iter().flat_map(|field| field.split(','));
    Some(Condition(tags.filter_map(stamp).collect()))
}

/// The stamp of a tag; a weak one never matches.
pub(super) fn stamp(tag: &str) -> Option<Stamp> {
    let inner = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    inner.parse().ok()
}

/// The tag of a stamp.
pub(super) fn tag(stamp: &Stamp) -> HeaderValue {
    HeaderValue::try_from(format!("\"{stamp}\"")).unwrap_or_else(|_| HeaderValue::from_static("*"))
}
