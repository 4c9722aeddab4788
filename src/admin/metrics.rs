//! `/metrics`: everything that is counted, for Prometheus and whoever speaks its language.
//!
//! Added up and written when somebody asks, on the control thread: requests pay for none of it.

mod families;
mod page;
mod plain;
mod process;
mod scrape;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap};
use http::{Response, StatusCode};
use http_body_util::Full;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::Context;
use super::api::typed;
use super::problem::Problem;
use scrape::Scrape;

/// OpenMetrics 1.0.
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What came before it, and what everybody reads who doesn't ask for it.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to `/metrics`.
pub(super) fn metrics(
    context: &Context,
    headers: &HeaderMap,
) -> Result<Response<Full<Bytes>>, Problem> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape::of(context)));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, format!("the metrics can't be written: {error}"))
    })?;
    let (kind, text) = match wants_open(headers) {
        true => (OPEN, text),
        false => (PLAIN, plain::plain(&text)),
    };
    Ok(typed(StatusCode::OK, kind, text.into()))
}

/// Whether OpenMetrics is asked for by its name.
fn wants_open(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(ACCEPT).iter();
    let ranges = fields.filter_map(|field| field.to_str().ok());
    ranges.flat_map(|field| field.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        named && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            wants_open(&headers)
        };
        // As Prometheus asks.
        assert!(wants(
            "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ));
        assert!(wants("text/plain, Application/OpenMetrics-Text;q=0.2"));
        assert!(!wants("*/*"));
        assert!(!wants("text/plain;version=0.0.4"));
        assert!(!wants("application/openmetrics-text;q=0, text/plain"));
        assert!(!wants_open(&HeaderMap::new()));
    }
}
