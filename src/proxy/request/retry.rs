//! Whether a failed attempt may be made again. Pure; the one place that knows the rule.
//!
//! Not one byte sent: always. Sent, no response head yet: only idempotent methods whose body can be replayed, within the
//! number of retries and the budget. Response head seen: never.

use http::Method;

/// RFC 9110 9.2.2 and the safe methods of 9.2.1, as far as a proxy may rely on them.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

/// The share of requests that may be sent again, over the last ten seconds, of one worker. It keeps retries from multiplying the
/// load of backends that fail because of load.
#[derive(Debug)]
pub(crate) struct Budget {
    ratio: f64,
    /// Requests and retries of each of the last ten seconds; the slot of second `s` is `s % 10`.
    seconds: [(u64, u32, u32); SECONDS],
}

const SECONDS: usize = 10;

/// Retries that are allowed in ten seconds however few requests there are; a share of few requests would be none.
const FLOOR: f64 = 10.0;

impl Budget {
    pub(crate) fn new(ratio: f64) -> Self {
        Self {
            ratio,
            seconds: [(0, 0, 0); SECONDS],
        }
    }

    pub(crate) fn set_ratio(&mut self, ratio: f64) {
        self.ratio = ratio;
    }

    /// Counts a request. `second` is any clock in whole seconds that doesn't go back.
    pub(crate) fn request(&mut self, second: u64) {
        self.slot(second).1 += 1;
    }

    /// Takes one retry out of the budget, or says that there is none left.
    pub(crate) fn withdraw(&mut self, second: u64) -> bool {
        let (mut requests, mut retries) = (0.0, 0.0);
        for (at, asked, retried) in self.seconds {
            if at + SECONDS as u64 > second {
                requests += f64::from(asked);
                retries += f64::from(retried);
            }
        }
        let left = retries < requests.mul_add(self.ratio, FLOOR);
        if left {
            self.slot(second).2 += 1;
        }
        left
    }

    fn slot(&mut self, second: u64) -> &mut (u64, u32, u32) {
        let slot = &mut self.seconds[(second % SECONDS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0, 0);
        }
        slot
    }
}

/// What was lost with the shared connections of one backend, for one reason: requests that were all in flight at once, so that they may be
/// sent again for one retry of the budget. For ten seconds, what is lost with a connection that was opened since is no part of it: a backend
/// that breaks ever new ones gets what it had in flight once more, and the budget.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loss {
    /// The number of the last connection that was there.
    newest: u64,
    /// The second that is no part of it any more.
    end: u64,
}

impl Loss {
    /// Of the connections up to the number `newest`.
    pub(crate) fn begin(newest: u64, second: u64) -> Self {
        Self {
            newest,
            end: second + SECONDS as u64,
        }
    }

    pub(crate) fn is_over(self, second: u64) -> bool {
        second >= self.end
    }

    /// Whether what is lost now with the connection of this `number` is a part of it.
    pub(crate) fn includes(self, number: u64, second: u64) -> bool {
        !self.is_over(second) && number <= self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn post_and_patch_are_never_idempotent() {
        for method in [Method::POST, Method::PATCH, Method::CONNECT] {
            assert!(!is_idempotent(&method), "{method}");
        }
        assert!(is_idempotent(&Method::PUT));
    }

    #[test]
    fn few_requests_may_still_be_retried() {
        let mut budget = Budget::new(0.2);
        budget.request(100);
        assert!(budget.withdraw(100));
    }

    #[test]
    fn a_loss_is_of_the_connections_that_were_there_and_ends() {
        let loss = Loss::begin(3, 100);
        assert!(loss.includes(3, 100) && loss.includes(1, 109));
        assert!(!loss.includes(4, 100), "it was opened since");
        assert!(!loss.is_over(109), "no other begins as yet");
        assert!(loss.is_over(110) && !loss.includes(3, 110));
        assert!(Loss::default().is_over(0));
    }

    #[test]
    fn the_budget_is_a_share_of_the_last_ten_seconds() {
        let mut budget = Budget::new(0.2);
        for _ in 0..1000 {
            budget.request(100);
        }
        let granted = (0..1000).filter(|_| budget.withdraw(101)).count();
        assert_eq!(granted, 210);
        assert!(!budget.withdraw(109));
        assert!(budget.withdraw(120), "older seconds don't count");
    }
}
