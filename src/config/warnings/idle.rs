//! Settings that do nothing, or not what they say.

use super::{Config, Problem, warning};
use crate::config::ErrorPage;

impl Config {
    /// Statuses that have a page beside others, and that firedoor never answers with.
    pub(super) fn unseen_pages(&self) -> Vec<Problem> {
        let pools = self.pools.iter().enumerate();
        let ranges = pools.flat_map(|(at, pool)| {
            let ranges = pool.error_pages.iter().flat_map(|page| &page.statuses);
            ranges.map(move |range| (at, range))
        });
        let unseen = ranges.filter(|(_, range)| !ErrorPage::is_possible(range));
        let warn = |(at, &(from, to)): (usize, &(u16, u16))| {
            let statuses = match from == to {
                true => from.to_string(),
                false => format!("{from}-{to}"),
            };
            warning(
                &format!("pool[{at}].error_page"),
                &format!(
                    "firedoor itself never answers a pool's request with {statuses}, so nobody sees the page for that"
                ),
                "leave it out; the app's own errors pass as they are",
            )
        };
        unseen.map(warn).collect()
    }
}
