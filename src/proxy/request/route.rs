//! Host and path of a request → its pool. Pure.
//!
//! A route matches when its host and its path do; of those that match, the most specific host wins (exact, then the
//! longest `*.`, then any), and within it the longest path. A path is a prefix on segment borders: `/api` covers `/api` and
//! `/api/x`, not `/apis`.
//!
//! # One rule for all the ways to write a path
//! A path is normalised before it is matched, so that `/a/../admin`, `//admin` and `/%61dmin` go where `/admin` goes. The
//! backend still gets the path as the client wrote it. In this order, each once:
//! 1. `%XX` of an unreserved character (letter, digit, `-._~`) is decoded; any other is kept, in upper case. So `%2e` is a
//!    dot, but `%2F` is no segment border, `%5C` and `\` aren't either, and `%252e` stays what it is. A `%` without two hex
//!    digits is refused, as by nginx: backends differ in what they take it for. What is beyond ASCII counts as `%XX`.
//! 2. `//` is `/`, as for nginx.
//! 3. `.` and `..` segments are resolved (RFC 3986, 5.2.4). A path that climbs above the root is refused.
//!
//! Without any route there is nothing to match, so nothing is refused here either.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::policy::Policy;
pub(in crate::proxy) use crate::config::parse::normalise;
use crate::config::{Config, HostPattern, Route};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lookup {
    /// To a pool.
    To(Goal),
    /// No route is for this host: 421.
    UnknownHost,
    /// Routes are for this host, but none of them for this path: 404.
    NoPath,
    /// The path climbs above the root, or has a `%` without two hex digits: 400.
    BadPath,
}

impl Lookup {
    /// The index of its route, if that has a rate of its own.
    pub(crate) fn rated(&self) -> Option<usize> {
        match self {
            Self::To(goal) => goal.rated,
            Self::UnknownHost | Self::NoPath | Self::BadPath => None,
        }
    }
}

/// The pool of a request, and how important it is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    /// An index into [`Config::pools`].
    pub(crate) pool: usize,
    pub(crate) priority: u8,
    /// Its route's index, if that has a rate of its own.
    pub(crate) rated: Option<usize>,
    /// What else the route says about it, if it does.
    pub(crate) policy: Option<Rc<Policy>>,
}

/// All routes, arranged for looking up.
#[derive(Clone, Debug)]
pub(crate) struct RouteTable {
    /// Without routes: where everything goes.
    unrouted: Option<Goal>,
    exact: HashMap<Box<str>, Paths>,
    below: HashMap<Box<str>, Paths>,
    any: Paths,
}

/// The paths of one host, longest first.
#[derive(Clone, Debug, Default)]
struct Paths(Vec<(Box<str>, Goal)>);

impl RouteTable {
    /// Arranges the routes of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let default = || {
            config
                .pools
                .iter()
                .position(|pool| &*pool.name == "default")
        };
        let mut table = Self {
            // Parsing makes sure that there is a default pool where it is needed.
            unrouted: config.routes.is_empty().then(|| {
                let pool = default().unwrap_or(0);
                Goal {
                    pool,
                    priority: Route::DEFAULT_PRIORITY,
                    rated: None,
                    policy: Policy::of(None, Some(pool), config),
                }
            }),
            exact: HashMap::new(),
            below: HashMap::new(),
            any: Paths::default(),
        };
        for (index, route) in config.routes.iter().enumerate() {
            let paths = match &route.host {
                Some(HostPattern::Exact(host)) => {
                    table.exact.entry(host.as_str().into()).or_default()
                }
                Some(HostPattern::Below(host)) => {
                    table.below.entry(host.as_str().into()).or_default()
                }
                None => &mut table.any,
            };
            let goal = Goal {
                // Without one there is an answer, and nobody will ask.
                pool: route.pool.unwrap_or(0),
                priority: route.priority,
                rated: route.rate.map(|_| index),
                policy: Policy::of(Some(route), route.pool, config),
            };
            paths.add(&route.path, goal);
        }
        table
    }

    /// The pool for a request to `host` (with or without port) and `path` (without query).
    pub(crate) fn lookup(&self, host: &str, path: &str) -> Lookup {
        if let Some(goal) = &self.unrouted {
            return Lookup::To(goal.clone());
        }
        let Some(path) = normalise(path) else {
            return Lookup::BadPath;
        };
        let host = bare(host);
        let mut known = false;
        for paths in self.candidates(&host) {
            known = true;
            if let Some(goal) = paths.longest(&path) {
                return Lookup::To(goal.clone());
            }
        }
        if known {
            Lookup::NoPath
        } else {
            Lookup::UnknownHost
        }
    }

    /// The paths of every host pattern that matches, most specific first.
    fn candidates<'t>(&'t self, host: &'t str) -> impl Iterator<Item = &'t Paths> {
        // No name of DNS is longer, and thousands of dots would mean hashing thousands of suffixes.
        let host = if host.len() > 253 { "" } else { host };
        let below = host
            .match_indices('.')
            .filter_map(|(dot, _)| self.below.get(&host[dot + 1..]));
        let any = (!self.any.0.is_empty()).then_some(&self.any);
        self.exact.get(host).into_iter().chain(below).chain(any)
    }
}

impl Paths {
    fn add(&mut self, path: &str, goal: Goal) {
        // Normal already: a prefix such as `/ä` or `/%7euser` has to look as requests will.
        self.0.push((path.trim_end_matches('/').into(), goal));
        self.0
            .sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    }

    fn longest(&self, path: &str) -> Option<&Goal> {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0
            .iter()
            .find(|(prefix, _)| covers(prefix))
            .map(|(_, goal)| goal)
    }
}

/// The host without port and trailing dot, in lower case. Allocates only for upper case.
pub(in crate::proxy) fn bare(host: &str) -> Cow<'_, str> {
    // The last colon outside of brackets; an IPv6 address has some inside.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests;
