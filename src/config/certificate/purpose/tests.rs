use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, Other, ServerAuth};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use super::*;

fn certificate(purposes: &[ExtendedKeyUsagePurpose]) -> Vec<u8> {
    let mut params = CertificateParams::new(["db.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.extended_key_usages = purposes.to_vec();
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn only_what_is_named_is_permitted_and_all_where_nothing_is() {
    let odd = Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 1, 1]);
    for (purposes, server, client) in [
        (&[][..], true, true),
        (&[ServerAuth], true, false),
        (&[ClientAuth], false, true),
        (&[odd.clone(), ClientAuth, ServerAuth], true, true),
        (&[odd], false, false),
        (&[Any], false, false),
    ] {
        let bytes = certificate(purposes);
        let permitted = [Purpose::Server, Purpose::Client].map(|one| one.is_permitted_by(&bytes));
        assert_eq!(permitted, [server, client], "{purposes:?}");
    }
}

#[test]
fn what_breaks_off_permits_nothing() {
    let bytes = certificate(&[ServerAuth, ClientAuth]);
    for end in 0..bytes.len() {
        assert!(!Purpose::Server.is_permitted_by(&bytes[..end]), "{end}");
    }
}
