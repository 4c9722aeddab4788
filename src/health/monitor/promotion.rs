//! Runs `promote_command`, one at a time, and ends it when nobody waits for it any more.

use tokio::task::JoinSet;
use tracing::error;

use crate::health::checker::{Promoted, Promotion};
use crate::health::program;

/// The run under way, if there is one. Dropped: it is killed.
#[derive(Debug, Default)]
pub(super) struct Promoter {
    running: JoinSet<(u64, Promoted)>,
}

impl Promoter {
    /// Begins a run, and kills the one before if it has not ended.
    pub(super) fn begin(&mut self, promotion: Promotion) {
        self.end();
        self.running.spawn(async move {
            let environment = [
                ("FIREDOOR_FROM", promotion.from.to_string()),
                ("FIREDOOR_TO", promotion.to.to_string()),
                ("FIREDOOR_EPOCH", promotion.epoch.to_string()),
                ("FIREDOOR_REASON", promotion.reason),
            ];
            let ended =
                program::run(&promotion.command, &environment, b"", promotion.timeout).await;
            let promoted = Promoted {
                succeeded: ended.succeeded(),
                how: ended.how.to_string(),
                output: ended.output,
                took: ended.took,
            };
            (promotion.run, promoted)
        });
    }

    /// Kills what runs, if anything does.
    pub(super) fn end(&mut self) {
        self.running.abort_all();
    }

    /// Waits for the end of a run. Never ready while there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn ended(&mut self) -> (u64, Promoted) {
        loop {
            match self.running.join_next().await {
                Some(Ok(ended)) => return ended,
                Some(Err(problem)) if problem.is_cancelled() => {}
                // The checker gives up on it in time.
                Some(Err(problem)) => error!("promote_command was lost: {problem}"),
                None => return std::future::pending().await,
            }
        }
    }
}
