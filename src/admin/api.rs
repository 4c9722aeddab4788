//! One admin request, from its head to its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tracing::info;

use super::endpoint::{Endpoint, INDEX};
use super::problem::Problem;
use super::{Caller, Context, drill, guard, health, journal, metrics, plan, status, traffic};
use crate::health::checker::Command;

/// Bytes of a request body.
const MAX_BODY: usize = 64 * 1024;
/// For a whole request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers `request`; an error is an answer too.
pub(super) async fn answer(
    request: Request<Incoming>,
    caller: Caller,
    context: &Context,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut response = respond(&head, body, caller, context)
        .await
        .unwrap_or_else(Problem::into_response);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn respond(
    head: &request::Parts,
    body: Incoming,
    caller: Caller,
    context: &Context,
) -> Result<Response<Full<Bytes>>, Problem> {
    guard::check_origin(caller, head)?;
    let endpoint = Endpoint::find(head.uri.path());
    // An unknown path needs the token too: without it, nobody learns which ones exist.
    if endpoint.as_ref().is_none_or(Endpoint::needs_token) {
        guard::check_token(context.token.as_ref(), &head.headers)?;
    }
    let endpoint = endpoint.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no {}; GET / lists what there is", head.uri.path()),
        )
    })?;
    if !endpoint.methods().contains(&head.method) {
        return Err(Problem::wrong_method(endpoint.methods()));
    }
    if head.method == Method::POST && endpoint != Endpoint::Plan {
        // Refused orders stand in no journal; here they leave a trace.
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
        info!(path = &*path, "order of an operator");
    }
    match endpoint {
        Endpoint::Index => Ok(text(StatusCode::OK, INDEX)),
        Endpoint::Health => Ok(health::health(context, &head.headers)),
        Endpoint::Live => Ok(text(StatusCode::OK, "ok\n")),
        Endpoint::Ready => Ok(health::ready(context, head.uri.query())),
        Endpoint::Status => Ok(json_ok(&status::status(context))),
        Endpoint::Traffic => Ok(json_ok(&traffic::traffic(&context.traffic.borrow()))),
        Endpoint::Metrics => metrics::metrics(context, &head.headers),
        Endpoint::Journal => journal::journal(context, head.uri.query()).await,
        Endpoint::Plan => plan::plan(context, body).await,
        Endpoint::Reload => {
            order(body).await?;
            let reloaded = context.reload.reload().await?;
            Ok(json_ok(&json!({
                "generation": reloaded.generation,
                "changes": reloaded.changes,
            })))
        }
        Endpoint::Activate { zone } => {
            let Order { reason, hold } = order(body).await?;
            command(context, Command::Activate { zone, hold, reason }).await
        }
        Endpoint::Failback => {
            let Order { reason, hold } = order(body).await?;
            command(context, Command::Failback { hold, reason }).await
        }
        Endpoint::Drill => command(context, drill::begin(members(body).await?)?).await,
        Endpoint::AbortDrill => command(context, drill::abort(members(body).await?)?).await,
        Endpoint::Pin { zone } => {
            let reason = order(body).await?.reason;
            command(context, Command::Pin { zone, reason }).await
        }
        Endpoint::Unpin { zone } => {
            let reason = order(body).await?.reason;
            command(context, Command::Unpin { zone, reason }).await
        }
        Endpoint::Operator { component, state } => {
            let reason = order(body).await?.reason;
            command(
                context,
                Command::Operator {
                    component,
                    state,
                    reason,
                },
            )
            .await
        }
    }
}

async fn command(context: &Context, command: Command) -> Result<Response<Full<Bytes>>, Problem> {
    let done = context.monitor.command(command).await?;
    Ok(json_ok(&json!({
        "epoch": done.epoch,
        "active_zone": *done.active,
        "message": done.message,
    })))
}

/// What a POST's body may say.
struct Order {
    reason: Option<String>,
    hold: bool,
}

/// An empty body is an order without a reason, with a hold.
async fn order(body: Incoming) -> Result<Order, Problem> {
    let mut members = members(body).await?;
    let reason = match members.remove("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason),
        Some(_) => return Err(bad_request("\"reason\" must be a string")),
    };
    let hold = match members.remove("hold") {
        None => true,
        Some(Value::Bool(hold)) => hold,
        Some(_) => return Err(bad_request("\"hold\" must be true or false")),
    };
    match members.keys().next() {
        None => Ok(Order { reason, hold }),
        Some(unknown) => Err(bad_request(format!(
            "unknown member {unknown:?}; known are \"reason\" and \"hold\""
        ))),
    }
}

/// A body's members; an empty body has none.
pub(super) async fn members(body: Incoming) -> Result<Map<String, Value>, Problem> {
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(bad_request("the body must be a JSON object")),
        Err(error) => Err(bad_request(format!("the body isn't JSON: {error}"))),
    }
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect())
        .await
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body may have {MAX_BODY} bytes"),
        )),
        Err(error) => Err(bad_request(format!("the body broke off: {error}"))),
    }
}

pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

pub(super) fn json_ok(body: &Value) -> Response<Full<Bytes>> {
    typed(
        StatusCode::OK,
        "application/json",
        format!("{body}\n").into(),
    )
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body.into())
}

pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The value of `name` in a query; the empty string for a name without a value.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find_map(|(key, value)| (key == name).then_some(value))
}
