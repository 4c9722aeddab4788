//! The keys of a `redis` check.

use crate::config::parse::tls;
use crate::config::raw::Section;
use crate::config::{CheckKind, Expect, RedisCheck, Secret};

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> RedisCheck {
    let base = match base {
        CheckKind::Redis(base) => Some(base),
        _ => None,
    };
    let text = |key| Some(section.item(key)?.text()?.value);
    let (user, password) = (text("user"), text("password").map(Secret::new));
    let expect = section.choice("expect", super::EXPECTATIONS, &[]);
    let check = RedisCheck {
        user: user.or_else(|| base.and_then(|base| base.user.clone())),
        password: password.or_else(|| base.and_then(|base| base.password.clone())),
        expect: expect.unwrap_or(base.map_or(Expect::default(), |base| base.expect)),
        tls: tls::optional(section, base.and_then(|base| base.tls.as_ref()), &[]),
    };
    if check.user.is_some() && check.password.is_none() && !section.has("password") {
        section.miss(
            "password",
            "password is missing",
            "add password = \"${file:redis.password}\"",
        );
    }
    check
}
