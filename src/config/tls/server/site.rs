//! Which names are served together: those that the same certificate is for.

use super::TlsServer;
use crate::config::Certificate;

impl TlsServer {
    /// Whether all names are.
    pub(crate) fn is_one_site(&self) -> bool {
        self.0.live.load().all().count() < 2
    }

    /// Whether a client that has asked for `name` in its handshake may ask for `other` as well: a certificate that it may have been
    /// shown is for both. The first certificate is for all names that none is for.
    pub(crate) fn serves_together(&self, name: &str, other: &str) -> bool {
        let live = self.0.live.load();
        let all: Vec<&Certificate> = live.all().collect();
        let chosen = |is_for: fn(&Certificate, &str) -> bool| -> Vec<&Certificate> {
            let all = all.iter().copied();
            all.filter(|known| is_for(known, name)).collect()
        };
        let mut shown = chosen(is_named);
        if shown.is_empty() {
            shown = chosen(is_covered);
        }
        if shown.is_empty() {
            shown.extend(all.first());
        }
        let is_for = |known: &Certificate| is_named(known, other) || is_covered(known, other);
        let first_shown = || shown.iter().any(|known| all.first() == Some(known));
        shown.iter().any(|known| is_for(known))
            || (first_shown() && !all.iter().copied().any(is_for))
    }
}

fn is_named(certificate: &Certificate, host: &str) -> bool {
    let mut names = certificate.names().iter();
    names.any(|name| name.eq_ignore_ascii_case(host))
}

/// By a wildcard, which stands for one label and no more (RFC 6125 6.4.3).
fn is_covered(certificate: &Certificate, host: &str) -> bool {
    let Some((_, parent)) = host.split_once('.') else {
        return false;
    };
    let mut wildcards = certificate
        .names()
        .iter()
        .filter_map(|name| name.strip_prefix("*."));
    wildcards.any(|name| name.eq_ignore_ascii_case(parent))
}
