//! The normal form of a path, of routes and of requests alike: how two of them are known to be one. The rules are those of
//! `proxy/request/route`.

use std::borrow::Cow;

/// The path to match by, or `None` if it is refused. Allocates only for paths that aren't normal yet.
pub(crate) fn normalise(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') {
        // `OPTIONS *`: about the host, not about any path of it.
        return Some(Cow::Borrowed("/"));
    }
    if is_normal(path) {
        Some(Cow::Borrowed(path))
    } else {
        Some(Cow::Owned(resolve(&decode(path)?)?))
    }
}

/// Whether normalising would surely change nothing. `/.well-known` says no as well, which costs an allocation, no more.
fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.is_ascii()
        && !bytes.contains(&b'%')
        && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// Decodes each `%XX` of an unreserved character, writes every other in upper case, and what is beyond ASCII as `%XX`.
pub(super) fn decode(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let (byte, escaped) = match byte {
            b'%' => (hex(bytes.next()?)? << 4 | hex(bytes.next()?)?, true),
            byte => (byte, !byte.is_ascii()),
        };
        if escaped && !is_unreserved(byte) {
            decoded.push('%');
            decoded.push(upper_hex(byte >> 4));
            decoded.push(upper_hex(byte & 0xf));
        } else {
            decoded.push(char::from(byte));
        }
    }
    Some(decoded)
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn upper_hex(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 0xf)])
}

/// Merges slashes and resolves dot segments; `None` above the root.
fn resolve(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            segment => segments.push(segment),
        }
    }
    // What ends in a slash or dot segment is a folder, and stays one.
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let mut resolved = String::with_capacity(path.len());
    for segment in &segments {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if folder || segments.is_empty() {
        resolved.push('/');
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_are_normal_already_are_not_copied() {
        for path in ["/", "/admin/users?not-here", "/a.b/c..d/~e", "/a/b/"] {
            assert!(
                matches!(normalise(path), Some(Cow::Borrowed(same)) if same == path),
                "{path}"
            );
        }
    }

    /// Paths made of the pieces that matter.
    fn paths() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "/", ".", "..", "a", "admin", "%2e", "%2F", "%61", "%5c", "\\", "%25", "%", "%4",
            "ö", "~", ";x", "//",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    /// Paths of which most take the fast path.
    fn plain_paths() -> impl Strategy<Value = String> {
        let piece =
            prop::sample::select(vec!["/", "/a", "/admin", "a", "b.", "..c", "~", ";x", "\\"]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn the_fast_path_says_what_the_slow_path_says(path in prop_oneof![plain_paths(), paths()]) {
            let slow = decode(&path).and_then(|decoded| resolve(&decoded));
            let found = normalise(&path);
            prop_assert_eq!(found.as_deref(), slow.as_deref());
        }

        #[test]
        fn a_normal_path_stays_as_it_is(path in paths()) {
            if let Some(once) = normalise(&path) {
                let twice = normalise(&once);
                prop_assert_eq!(twice.as_deref(), Some(&*once));
            }
        }

        #[test]
        fn no_normal_path_has_dot_segments_or_empty_ones(path in paths()) {
            if let Some(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
                prop_assert!(!normal.contains("//"));
                prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."));
            }
        }
    }
}
