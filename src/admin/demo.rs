//! `/v1/demo`: breaking and healing the demo's components from the dashboard. Everywhere else there is no such path.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Context;
use super::api::json_ok;
use super::problem::Problem;
use crate::demo::{Condition, Stage};

/// The answer to `GET /v1/demo`.
pub(super) fn listing(context: &Context) -> Result<Response<Full<Bytes>>, Problem> {
    let components: Vec<Value> = stage(context)?
        .conditions()
        .map(|(name, condition, address)| {
            json!({"name": name, "condition": condition, "address": address})
        })
        .collect();
    Ok(json_ok(&json!({ "components": components })))
}

/// Breaks, hangs or heals `component`, or all of a zone.
pub(super) fn put(
    context: &Context,
    component: &str,
    condition: Condition,
) -> Result<Response<Full<Bytes>>, Problem> {
    let said = stage(context)?
        .put(component, condition)
        .map_err(|unknown| Problem::new(StatusCode::NOT_FOUND, unknown))?;
    Ok(json_ok(&json!({ "message": said.join("\n") })))
}

/// `demo` of `/v1/status`: the condition of each component; null where this is no demo.
pub(super) fn conditions(context: &Context) -> Value {
    context.demo.as_ref().map_or(Value::Null, |stage| {
        stage
            .conditions()
            .map(|(name, condition, _)| (name.to_owned(), Value::from(condition)))
            .collect()
    })
}

fn stage(context: &Context) -> Result<&Stage, Problem> {
    context.demo.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "this is no demo: only `firedoor demo` can be broken from here",
        )
    })
}
