//! Redirects that lead back to where they came from, and those that nobody needs.

use std::collections::HashMap;

use super::{Config, HostPattern, Problem, Route, warning};
use crate::config::parse::normalise;
use crate::config::{Answer, Piece, Redirect};

/// No client follows more redirects.
const STEPS: usize = 20;

/// A path that a redirect has made so long has grown with each step.
const LONG: usize = 4096;

/// Stands for a request's host where its route is for several: no host is written so.
const ANY_HOST: &str = "{host}";

/// The routes by their hosts and paths.
struct Routes<'c>(HashMap<(Option<&'c HostPattern>, &'c str), &'c Route>);

impl Config {
    /// See the module's promise.
    pub(super) fn odd_redirects(&self) -> Vec<Problem> {
        let routes = self.routes.iter();
        let routes = routes.map(|route| ((route.host.as_ref(), &*route.path), route));
        let routes = Routes(routes.collect());
        let takes_cleartext = self
            .listeners
            .iter()
            .any(|listener| listener.tls.is_none() && listener.redirect.is_none());
        let mut warnings = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            if route.https.is_some() && !takes_cleartext {
                warnings.push(warning(
                    &format!("route[{at}].redirect"),
                    "nothing comes to it in cleartext: each listener speaks TLS, or redirects by itself",
                    "remove it, or add a [[listener]] without tls",
                ));
            }
            if let Some(Answer::Redirect(redirect)) = &route.answer
                && self.is_circle(route, &routes)
            {
                let to_tls = matches!(redirect.to.first(), Some(Piece::Text(text)) if text.starts_with("https://"));
                warnings.push(warning(
                    &format!("route[{at}].redirect.to"),
                    "whoever follows it is redirected again, without end",
                    if to_tls {
                        "write redirect = \"https\" beside a pool, so that only cleartext is sent on"
                    } else {
                        "let it lead to another host, or give its target a [[route]] of its own"
                    },
                ));
            }
        }
        warnings
    }

    /// Whether a client that asks for the very path of `route`, and goes where it is sent, never arrives.
    fn is_circle(&self, route: &Route, routes: &Routes<'_>) -> bool {
        let hosts = hosts(route.host.as_ref());
        let mut here = route;
        let mut path = route.path.clone();
        for _ in 0..STEPS {
            let Some(Answer::Redirect(redirect)) = &here.answer else {
                return false;
            };
            if let Some(edit) = &here.prefix {
                let rest = path.strip_prefix(&edit.from).unwrap_or(&path);
                path = format!("{}{rest}", edit.to);
            }
            let sent = if path.is_empty() { "/" } else { &path };
            let Some(next) = self.next(redirect, route.host.as_ref(), sent) else {
                return false;
            };
            if next.len() > LONG {
                return true;
            }
            let Some(found) = routes.find(&hosts, &next) else {
                return false;
            };
            (here, path) = (found, next);
        }
        true
    }

    /// Which path `redirect` leads to from `path`. `None`: to another host or port than where one was, as far as can be told.
    fn next(&self, redirect: &Redirect, host: Option<&HostPattern>, path: &str) -> Option<String> {
        let name = match host {
            Some(HostPattern::Exact(name)) => name,
            _ => ANY_HOST,
        };
        let mut target = String::new();
        for piece in &redirect.to {
            target.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Host => name,
                Piece::Path => path,
                Piece::Query => break,
            });
        }
        target.truncate(target.find(['?', '#']).unwrap_or(target.len()));
        let schemes = [("https://", 443, true), ("http://", 80, false)];
        let absolute = schemes.into_iter().find_map(|(scheme, port, tls)| {
            let rest = target.strip_prefix(scheme)?;
            Some((
                rest.split_at(rest.find('/').unwrap_or(rest.len())),
                port,
                tls,
            ))
        });
        let path = match absolute {
            None => &target,
            Some(((authority, path), usual, tls)) => {
                let (there, port) = match authority.rsplit_once(':') {
                    Some((there, port)) if !port.ends_with(']') => (there, port.parse().ok()?),
                    _ => (authority, usual),
                };
                let returns = self.listeners.iter().any(|listener| {
                    let plain = listener.redirect.is_none();
                    plain && listener.bind.port() == port && listener.tls.is_some() == tls
                });
                if !returns || !there.eq_ignore_ascii_case(name) {
                    return None;
                }
                if path.is_empty() { "/" } else { path }
            }
        };
        Some(normalise(path)?.into_owned())
    }
}

impl Routes<'_> {
    /// The route that a request for `path` goes to, of those that are for `hosts`: the first of these that has one, and its longest.
    fn find(&self, hosts: &[Option<HostPattern>], path: &str) -> Option<&Route> {
        hosts.iter().find_map(|host| {
            let mut prefix = path.trim_end_matches('/');
            while !prefix.is_empty() {
                if let Some(route) = self.0.get(&(host.as_ref(), prefix)) {
                    return Some(*route);
                }
                prefix = &prefix[..prefix.rfind('/').unwrap_or(0)];
            }
            self.0.get(&(host.as_ref(), "/")).copied()
        })
    }
}

/// All patterns that whatever `host` is for is sure to match, the most specific one first.
fn hosts(host: Option<&HostPattern>) -> Vec<Option<HostPattern>> {
    let mut patterns = Vec::new();
    if let Some(HostPattern::Exact(name) | HostPattern::Below(name)) = host {
        patterns.push(host.cloned());
        let parents = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        patterns.extend(parents.map(|parent| Some(HostPattern::Below(parent.to_owned()))));
    }
    patterns.push(None);
    patterns
}
