//! What is heard of backends, and which of them have been still for too long: looked for at every tick, and in between when one of
//! them is about to have been. No request has a timer for it. Response heads, interim responses and pieces of bodies are heard,
//! by whichever worker; what passes through tunnels is not.

use std::time::{Duration, Instant};

use super::millis;
use super::{TICK, Worker};
use crate::outcome::Sign;
use crate::proxy::backend::upstream::Upstream;

impl Worker {
    /// A backend has answered a request. `sent_at`: when that was sent as a whole ([`Worker::micros`]); `None` if its body was
    /// streamed, which takes as long as the client likes, so that nothing is learnt from it.
    pub(crate) fn answered(&self, upstream: &Upstream, sent_at: Option<u64>) {
        self.glance();
        if let Some(sent_at) = sent_at {
            #[expect(clippy::cast_precision_loss, reason = "a rough time")]
            let took = self.micros().saturating_sub(sent_at) as f32;
            upstream.answered(took, self.now());
        }
        if self.awaits_response.get() {
            self.note_first_response(upstream);
        }
        self.heard(upstream);
    }

    /// The first response after a flip, if it comes from the zone that has been entered.
    #[cold]
    fn note_first_response(&self, upstream: &Upstream) {
        if !upstream.is_left() {
            self.awaits_response.set(false);
            // Not looked at anew: it is the view by which this one's zone is active.
            let epoch = self.view.borrow().snapshot.epoch;
            self.counters().first_response(epoch, self.micros());
        }
    }

    /// Something has come from a backend. What comes between two looks at the clock counts as having come at the first.
    pub(crate) fn heard(&self, upstream: &Upstream) {
        upstream.heard(self.index, self.now());
    }

    /// Tells the monitor of backends that have been still for too long. When to listen again, if that is before the next tick.
    pub(super) fn listen(&self) -> Option<Instant> {
        let now = self.now();
        let horizon = now + millis(TICK);
        let mut next = u64::MAX;
        for upstream in self.view().upstreams.values() {
            let Some(stillness) = upstream.stillness(horizon) else {
                continue;
            };
            let due = stillness.due();
            if due <= now {
                self.observe(upstream, Sign::Silence(stillness.until(now)));
                upstream.silence_told(now);
            } else {
                next = next.min(due);
            }
        }
        (next < horizon).then(|| self.parts.started + Duration::from_millis(next))
    }
}

/// Waits until `at`, or for ever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
