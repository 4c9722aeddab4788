//! Which requests are traced, where there is a collector at all.
//!
//! By the trace's parent, as everybody does: what a trusted peer records is recorded here, too, and what it doesn't isn't. A stranger's
//! wish to be recorded doesn't count, or anybody could have all of their requests traced; then our own rate decides.

use http::Request;

use super::exchange::Exchange;
use super::record::Record;
use crate::config::{Config, Tracing};
use crate::proxy::message::headers::{self, TraceContext};
use crate::proxy::message::survey::Survey;

/// Decides about `request`, which `record` has identified already.
pub(in crate::proxy) fn consider<B>(
    state: &Exchange,
    request: &mut Request<B>,
    found: &Survey,
    config: &Config,
    record: &mut Record,
) {
    let headers = request.headers();
    let came = match found.has_traceparent() {
        true => headers.get(headers::TRACEPARENT),
        false => None,
    };
    let came = came.and_then(TraceContext::read);
    let sampled = match came {
        Some(context) if state.trusted => context.is_sampled(),
        _ => draw(&config.traces),
    };
    if sampled {
        let client = state.client_of(headers, config.upstream.forwarded);
        record.traced(request, came, client);
    } else if let Some(context) = came.filter(TraceContext::is_sampled) {
        // A changed decision needs a parent of its own (W3C Trace Context 3.2.2.5.1).
        let declined = context.onward(fastrand::u64(1..), false);
        request.headers_mut().insert(headers::TRACEPARENT, declined);
    }
}

fn draw(tracing: &Tracing) -> bool {
    tracing.sample > 0.0 && fastrand::f64() < tracing.sample
}
