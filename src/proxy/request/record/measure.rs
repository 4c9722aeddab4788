//! How a request is counted once it has ended: by the zone and pool of its last backend, or as one that had none.

use http::StatusCode;

use super::Record;
use crate::outcome::Ending;
use crate::proxy::request::view::View;
use crate::telemetry::meter::PoolMeter;
use crate::telemetry::reason::Retry;

impl Record {
    /// Why the next attempt is made, if there is one.
    pub(crate) fn again(&mut self, retry: Retry) {
        self.retry = Some(retry);
        if let Some(trace) = &mut self.trace {
            trace.set_back(retry);
        }
    }

    /// There is nobody to send it to as yet.
    pub(crate) fn unserved(&mut self, view: &View, pool: usize) {
        self.unserved = view.meter_of_none(pool);
    }

    /// Counts the whole request. How long it has taken, in microseconds.
    pub(super) fn measure(&self) -> u64 {
        let worker = &self.state.worker;
        worker.glance();
        let took = worker.micros().saturating_sub(self.begun_at);
        let meter: &PoolMeter = match (&self.upstream, &self.unserved) {
            (Some(upstream), _) => &upstream.meter,
            (None, Some(unserved)) => &unserved.0,
            (None, None) => worker.unrouted(),
        };
        let cell = meter.cell(worker.index());
        cell.count(self.status, self.ending == Ending::Broken);
        // A tunnel lasts as long as its two ends like.
        if self.status != StatusCode::SWITCHING_PROTOCOLS.as_u16() {
            cell.took(took);
        }
        took
    }
}
