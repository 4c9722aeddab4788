//! What a certificate may be used for, where nobody else looks at that: webpki does so itself, but only for those that it takes.
//!
//! As in `subject.rs`, only for certificates whose outer structure rustls has found to be sound.

use yasna::tags::TAG_OID;
use yasna::{ASN1Result, BERReader, Tag};

/// As whom somebody shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Purpose {
    Server,
    Client,
}

/// 2.5.29.37, as it is encoded.
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 37];

impl Purpose {
    /// Whether it is among those that the certificate names, or it names none (RFC 5280 4.2.1.12). "Any" isn't it, as for webpki. What
    /// can't be read permits nothing.
    pub(in crate::config) fn is_permitted_by(self, certificate: &[u8]) -> bool {
        match yasna::parse_der(certificate, purposes) {
            Ok(None) => true,
            Ok(Some(purposes)) => purposes.iter().any(|purpose| purpose == self.encoded()),
            Err(_) => false,
        }
    }

    /// id-kp-serverAuth and id-kp-clientAuth: 1.3.6.1.5.5.7.3.1 and 2.
    fn encoded(self) -> &'static [u8] {
        match self {
            Self::Server => &[0x2b, 6, 1, 5, 5, 7, 3, 1],
            Self::Client => &[0x2b, 6, 1, 5, 5, 7, 3, 2],
        }
    }
}

/// As they are encoded; `None`: it names none.
type Purposes = Option<Vec<Vec<u8>>>;

/// RFC 5280 4.1.
fn purposes(certificate: BERReader<'_, '_>) -> ASN1Result<Purposes> {
    certificate.read_sequence(|certificate| {
        let purposes = certificate.next().read_sequence(|signed| {
            signed
                .read_optional(|version| version.read_tagged(Tag::context(0), |v| v.read_u8()))?;
            let fields = [
                "serial number",
                "signature",
                "issuer",
                "validity",
                "subject",
                "key",
            ];
            for _ in fields {
                signed.next().read_der()?;
            }
            let extensions = signed.read_optional(|extensions| {
                extensions.read_tagged(Tag::context(3), |list| list.collect_sequence_of(extension))
            })?;
            Ok(extensions.into_iter().flatten().flatten().next())
        })?;
        for _ in ["signature algorithm", "signature"] {
            certificate.next().read_der()?;
        }
        Ok(purposes)
    })
}

fn extension(extension: BERReader<'_, '_>) -> ASN1Result<Purposes> {
    extension.read_sequence(|extension| {
        let kind = contents(extension.next())?;
        extension.read_optional(|critical| critical.read_bool())?;
        let value = extension.next().read_bytes()?;
        if kind != EXTENDED_KEY_USAGE {
            return Ok(None);
        }
        yasna::parse_der(&value, |list| list.collect_sequence_of(contents)).map(Some)
    })
}

/// As it is encoded: it may have larger numbers than yasna takes.
fn contents(oid: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    oid.read_tagged_implicit(TAG_OID, |oid| oid.read_bytes())
}

#[cfg(test)]
mod tests;
