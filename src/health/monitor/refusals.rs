//! How many refused orders the journal takes. Anybody who may ask can be refused a thousand times a second, and what is written pushes the
//! flips out of the journal: past some, they are only counted, and the next order that is written says how many there were.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::health::report::{Order, OrderEnd};

/// Refused orders that are written however fast they come.
const AT_ONCE: u32 = 20;
/// Each time that this has passed since, there is room for another one.
const PAUSE: Duration = Duration::from_secs(60);

/// See the module's promise.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Of [`AT_ONCE`], how many have no room now.
    taken: u32,
    /// When the oldest of those makes room; only meant while there are any.
    since: Option<Instant>,
    /// How many were left out since the last order that was written.
    left_out: u64,
}

impl Refusals {
    /// `order`, if it is to be written.
    pub(super) fn admit(&mut self, order: Order, now: Instant) -> Option<Order> {
        if matches!(order.end, OrderEnd::Refused(_)) && !self.has_room(now) {
            if self.left_out == 0 {
                warn!("orders are refused so often that the journal has no more of them: {order}");
            }
            self.left_out += 1;
            return None;
        }
        Some(Order {
            left_out: std::mem::take(&mut self.left_out),
            ..order
        })
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since).as_secs() / PAUSE.as_secs();
        let freed = u32::try_from(passed).unwrap_or(u32::MAX).min(self.taken);
        self.taken -= freed;
        self.since = match self.taken {
            0 => Some(now),
            _ => Some(since + PAUSE * freed),
        };
        let room = self.taken < AT_ONCE;
        self.taken += u32::from(room);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::report::{Giver, Way};

    fn order(end: OrderEnd) -> Order {
        Order {
            by: Giver {
                name: None,
                way: Way::Unix(None),
                token: false,
            },
            what: "pin fz-3".into(),
            reason: None,
            end,
            left_out: 0,
        }
    }

    fn refused() -> Order {
        order(OrderEnd::Refused("there is no zone fz-3".into()))
    }

    #[test]
    fn a_storm_is_counted_and_the_next_order_that_is_written_says_so() {
        let mut refusals = Refusals::default();
        let begun = Instant::now();
        let written = (0..1000).filter_map(|_| refusals.admit(refused(), begun));
        assert_eq!(written.map(|order| order.left_out).sum::<u64>(), 0);
        let done = refusals.admit(order(OrderEnd::Done), begun).unwrap();
        assert_eq!(done.left_out, 1000 - u64::from(AT_ONCE));
        let told = "; 980 refused orders before it are not in the journal: they came too fast";
        assert!(done.to_string().ends_with(told), "{done}");
        let next = refusals.admit(order(OrderEnd::Begun), begun).unwrap();
        assert_eq!(next.left_out, 0, "told once");
    }

    #[test]
    fn one_a_minute_is_always_written_and_no_pause_saves_up_more_than_at_first() {
        let mut refusals = Refusals::default();
        let mut now = Instant::now();
        let storm = |refusals: &mut Refusals, now| {
            let orders = (0..100).filter_map(|_| refusals.admit(refused(), now));
            orders.count()
        };
        assert_eq!(storm(&mut refusals, now), 20);
        for _ in 0..100 {
            now += PAUSE / 2;
            assert_eq!(storm(&mut refusals, now), 0);
            now += PAUSE / 2;
            assert_eq!(storm(&mut refusals, now), 1);
        }
        now += PAUSE * 1000;
        assert_eq!(storm(&mut refusals, now), 20);
    }
}
