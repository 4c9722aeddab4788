//! Settings that do nothing, or not what they say.

use http::header::DATE;

use super::{Config, Problem, warning};
use crate::config::ErrorPage;

impl Config {
    /// See the module's promise.
    pub(super) fn idle_settings(&self) -> Vec<Problem> {
        [self.unseen_pages(), self.odd_dates()].concat()
    }

    /// Statuses that have a page beside others, and that firedoor never answers with.
    fn unseen_pages(&self) -> Vec<Problem> {
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

    /// Routes that have a word in when responses were made. Each goes out with a `Date`, if need be of firedoor's own (RFC 9110 6.6.1).
    fn odd_dates(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            let edits = &route.response_headers;
            let key = format!("route[{at}].response_headers");
            if edits.writes(&DATE) {
                warnings.push(warning(
                    &key,
                    "every response would have been made at the same time, by its Date",
                    "leave Date to the app; where that has none, firedoor writes it",
                ));
            } else if edits.remove.contains(&DATE) {
                warnings.push(warning(
                    &key,
                    "Date is never gone: without the app's, each response gets firedoor's own",
                    "leave it out of remove, unless the app's clock is wrong",
                ));
            }
        }
        warnings
    }
}
