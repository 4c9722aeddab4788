//! The keys of a `tls` check.

use std::time::Duration;

use crate::config::parse::tls;
use crate::config::parse::values::LIFETIME;
use crate::config::raw::Section;
use crate::config::{CheckKind, TlsCheck};

/// Before a certificate's end, when that is worth a word.
const EXPIRES_WITHIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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
            .unwrap_or(base.map_or(EXPIRES_WITHIN, |base| base.expires_within)),
    })
}
