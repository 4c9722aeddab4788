//! The keys of a `postgres` check.

use super::login;
use crate::config::parse::tls;
use crate::config::raw::Section;
use crate::config::{CheckKind, PostgresCheck};

const LOGIN: &[&str] = &["password", "database", "expect", "max_lag"];

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> PostgresCheck {
    let base = match base {
        CheckKind::Postgres(base) => Some(base),
        _ => None,
    };
    let tls = base.and_then(|base| base.tls.as_ref());
    PostgresCheck {
        login: login::read(section, LOGIN, base.and_then(|base| base.login.as_ref())),
        tls: tls::optional(section, tls, &["postgresql"]),
    }
}
