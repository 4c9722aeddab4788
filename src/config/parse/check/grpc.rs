//! The keys of a `grpc` check.

use http::uri::Authority;

use crate::config::parse::tls;
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{CheckKind, GrpcCheck};

const HOST: Form<Authority> = Form {
    noun: "a host",
    example: "\"app.example\"",
    parse: |text| {
        text.parse()
            .ok()
            .filter(|_| !text.contains('@'))
            .ok_or_else(|| Refusal::malformed("only a name and perhaps a port are possible"))
    },
};

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> GrpcCheck {
    let base = match base {
        CheckKind::Grpc(base) => Some(base),
        _ => None,
    };
    let service = section.item("service").and_then(|item| item.text());
    let inherited = || base.map_or_else(String::new, |base| base.service.clone());
    GrpcCheck {
        service: service.map_or_else(inherited, |text| text.value),
        host: section
            .read("host", &HOST)
            .or_else(|| base.and_then(|base| base.host.clone())),
        tls: tls::optional(section, base.and_then(|base| base.tls.as_ref()), &["h2"]),
    }
}
