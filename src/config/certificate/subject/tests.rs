use proptest::prelude::*;
use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString};
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

use super::*;

fn certificate(subject: &[(DnType, DnValue)], names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    params.subject_alt_names = names;
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn named(subject: &[(DnType, DnValue)]) -> Subject {
    Subject::of(&certificate(subject, Vec::new())).unwrap()
}

fn common(value: &str) -> (DnType, DnValue) {
    (DnType::CommonName, DnValue::Utf8String(value.to_owned()))
}

#[test]
fn the_most_specific_comes_first_and_only_printable_ascii() {
    for (value, expected) in [
        ("alice", "CN=alice"),
        ("Müller", "CN=M\\C3\\BCller"),
        (" #a# ", "CN=\\ #a#\\ "),
        ("#a", "CN=\\#a"),
        (" ", "CN=\\ "),
        ("a, \"b\"+c;<d>\\=", "CN=a\\, \\\"b\\\"\\+c\\;\\<d\\>\\\\="),
        ("a\r\nX-Admin: 1\0\x7f", "CN=a\\0D\\0AX-Admin: 1\\00\\7F"),
    ] {
        let name = named(&[common(value)]).distinguished();
        assert_eq!(name.as_deref(), Some(expected));
    }
    let text = |kind: DnType, value: &str| (kind, DnValue::Utf8String(value.to_owned()));
    let printable = |kind: DnType, value| {
        let value = PrintableString::try_from(value).unwrap();
        (kind, DnValue::PrintableString(value))
    };
    let subject = named(&[
        printable(DnType::CountryName, "DE"),
        text(DnType::OrganizationName, "Old, Ltd."),
        text(DnType::OrganizationalUnitName, ""),
        common("bob"),
        (
            DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]),
            DnValue::Ia5String(Ia5String::try_from("bob@a.example").unwrap()),
        ),
    ]);
    assert_eq!(
        subject.distinguished().unwrap(),
        "emailAddress=bob@a.example,CN=bob,OU=,O=Old\\, Ltd.,C=DE"
    );
    assert_eq!(subject.common_name(), Some("bob"));
}

#[test]
fn what_is_no_text_or_of_no_known_kind_is_shown_as_it_is_encoded() {
    let unknown = DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99, 1]);
    let teletex = TeletexString::try_from("a").unwrap();
    let bmp = BmpString::try_from("ä").unwrap();
    let subject = named(&[
        (unknown, DnValue::Utf8String("ab".to_owned())),
        (DnType::OrganizationName, DnValue::TeletexString(teletex)),
        (DnType::CommonName, DnValue::BmpString(bmp)),
    ]);
    assert_eq!(
        subject.distinguished().unwrap(),
        "CN=\\C3\\A4,O=#140161,1.3.6.1.4.1.99.1=#0C026162"
    );
    assert_eq!(named(&[]).distinguished(), None);
}

#[test]
fn addresses_and_the_common_name_are_found() {
    let addresses = ["192.0.2.1", "2001:db8:0:1::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let mail = SanType::Rfc822Name(Ia5String::try_from("a@a.example").unwrap());
    let names = addresses.map(SanType::IpAddress);
    let names = [vec![mail], names.to_vec()].concat();
    let subject = Subject::of(&certificate(&[common("ä")], names)).unwrap();
    assert_eq!(subject.addresses(), addresses);
    assert_eq!(named(&[common("a\nb")]).common_name(), None);
    assert_eq!(named(&[common("")]).common_name(), None);
    assert_eq!(named(&[]).common_name(), None);
}

proptest! {
    #[test]
    fn nothing_of_a_name_gets_out_of_its_field(value in any::<String>()) {
        let name = named(&[common(&value)]).distinguished().unwrap();
        prop_assert!(name.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}");
    }

    #[test]
    fn no_certificate_that_rustls_takes_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let address = SanType::IpAddress(IpAddr::from([192, 0, 2, 1]));
        let mut bytes = certificate(&[common("a")], vec![address]);
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        let whole = rustls::pki_types::CertificateDer::from(bytes);
        if webpki::EndEntityCert::try_from(&whole).is_ok() {
            let name = Subject::of(&whole).and_then(|subject| subject.distinguished());
            prop_assert!(name.is_none_or(|name| name.is_ascii()));
        }
    }
}
