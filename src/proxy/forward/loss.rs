//! Requests that are lost together: they take one retry out of the budget, see [`Loss`].

use crate::proxy::backend::connections::Connection;
use crate::proxy::backend::upstream::Upstream;
use crate::proxy::request::retry::Loss;
use crate::worker::Worker;

/// Takes a retry out of the budget for a request that `connection` to `upstream` has failed, unless one was taken for others that were lost
/// with it. Whether there will be one.
pub(super) fn withdraw_retry(
    worker: &Worker,
    upstream: &Upstream,
    connection: &Connection,
) -> bool {
    let Some(number) = connection.lost() else {
        return worker.withdraw_retry();
    };
    let second = worker.now() / 1000;
    let loss = upstream.loss.get();
    if loss.includes(number, second) {
        return true;
    }
    let granted = worker.withdraw_retry();
    if granted && loss.is_over(second) {
        let newest = upstream.idle.newest_at_failure(connection);
        upstream.loss.set(Loss::begin(newest, second));
    }
    granted
}
