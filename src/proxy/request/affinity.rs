//! Session affinity: the cookie that brings a client back to the backend that answered it first. Pure.
//!
//! As HAProxy's `cookie NAME insert indirect nocache`: firedoor sets the cookie, and the app never sees it. The cookie's name is
//! firedoor's in both directions. What it holds is only a wish: a client may send whatever it likes, and gets no further than to
//! a backend that balancing might have sent it to as well.

use std::cell::Cell;
use std::fmt;
use std::hash::Hasher;
use std::rc::Rc;

use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use crate::config::Sticky;
use crate::proxy::message::headers::is_https;
use crate::zone::{ComponentId, ComponentKey};

/// What stands in the cookie for a backend: the same in every worker and process, and for every address that the backend ever
/// has; another in each zone, so that a flip pins all sessions anew.
///
/// 64 bits of a hash. If two of a pool's thousand backends ever had the same (one chance in 10^13), the sessions of the later
/// one would move to the earlier one; nothing else would come of it, so nothing is done about it.
///
/// Nobody can read zone, pool or name in it, but whoever guesses all three can tell that the guess is right, and a backend
/// without a name is called by its address. A secret would prevent that, but two firedoors before the same backends would have
/// to share it, or each would break the other's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(u64);

/// The sticky sessions of a pool, with the backends of the active zone.
#[derive(Debug)]
pub(crate) struct Affinity {
    sticky: Sticky,
    backends: Vec<(Id, ComponentId)>,
}

/// What a request has said about its session.
#[derive(Debug)]
pub(crate) struct Session {
    wish: Option<Id>,
    secure: Cell<bool>,
}

/// What a response has to say about its session.
#[derive(Debug)]
pub(crate) struct Pin {
    affinity: Rc<Affinity>,
    /// `None`: the client has the right cookie already.
    cookie: Option<HeaderValue>,
}

impl Id {
    fn of(pool: &str, key: &ComponentKey) -> Self {
        // Not `DefaultHasher`: it may change with the compiler, and an update of firedoor would end all sessions.
        #[expect(
            deprecated,
            reason = "the one hash of the standard library whose algorithm is fixed: SipHash 2-4"
        )]
        let mut hasher = std::hash::SipHasher::new_with_keys(
            u64::from_le_bytes(*b"firedoor"),
            u64::from_le_bytes(*b"affinity"),
        );
        for part in [&*key.zone, pool, &*key.name] {
            hasher.write(part.as_bytes());
            // In no name, so that no two triples run together.
            hasher.write(&[0]);
        }
        Self(hasher.finish())
    }

    /// Only what [`fmt::Display`] writes; everything else is somebody's invention.
    fn parse(text: &[u8]) -> Option<Self> {
        let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let text = std::str::from_utf8(text).ok()?;
        let sound = text.len() == 16 && text.as_bytes().iter().all(is_digit);
        let number = u64::from_str_radix(text, 16).ok().filter(|_| sound)?;
        Some(Self(number))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Affinity {
    /// Of `pool`, whose backends in the active zone are `backends`.
    pub(crate) fn new<'a>(
        sticky: &Sticky,
        pool: &str,
        backends: impl Iterator<Item = (ComponentId, &'a ComponentKey)>,
    ) -> Self {
        Self {
            sticky: sticky.clone(),
            backends: backends.map(|(id, key)| (Id::of(pool, key), id)).collect(),
        }
    }

    /// Takes our cookie out of a request, whose other cookies stay as they are.
    pub(crate) fn take(&self, headers: &mut HeaderMap) -> Session {
        let mut wish = None;
        let is_ours = |field: &HeaderValue| {
            let mut pairs = field.as_bytes().split(|&b| b == b';');
            pairs.any(|pair| self.value_in(pair).is_some())
        };
        if headers.get_all(COOKIE).iter().any(is_ours) {
            let fields = headers.get_all(COOKIE).iter().filter_map(|field| {
                if !is_ours(field) {
                    return Some(field.clone());
                }
                let mut rest = Vec::with_capacity(field.len());
                for pair in field.as_bytes().split(|&b| b == b';') {
                    match self.value_in(pair) {
                        // Several: the first that could be ours. A browser has two only if somebody else has set one.
                        Some(value) => wish = wish.or(Id::parse(value)),
                        None if rest.is_empty() => rest.extend_from_slice(pair.trim_ascii_start()),
                        None => {
                            rest.push(b';');
                            rest.extend_from_slice(pair);
                        }
                    }
                }
                let blank = rest.iter().all(|b| matches!(b, b';' | b' ' | b'\t'));
                HeaderValue::from_bytes(&rest).ok().filter(|_| !blank)
            });
            let fields = fields.collect();
            replace(headers, &COOKIE, fields);
        }
        Session {
            wish,
            secure: Cell::new(false),
        }
    }

    /// The backend that the session was at, if it is one of the active zone.
    pub(crate) fn home(&self, session: &Session) -> Option<ComponentId> {
        let wish = session.wish?;
        let found = self.backends.iter().find(|(id, _)| *id == wish);
        found.map(|(_, backend)| *backend)
    }

    /// What the response of `backend` has to say.
    pub(crate) fn pin(self: &Rc<Self>, session: &Session, backend: ComponentId) -> Pin {
        let found = self.backends.iter().find(|(_, found)| *found == backend);
        let cookie = found
            .filter(|(id, _)| session.wish != Some(*id))
            .and_then(|(id, _)| self.cookie(*id, session.secure.get()));
        Pin {
            affinity: Rc::clone(self),
            cookie,
        }
    }

    fn cookie(&self, id: Id, secure: bool) -> Option<HeaderValue> {
        let Sticky { cookie, ttl } = &self.sticky;
        // No script needs it, and no other site's form or image should bring a session along (RFC 6265bis 5.6.7).
        let mut text = format!("{cookie}={id}; Path=/; HttpOnly; SameSite=Lax");
        if secure {
            text.push_str("; Secure");
        }
        if let Some(ttl) = ttl {
            text.push_str(&format!("; Max-Age={}", ttl.as_secs()));
        }
        HeaderValue::try_from(text).ok()
    }

    /// Takes a cookie of our name out of a response: as HAProxy without `preserve`, since two of one name would be one too many.
    fn take_set(&self, headers: &mut HeaderMap) {
        let is_ours = |field: &&HeaderValue| {
            let mut parts = field.as_bytes().split(|&b| b == b';');
            parts
                .next()
                .is_some_and(|pair| self.value_in(pair).is_some())
        };
        let fields = headers.get_all(SET_COOKIE);
        if fields.iter().any(|field| is_ours(&field)) {
            let others = fields.iter().filter(|field| !is_ours(field));
            let others = others.cloned().collect();
            replace(headers, &SET_COOKIE, others);
        }
    }

    /// The value of `pair`, if it is our cookie.
    fn value_in<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let ours = pair[..equals].trim_ascii() == self.sticky.cookie.as_bytes();
        ours.then(|| pair[equals + 1..].trim_ascii())
    }
}

impl Session {
    /// Learns from the header section that goes to the app whether the client came over https: what the app believes, its
    /// client's browser must be able to believe too.
    pub(crate) fn learn_scheme(&self, headers: &HeaderMap) {
        self.secure.set(is_https(headers));
    }
}

impl Pin {
    /// Says it in the response's header section.
    pub(crate) fn put_into(self, headers: &mut HeaderMap) {
        self.affinity.take_set(headers);
        let Some(cookie) = self.cookie else { return };
        headers.append(SET_COOKIE, cookie);
        // RFC 9111 7.3: a cookie alone keeps no cache from giving the response, and with it this client's pin, to everybody. An
        // app that says something about caching has decided: `private` on top could contradict it (HAProxy: `nocache`).
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
}

fn replace(headers: &mut HeaderMap, name: &HeaderName, fields: Vec<HeaderValue>) {
    headers.remove(name);
    for field in fields {
        headers.append(name, field);
    }
}

#[cfg(test)]
mod tests;
