use super::*;

fn same(one: &str, other: &str, how: RateKey) -> bool {
    let of = |text: &str| key(text.parse().expect("an address"), how);
    of(one) == of(other)
}

#[test]
fn a_client_is_an_address_or_its_network() {
    use RateKey::{Full, Masked};
    assert!(!same("192.0.2.1", "192.0.2.2", Full));
    assert!(same("192.0.2.1", "192.0.2.2", Masked));
    assert!(!same("192.0.2.1", "192.0.3.1", Masked));
    assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::", Full));
    assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1", Full));
    assert!(same("2001:db8:1:2::1", "2001:db8:1:3::1", Masked));
    assert!(!same("2001:db8:1::1", "2001:db8:2::1", Masked));
    assert!(!same("192.0.2.1", "::", Masked));
}
