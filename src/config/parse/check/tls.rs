//! The keys of a `tls` check.

use crate::config::parse::tls;
use crate::config::parse::values::LIFETIME;
use crate::config::raw::Section;
use crate::config::{CheckKind, TlsCheck};

/// `base`, if it is of this kind, and what `section` says otherwise; `None` only after a problem.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> Option<TlsCheck> {
    let base = match base {
        CheckKind::Tls(base) => Some(base),
        _ => None,
    };
    let expires_within = section.read("expires_within", &LIFETIME);
    Some(TlsCheck {
        tls: tls::required(section, base.map(|base| &base.tls))?,
        expires_within: expires_within
            .unwrap_or(base.map_or(TlsCheck::EXPIRES_WITHIN, |base| base.expires_within)),
    })
}
