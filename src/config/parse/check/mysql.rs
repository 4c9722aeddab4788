//! The keys of a `mysql` check.

use super::login;
use crate::config::parse::tls;
use crate::config::raw::Section;
use crate::config::{CheckKind, MysqlCheck};

const LOGIN: &[&str] = &["password", "expect", "max_lag"];

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> MysqlCheck {
    let base = match base {
        CheckKind::Mysql(base) => Some(base),
        _ => None,
    };
    let tls = base.and_then(|base| base.tls.as_ref());
    MysqlCheck {
        login: login::read(section, LOGIN, base.and_then(|base| base.login.as_ref())),
        tls: tls::optional(section, tls, &[]),
    }
}
