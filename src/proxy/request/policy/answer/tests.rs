use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::config::parse::Environment;

fn led(to: &[Piece], target: &str) -> HeaderValue {
    let request = Request::get(target).header(HOST, "Shop.example:8080");
    location(to, &request.body(()).unwrap()).unwrap()
}

#[test]
fn a_location_is_filled_in() {
    let text = |text: &str| Piece::Text(text.to_owned());
    let whole = [text("https://www."), Piece::Host, Piece::Path, Piece::Query];
    for (target, location) in [
        ("/a%20b?c=%2F", "https://www.shop.example/a%20b?c=%2F"),
        ("/a?", "https://www.shop.example/a?"),
        ("//evil.example", "https://www.shop.example//evil.example"),
        ("*", "https://www.shop.example/"),
        ("/\"{}\"", "https://www.shop.example/%22%7B%7D%22"),
    ] {
        assert_eq!(led(&whole, target), location);
    }
    assert_eq!(led(&[text("/new")], "/old?x"), "/new");
}

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

/// The pieces of a redirect's target, if a configuration may have it.
fn parsed(to: &str) -> Option<Vec<Piece>> {
    let text = format!(
        "listener = [{{ bind = \"127.0.0.1:8080\" }}]\n[[route]]\nhost = \"shop.example\"\nredirect = {{ to = '{to}' }}\n\
         [[route]]\npool = \"default\"\n[[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"127.0.0.1:9000\" }}]\n"
    );
    let config = Config::parse(&text, Path::new("firedoor.toml"), &Nothing).ok()?;
    match config.routes.into_iter().next()?.answer? {
        config::Answer::Redirect(redirect) => Some(redirect.to),
        _ => None,
    }
}

/// Where a browser would go: scheme and host, or the host that it is at. To browsers `\\` is `/`.
fn whereto(location: &str) -> Option<String> {
    let location = location.replace('\\', "/");
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(String::new());
    }
    let (scheme, rest) = location.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{host}"))
}

fn templates() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec!["https://", "http://", "/", "//", "", "https:/"]);
    let piece = prop::sample::select(vec![
        "{path}", "{query}", "{host}", "/", "//", "a", ".example", ":8443", "@", "?", "#", "..",
        "[", "%2F",
    ]);
    let pieces = prop::collection::vec(piece, 0..5);
    (start, pieces).prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()))
}

fn targets() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "//",
        "evil.example",
        "@evil.example",
        "\\",
        ":80",
        "?",
        "=",
        ".",
        "..",
        "%2F",
        "https:",
        "\"",
        "{",
        "&",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_client_chooses_the_host(to in templates(), target in targets()) {
        if let (Some(pieces), Ok(target)) = (parsed(&to), target.parse::<http::Uri>())
            && let Some(path) = target.path_and_query()
        {
            let told = led(&pieces, path.as_str());
            let told = told.to_str().unwrap();
            let meant = led(&pieces, "/");
            let meant = whereto(meant.to_str().unwrap());
            prop_assert!(meant.is_some(), "{to} leads nowhere");
            prop_assert_eq!(whereto(told), meant, "{} makes {}", to, told);
        }
    }
}
