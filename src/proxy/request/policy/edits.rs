//! Changes to messages on their way. Pure.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::config;
use crate::proxy::message::headers;
use crate::proxy::message::spelling::reads_as;
use crate::proxy::request::route::normalise;

/// What is done to header fields. Values are copies of this worker's own: a clone of one that is shared between workers would write
/// to a shared cache line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldEdits(config::FieldEdits);

impl FieldEdits {
    pub(crate) fn new(edits: &config::FieldEdits) -> Self {
        let own = |pairs: &[(HeaderName, HeaderValue)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| (name.clone(), own(value)))
                .collect()
        };
        Self(config::FieldEdits {
            remove: edits.remove.clone(),
            set: own(&edits.set),
            add: own(&edits.add),
        })
    }

    /// First what goes, then what comes instead, then what comes besides.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.0.remove {
            headers.remove(name);
        }
        for (name, value) in &self.0.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.0.add {
            headers.append(name, value.clone());
        }
    }

    /// The same for a request, of which no other spelling of what goes or is set is left: an app may take it for that.
    pub(crate) fn apply_to_request(&self, headers: &mut HeaderMap) {
        headers::strip(headers, |name| {
            self.names_displaced()
                .any(|gone| reads_as(name, gone.as_str()))
        });
        self.apply(headers);
    }

    /// The fields that must not come back as trailers: some apps merge those with the fields.
    pub(crate) fn displaced(&self) -> impl Iterator<Item = HeaderName> {
        self.names_displaced().cloned()
    }

    fn names_displaced(&self) -> impl Iterator<Item = &HeaderName> {
        let set = self.0.set.iter().map(|(name, _)| name);
        self.0.remove.iter().chain(set)
    }
}

fn own(value: &HeaderValue) -> HeaderValue {
    let mut copy =
        HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""));
    copy.set_sensitive(value.is_sensitive());
    copy
}

/// One beginning of paths instead of another. The path is normalised on this occasion, as it was to be matched: `/a/../api/x` must
/// become what `/api/x` becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrefixEdit {
    from: Box<str>,
    to: Box<str>,
}

impl PrefixEdit {
    /// `None` if either isn't a path, which parsing has refused.
    pub(crate) fn new(edit: &config::PrefixEdit) -> Option<Self> {
        let normal = |path: &str| match path {
            "" => Some("".into()),
            path => Some(normalise(path)?.trim_end_matches('/').into()),
        };
        Some(Self {
            from: normal(&edit.from)?,
            to: normal(&edit.to)?,
        })
    }

    /// Changes `target`, whose path the route has matched. `None`: it can't be written as a target.
    pub(crate) fn apply(&self, target: &mut Uri) -> Option<()> {
        if target.path() == "*" {
            return Some(());
        }
        let path = normalise(target.path())?;
        let rest = path.strip_prefix(&*self.from)?;
        if !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let query = target.query();
        let mut changed = String::with_capacity(
            self.to.len() + rest.len() + query.map_or(0, |query| query.len() + 1) + 1,
        );
        changed.push_str(&self.to);
        changed.push_str(rest);
        if changed.is_empty() {
            changed.push('/');
        }
        if let Some(query) = query {
            changed.push('?');
            changed.push_str(query);
        }
        *target = Uri::from(PathAndQuery::try_from(changed).ok()?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(from: &str, to: &str, target: &str) -> Option<String> {
        let edit = PrefixEdit::new(&config::PrefixEdit {
            from: from.to_owned(),
            to: to.to_owned(),
        })?;
        let mut target: Uri = target.parse().unwrap();
        edit.apply(&mut target)?;
        Some(target.to_string())
    }

    #[test]
    fn a_prefix_goes_on_segment_borders() {
        for (target, rest) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api?x=/api/y", "/?x=/api/y"),
            ("/api/x/", "/x/"),
            ("/api/api", "/api"),
            ("/api/x%2Fy?z=%2e", "/x%2Fy?z=%2e"),
            ("//api//x", "/x"),
            ("/a/../api/./x", "/x"),
            ("/%61pi/%7Ex", "/~x"),
            ("/api/%2e%2e/api/x", "/x"),
            ("/api/?", "/?"),
            ("*", "*"),
        ] {
            assert_eq!(
                changed("/api", "", target).as_deref(),
                Some(rest),
                "{target}"
            );
        }
        // The route would not have matched these.
        assert_eq!(changed("/api", "", "/apis"), None);
        assert_eq!(changed("/api", "", "/api/../x"), None);
    }

    #[test]
    fn another_prefix_takes_its_place() {
        for (target, rest) in [("/api", "/v2"), ("/api/", "/v2/"), ("/api/x?y", "/v2/x?y")] {
            assert_eq!(changed("/api", "/v2", target).as_deref(), Some(rest));
        }
        assert_eq!(
            changed("/größe", "/maße", "/gr%c3%b6%C3%9Fe/x").as_deref(),
            Some("/ma%C3%9Fe/x")
        );
    }

    #[test]
    fn what_is_left_never_looks_like_a_host() {
        for target in [
            "/api//evil.example",
            "/api/%2e//evil.example",
            "/api/.//evil.example/",
        ] {
            let rest = changed("/api", "", target).unwrap();
            assert!(!rest.starts_with("//"), "{rest}");
        }
    }
}
