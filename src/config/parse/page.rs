//! Pages for people: `error_page` of a pool, and `maintenance` of a route.

use crate::config::raw::{Item, Section};
use crate::config::{ErrorPage, Page};

use super::values::STATUSES;

/// Those that a page can be for: [`ErrorPage::POSSIBLE`].
const ANSWERS: &str = "firedoor's own answers to a pool's requests are 400, 408, 413, 421, 429, 501, 502, 503 and 504";

/// `error_page = { "502-504" = "sorry.html" }`
pub(super) fn error_pages(section: &Section<'_>) -> Vec<ErrorPage> {
    let entries = section.section("error_page").entries();
    let entry = |(statuses, item): (&str, Item<'_>)| {
        let statuses = match STATUSES.read(statuses) {
            Ok(statuses) => statuses,
            Err(message) => {
                item.report(message, "the key says for which statuses the page is");
                return None;
            }
        };
        if statuses.iter().any(|&(from, _)| from < 400) {
            item.report("only errors have pages: 400 to 599", ANSWERS);
            return None;
        }
        if !statuses.iter().any(ErrorPage::is_possible) {
            item.report(
                "nobody would see it: firedoor has no such answer, and the app's own pass as they are",
                ANSWERS,
            );
        }
        Some(ErrorPage {
            statuses,
            page: page(&item)?,
        })
    };
    entries.into_iter().filter_map(entry).collect()
}

/// A file that people will see.
pub(super) fn page(item: &Item<'_>) -> Option<Page> {
    let name = item.text()?.value.to_ascii_lowercase();
    let html = name.ends_with(".html") || name.ends_with(".htm");
    if !html && !name.ends_with(".txt") {
        item.refuse(
            "no page",
            "files that end in .html, .htm or .txt are possible",
        );
        return None;
    }
    let text = item.file()?;
    if text.len() > Page::MAX {
        item.refuse("a file that is too large", "a page may have up to 1MiB");
        return None;
    }
    Some(Page {
        text: text.into(),
        html,
    })
}
