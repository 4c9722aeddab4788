//! Pages for people, instead of firedoor's own words.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::config::{ErrorPage, Page, Pool};

/// What stands for the request's id in a page.
const REQUEST_ID: &str = "{request_id}";

/// The error pages of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages(Vec<(ErrorPage, PreparedPage)>);

impl Pages {
    pub(crate) fn of(pool: Option<&Pool>) -> Self {
        let pages = pool.map_or(&[][..], |pool| &pool.error_pages);
        let prepared = |page: &ErrorPage| (page.clone(), PreparedPage::new(&page.page));
        Self(pages.iter().map(prepared).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The page for `status`: of several, the one that is for fewest others.
    pub(crate) fn page(&self, status: StatusCode) -> Option<&PreparedPage> {
        let pages = self.0.iter();
        let meant = pages.filter_map(|(page, prepared)| Some((page.breadth(status)?, prepared)));
        meant
            .min_by_key(|&(breadth, _)| breadth)
            .map(|(_, page)| page)
    }
}

/// A page whose gaps are known. Its parts are shared by all who are shown it: a copy for each of them would be a mebibyte each when
/// everybody gets one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedPage {
    /// The request's id goes between each two of them.
    parts: Vec<Bytes>,
    html: bool,
}

impl PreparedPage {
    pub(crate) fn new(page: &Page) -> Self {
        let text = std::str::from_utf8(&page.text).unwrap_or_default();
        let part = |part: &str| page.text.slice_ref(part.as_bytes());
        Self {
            parts: text.split(REQUEST_ID).map(part).collect(),
            html: page.html,
        }
    }

    pub(crate) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(if self.html {
            "text/html; charset=utf-8"
        } else {
            "text/plain; charset=utf-8"
        })
    }

    /// The page for the request with this id.
    pub(crate) fn fill(&self, request_id: &str) -> Vec<Bytes> {
        let id = Bytes::from(if self.html {
            escaped(request_id)
        } else {
            request_id.to_owned()
        });
        let mut filled = Vec::with_capacity(self.parts.len() * 2);
        for part in &self.parts {
            if !filled.is_empty() {
                filled.push(id.clone());
            }
            filled.push(part.clone());
        }
        filled
    }
}

/// An id may come from a trusted peer, which may pass on what it was given.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, html: bool, id: &str) -> String {
        let page = Page {
            text: Bytes::copy_from_slice(text.as_bytes()),
            html,
        };
        let parts = PreparedPage::new(&page).fill(id).concat();
        String::from_utf8(parts).unwrap()
    }

    #[test]
    fn the_page_that_is_for_fewest_others_is_shown() {
        let page = |statuses: &[(u16, u16)], text: &'static str| {
            let text = Bytes::from_static(text.as_bytes());
            let page = Page { text, html: false };
            let prepared = PreparedPage::new(&page);
            let statuses = statuses.to_vec();
            (ErrorPage { statuses, page }, prepared)
        };
        let pages = Pages(vec![
            page(&[(500, 599)], "any"),
            page(&[(502, 504), (408, 408)], "some"),
            page(&[(503, 503)], "one"),
        ]);
        for (status, text) in [(500, "any"), (502, "some"), (408, "some"), (503, "one")] {
            let shown = pages.page(StatusCode::from_u16(status).unwrap()).unwrap();
            assert_eq!(shown.fill("").concat(), text.as_bytes(), "{status}");
        }
        assert!(pages.page(StatusCode::NOT_FOUND).is_none());
    }

    #[test]
    fn every_gap_is_filled_and_nothing_else() {
        assert_eq!(filled("sorry", false, "7"), "sorry");
        assert_eq!(filled("{request_id}", false, "7"), "7");
        assert_eq!(
            filled("{request_id}a{request_id}{request_id} {other} {", true, "7"),
            "7a77 {other} {"
        );
    }

    #[test]
    fn an_id_is_no_markup() {
        let id = "<script>&\"'";
        assert_eq!(
            filled("{request_id}", true, id),
            "&lt;script&gt;&amp;&quot;&#39;"
        );
        assert_eq!(filled("{request_id}", false, id), id);
    }
}
