//! Whom a certificate is for, besides the DNS names that rustls knows: its subject, and its addresses.
//!
//! Only for certificates whose outer structure rustls has found to be sound: yasna skips what it isn't asked about without minding
//! how long that claims to be.

use std::fmt::Write as _;
use std::net::IpAddr;

use yasna::models::ObjectIdentifier;
use yasna::tags::{
    TAG_BMPSTRING, TAG_IA5STRING, TAG_NUMERICSTRING, TAG_OID, TAG_PRINTABLESTRING, TAG_UTF8STRING,
    TAG_VISIBLESTRING,
};
use yasna::{ASN1Result, BERReader, Tag};

/// What a certificate says.
#[derive(Debug)]
pub(crate) struct Subject {
    /// From the most general to the most specific, as the certificate has them. Hardly ever has one of them more than one attribute.
    relative: Vec<Vec<Attribute>>,
    addresses: Vec<IpAddr>,
}

#[derive(Debug)]
struct Attribute {
    kind: ObjectIdentifier,
    /// `None`: no text.
    text: Option<String>,
    /// As it stands there.
    encoded: Vec<u8>,
}

/// The short names that RFC 4514 3 demands, and of the other registered ones (RFC 4520) those that certificates have.
const KINDS: [(&[u64], &str); 14] = [
    (&[2, 5, 4, 3], COMMON_NAME),
    (&[2, 5, 4, 7], "L"),
    (&[2, 5, 4, 8], "ST"),
    (&[2, 5, 4, 10], "O"),
    (&[2, 5, 4, 11], "OU"),
    (&[2, 5, 4, 6], "C"),
    (&[2, 5, 4, 9], "STREET"),
    (&[0, 9, 2342, 19_200_300, 100, 1, 25], "DC"),
    (&[0, 9, 2342, 19_200_300, 100, 1, 1], "UID"),
    (&[2, 5, 4, 4], "SN"),
    (&[2, 5, 4, 5], "serialNumber"),
    (&[2, 5, 4, 12], "title"),
    (&[2, 5, 4, 42], "GN"),
    (&[1, 2, 840, 113_549, 1, 9, 1], "emailAddress"),
];

const COMMON_NAME: &str = "CN";

/// 2.5.29.17. As it is encoded: others may have larger numbers than yasna takes.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 17];

impl Subject {
    /// `None`: it can't be read.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let mut found = None;
        // What comes after it can't spoil it.
        let _rest = yasna::parse_der(certificate, |certificate| read(certificate, &mut found));
        found
    }

    /// Its distinguished name as RFC 4514 has it, the most specific first. Nothing but printable ASCII: of all else each byte is written
    /// as `\XX`. `None`: it is empty.
    pub(crate) fn distinguished(&self) -> Option<String> {
        let mut name = String::new();
        for relative in self.relative.iter().rev() {
            for (at, attribute) in relative.iter().enumerate() {
                let joint = match (at, name.is_empty()) {
                    (_, true) => "",
                    (0, false) => ",",
                    (_, false) => "+",
                };
                name.push_str(joint);
                attribute.write(&mut name).ok()?;
            }
        }
        (!name.is_empty()).then_some(name)
    }

    /// The most specific one, if it can be shown.
    pub(super) fn common_name(&self) -> Option<&str> {
        let attributes = self.relative.iter().rev().flatten();
        let mut common = attributes.filter(|attribute| attribute.short() == Some(COMMON_NAME));
        let text = common.next()?.text.as_deref()?;
        (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
    }

    /// Its alternative names that are IP addresses.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

impl Attribute {
    fn short(&self) -> Option<&'static str> {
        let known = |kind: &[u64]| kind == self.kind.components().as_slice();
        KINDS
            .iter()
            .find(|(kind, _)| known(kind))
            .map(|(_, short)| *short)
    }

    fn write(&self, name: &mut String) -> std::fmt::Result {
        match (self.short(), &self.text) {
            (Some(short), Some(text)) => {
                write!(name, "{short}=")?;
                escape(text, name)
            }
            // RFC 4514 2.4: what nobody could read back otherwise is shown as it is encoded.
            (short, _) => {
                match short {
                    Some(short) => name.push_str(short),
                    None => write!(name, "{}", self.kind)?,
                }
                name.push_str("=#");
                let mut bytes = self.encoded.iter();
                bytes.try_for_each(|byte| write!(name, "{byte:02X}"))
            }
        }
    }
}

/// RFC 4514 2.4.
fn escape(text: &str, name: &mut String) -> std::fmt::Result {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let special = match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => true,
            b' ' => at == 0 || at + 1 == bytes.len(),
            b'#' => at == 0,
            _ => false,
        };
        match byte {
            b' '..=b'~' if special => write!(name, "\\{}", char::from(byte))?,
            b' '..=b'~' => name.push(char::from(byte)),
            _ => write!(name, "\\{byte:02X}")?,
        }
    }
    Ok(())
}

/// RFC 5280 4.1. Leaves it at what it has come for: the signature is for rustls.
fn read(certificate: BERReader<'_, '_>, found: &mut Option<Subject>) -> ASN1Result<()> {
    certificate.read_sequence(|certificate| {
        certificate.next().read_sequence(|signed| {
            let version = |version: BERReader<'_, '_>| version.read_u8();
            signed.read_optional(|field| field.read_tagged(Tag::context(0), version))?;
            for _ in ["serial number", "signature", "issuer", "validity"] {
                signed.next().read_der()?;
            }
            let relative = signed
                .next()
                .collect_sequence_of(|relative| relative.collect_set_of(attribute))?;
            let Subject { addresses, .. } = found.insert(Subject {
                relative,
                addresses: Vec::new(),
            });
            let _public_key = signed.next().read_der()?;
            signed.next().read_tagged(Tag::context(3), |extensions| {
                extensions.read_sequence_of(|one| extension(one, addresses))
            })
        })
    })
}

fn attribute(attribute: BERReader<'_, '_>) -> ASN1Result<Attribute> {
    attribute.read_sequence(|attribute| {
        let kind = attribute.next().read_oid()?;
        let value = attribute.next();
        let tag = value.lookahead_tag()?;
        let (bytes, encoded) = value.read_with_buffer(|value| contents(value, tag))?;
        Ok(Attribute {
            kind,
            text: text(tag, &bytes),
            encoded: encoded.to_vec(),
        })
    })
}

pub(super) fn contents(value: BERReader<'_, '_>, tag: Tag) -> ASN1Result<Vec<u8>> {
    value.read_tagged_implicit(tag, |value| value.read_bytes())
}

fn text(tag: Tag, bytes: &[u8]) -> Option<String> {
    match tag {
        TAG_UTF8STRING => Some(str::from_utf8(bytes).ok()?.to_owned()),
        TAG_PRINTABLESTRING | TAG_IA5STRING | TAG_NUMERICSTRING | TAG_VISIBLESTRING => {
            let text = bytes.is_ascii().then_some(bytes)?;
            Some(str::from_utf8(text).ok()?.to_owned())
        }
        TAG_BMPSTRING => {
            let (units, []) = bytes.as_chunks() else {
                return None;
            };
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Adds the addresses, if these are the alternative names.
fn extension(extension: BERReader<'_, '_>, addresses: &mut Vec<IpAddr>) -> ASN1Result<()> {
    extension.read_sequence(|extension| {
        let kind = contents(extension.next(), TAG_OID)?;
        extension.read_optional(|critical| critical.read_bool())?;
        let value = extension.next().read_bytes()?;
        if kind == ALTERNATIVE_NAMES {
            // Names of other kinds may be made of parts, which nothing here can read: what has come before them counts.
            let _rest = yasna::parse_der(&value, |names| {
                names.read_sequence_of(|name| {
                    let tag = name.lookahead_tag()?;
                    let bytes = contents(name, tag)?;
                    if tag == Tag::context(7) {
                        addresses.extend(address(&bytes));
                    }
                    Ok(())
                })
            });
        }
        Ok(())
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests;
