//! One admin request, from its head to its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::endpoint::{Endpoint, INDEX};
use super::events::{self, Body, Outlet};
use super::problem::Problem;
use super::{
    Caller, Context, dashboard, demo, guard, health, journal, metrics, openapi, order, plan,
    status, traffic,
};

/// Bytes of a request body.
const MAX_BODY: usize = 64 * 1024;
/// For a whole request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers `request`; an error is an answer too.
pub(super) async fn answer(
    request: Request<Incoming>,
    caller: Caller,
    context: &Context,
    outlet: &Outlet,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut response = respond(&head, body, caller, context, outlet)
        .await
        .unwrap_or_else(|problem| problem.into_response().map(Either::Left));
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
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
    outlet: &Outlet,
) -> Result<Response<Body>, Problem> {
    guard::check_page(head)?;
    let endpoint = Endpoint::find(head.uri.path());
    // An unknown path needs the token too: without it, nobody learns which ones exist.
    let needs_token = endpoint.as_ref().is_none_or(Endpoint::needs_token);
    let token = guard::check_token(context.token.as_ref(), &head.headers);
    // A page that has rebound its name has no token, so a token is as good as the name: monitoring may know us by any.
    let by_token = context.token.is_some() && (needs_token || token.is_ok());
    let by_any_name = by_token || endpoint.as_ref().is_some_and(Endpoint::is_for_health);
    if !(by_any_name && head.method.is_safe()) {
        guard::check_name(caller, head)?;
    }
    if needs_token {
        token?;
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
    let whole = match endpoint {
        Endpoint::Events => return events::events(context, head, outlet).await,
        Endpoint::Index if dashboard::wants_page(&head.headers) => {
            Ok(dashboard::page(&head.headers))
        }
        Endpoint::Index => {
            let mut index = text(StatusCode::OK, INDEX);
            index
                .headers_mut()
                .insert(VARY, HeaderValue::from_static("Accept"));
            Ok(index)
        }
        Endpoint::Asset(asset) => Ok(asset.answer(&head.headers)),
        Endpoint::OpenApi => openapi::openapi(),
        Endpoint::Demo => demo::listing(context),
        Endpoint::DemoCondition {
            component,
            condition,
        } => demo::put(context, &component, condition),
        Endpoint::Health => Ok(health::health(context, &head.headers)),
        Endpoint::Live => Ok(text(StatusCode::OK, "ok\n")),
        Endpoint::Ready => Ok(health::ready(context, head.uri.query())),
        Endpoint::Status => Ok(status::answer(context, &head.headers)),
        Endpoint::Traffic => Ok(json_ok(&traffic::traffic(&context.traffic.borrow()))),
        Endpoint::Metrics => metrics::metrics(context, &head.headers),
        Endpoint::Journal => journal::journal(context, head.uri.query()).await,
        Endpoint::Plan => plan::plan(context, body).await,
        _ => order::order(endpoint, head, body, outlet.peer, context).await,
    };
    Ok(whole?.map(Either::Left))
}

/// A body's members; an empty body has none. `example` is what to send, for who has sent something else.
///
/// Nothing hangs on `Content-Type`: curl calls all it sends a form. It is the guard that keeps the forms of other pages out.
pub(super) async fn members(body: Incoming, example: &str) -> Result<Map<String, Value>, Problem> {
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let wrong = |why: &str| {
        bad_request(format!(
            "the body must be a JSON object like {example}{why}"
        ))
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(wrong("")),
        Err(error) => Err(wrong(&format!(", and isn't JSON: {error}"))),
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
