//! What names one certificate among all: who has signed it, and the number that it has there.
//!
//! As the subject: only for certificates whose outer structure rustls has found to be sound.

use yasna::tags::{TAG_INTEGER, TAG_OID};
use yasna::{ASN1Result, BERReader, Tag};

use super::subject::contents;

/// As RFC 9773 4.1 wants it for renewal information: the contents of both fields, as they are encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The key identifier of the authority.
    pub(crate) authority: Vec<u8>,
    /// The serial number.
    pub(crate) serial: Vec<u8>,
}

/// 2.5.29.35, the authority key identifier.
const AUTHORITY: [u8; 3] = [0x55, 0x1d, 35];

impl Identity {
    /// `None`: it has none.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (mut serial, mut authority) = (None, None);
        // What comes after both can't spoil them.
        let _rest = yasna::parse_der(certificate, |certificate| {
            read(certificate, &mut serial, &mut authority)
        });
        Some(Self {
            authority: authority?,
            serial: serial?,
        })
    }
}

/// RFC 5280 4.1.
fn read(
    certificate: BERReader<'_, '_>,
    serial: &mut Option<Vec<u8>>,
    authority: &mut Option<Vec<u8>>,
) -> ASN1Result<()> {
    certificate.read_sequence(|certificate| {
        certificate.next().read_sequence(|signed| {
            let version = |version: BERReader<'_, '_>| version.read_u8();
            signed.read_optional(|field| field.read_tagged(Tag::context(0), version))?;
            *serial = Some(contents(signed.next(), TAG_INTEGER)?);
            for _ in ["signature", "issuer", "validity", "subject", "public key"] {
                signed.next().read_der()?;
            }
            signed.next().read_tagged(Tag::context(3), |extensions| {
                extensions.read_sequence_of(|one| extension(one, authority))
            })
        })
    })
}

fn extension(extension: BERReader<'_, '_>, authority: &mut Option<Vec<u8>>) -> ASN1Result<()> {
    extension.read_sequence(|extension| {
        let kind = contents(extension.next(), TAG_OID)?;
        extension.read_optional(|critical| critical.read_bool())?;
        let value = extension.next().read_bytes()?;
        if kind == AUTHORITY {
            // Its other fields are of no interest.
            let _rest = yasna::parse_der(&value, |identifier| {
                identifier.read_sequence(|fields| {
                    *authority = Some(contents(fields.next(), Tag::context(0))?);
                    Ok(())
                })
            });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};
    use rustls::pki_types::CertificateDer;
    use webpki::EndEntityCert;

    use super::*;

    #[test]
    fn a_certificate_is_named_by_its_signer_and_its_number_there() {
        let key = KeyPair::generate().unwrap();
        // The example of RFC 9773 4.1: both fields of its certificate.
        let authority =
            b"\x69\x88\x5b\x6b\x87\x46\x40\x41\xe1\xb3\x7b\x84\x7b\xa0\xae\x2c\xde\x01\xc8\xd4";
        let mut issuer = CertificateParams::default();
        issuer.key_identifier_method = KeyIdMethod::PreSpecified(authority.to_vec());
        let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
        let issuer = Issuer::new(issuer, &key);
        let without = params.signed_by(&key, &issuer).unwrap();
        assert_eq!(Identity::of(without.der()), None);
        params.use_authority_key_identifier_extension = true;
        let with = params.signed_by(&key, &issuer).unwrap();
        let identity = Identity::of(with.der()).unwrap();
        assert_eq!(identity.authority, authority);
        // With the zero that keeps it positive.
        assert_eq!(identity.serial, [0, 0x87, 0x65, 0x43, 0x21]);
        // Broken anywhere that rustls lets pass, nothing worse comes of it than another answer.
        let mut passed = 0;
        for at in 0..with.der().len() {
            for bit in 0..8 {
                let mut broken = with.der().to_vec();
                broken[at] ^= 1 << bit;
                if EndEntityCert::try_from(&CertificateDer::from(&*broken)).is_ok() {
                    let _any = Identity::of(&broken);
                    passed += 1;
                }
            }
        }
        assert!(passed > 100, "{passed}");
    }
}
