//! The dashboard: a page that shows `/v1/status`, the journal and the events to people, and gives orders by the API as any other
//! client. Its files are what a browser gets, byte by byte: no build step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use http::{Response, StatusCode};
use http_body_util::Full;

/// Nothing but our own files and our own API, no inline script or style, and no page of somebody else's around it: even if text from
/// a backend or a journal got into the page as markup, it could do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// `(name, content type)` of the files in `dashboard/`.
macro_rules! assets {
    ($($name:literal is $content_type:expr),* $(,)?) => {
        &[$(Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("dashboard/", $name)),
        }),*]
    };
}

static PAGE: Asset = Asset {
    name: "index.html",
    content_type: HTML,
    content: include_str!("dashboard/index.html"),
};

/// What the page is made of besides, below `/assets/`.
static ASSETS: &[Asset] = assets![
    "theme.css" is CSS,
    "page.css" is CSS,
    "plan.css" is CSS,
    "dialog.css" is CSS,
    "icon.svg" is "image/svg+xml",
    "admin.js" is SCRIPT,
    "component.js" is SCRIPT,
    "door.js" is SCRIPT,
    "element.js" is SCRIPT,
    "feed.js" is SCRIPT,
    "forecast.js" is SCRIPT,
    "journal.js" is SCRIPT,
    "link.js" is SCRIPT,
    "main.js" is SCRIPT,
    "mark.js" is SCRIPT,
    "order.js" is SCRIPT,
    "orders.js" is SCRIPT,
    "room.js" is SCRIPT,
    "sentence.js" is SCRIPT,
    "setup.js" is SCRIPT,
    "signin.js" is SCRIPT,
    "sparkline.js" is SCRIPT,
    "state.js" is SCRIPT,
    "summary.js" is SCRIPT,
    "theme.js" is SCRIPT,
    "traffic.js" is SCRIPT,
    "whatif.js" is SCRIPT,
    "words.js" is SCRIPT,
];

/// The asset called `name`, if there is one.
pub(super) fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// The page itself.
pub(super) fn page(headers: &HeaderMap) -> Response<Full<Bytes>> {
    PAGE.answer(headers)
}

/// Whether a browser asks. curl and scripts, which take anything, get the list of endpoints instead.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or("").trim())
        .any(|media_type| media_type.eq_ignore_ascii_case("text/html"))
}

impl Asset {
    /// The file, or that the client's copy is still good. Always asked for again, so that a new firedoor never meets half of an
    /// old page.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let tag = self.tag();
        let fresh = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*");
        let mut response = if fresh {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            Response::new(Full::from(self.content))
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, self.content_type),
            (CACHE_CONTROL, "no-cache"),
            (VARY, "Accept"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        response
    }

    /// Another content, another tag.
    fn tag(&self) -> String {
        static SALT: LazyLock<u64> = LazyLock::new(|| digest(&env!("CARGO_PKG_VERSION")));
        format!("\"{:016x}\"", digest(&(*SALT, self.name, self.content)))
    }
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the whole page may weigh, in bytes.
    const BUDGET: usize = 150 * 1024;

    fn accepting(value: &'static str) -> HeaderMap {
        [(ACCEPT, HeaderValue::from_static(value))]
            .into_iter()
            .collect()
    }

    #[test]
    fn browsers_get_the_page_and_scripts_the_list() {
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/xml, Text/HTML;q=0.9",
        ] {
            assert!(wants_page(&accepting(browser)), "{browser}");
        }
        for script in ["*/*", "application/json", "text/plain", "text/*"] {
            assert!(!wants_page(&accepting(script)), "{script}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }

    #[test]
    fn the_whole_page_keeps_to_its_budget_and_every_file_in_the_folder_is_served() {
        let total: usize = ASSETS
            .iter()
            .chain([&PAGE])
            .map(|asset| asset.content.len())
            .sum();
        assert!(total <= BUDGET, "{total} bytes");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                name == PAGE.name || asset(&name).is_some(),
                "{name} is in no list"
            );
        }
    }

    #[test]
    fn nothing_in_the_page_needs_what_the_policy_forbids() {
        for forbidden in [
            " style=",
            "<script>",
            "<style",
            " onclick=",
            "javascript:",
            "innerHTML",
            "eval(",
        ] {
            for asset in ASSETS.iter().chain([&PAGE]) {
                assert!(
                    !asset.content.contains(forbidden),
                    "{} has {forbidden}",
                    asset.name
                );
            }
        }
    }

    #[test]
    fn a_copy_that_is_still_good_is_not_sent_again() {
        let first = page(&HeaderMap::new());
        let tag = first.headers()[ETAG].clone();
        let again = page(&[(IF_NONE_MATCH, tag)].into_iter().collect());
        assert_eq!(
            (first.status(), again.status()),
            (StatusCode::OK, StatusCode::NOT_MODIFIED)
        );
        let other = [(IF_NONE_MATCH, HeaderValue::from_static("\"other\""))];
        assert_eq!(page(&other.into_iter().collect()).status(), StatusCode::OK);
    }
}
