use http::Version;
use proptest::prelude::*;

use super::super::{Survey, add_to_request, clean_request, is_https};
use super::*;
use crate::config::{ClientIp, Forwarding};
use crate::fuzz;
use crate::proxy::message::identity::Identity;

fn clients(value: &str) -> Option<Vec<Option<String>>> {
    let elements = elements(value)?;
    let clients = elements.iter().map(|element| element.client);
    Some(clients.map(|ip| ip.map(|ip| ip.to_string())).collect())
}

fn added(
    fields: &[(&'static str, &str)],
    client: &str,
    trusted: bool,
    forwarding: Forwarding,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    let found = Survey::of(&headers);
    clean_request(&mut headers, &found, trusted, false);
    let add = Additions {
        client: &HeaderValue::from_str(client).expect("an address"),
        trusted,
        client_ip: ClientIp::Full,
        forwarding,
        scheme: "http",
        version: Version::HTTP_11,
        identity: &Identity::new(None, false),
    };
    add_to_request(&mut headers, &found, &add);
    headers
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let mut values = headers.get_all(name).iter();
    let (Some(only), None) = (values.next(), values.next()) else {
        panic!("{name}: {headers:?}");
    };
    only.to_str().expect("text")
}

#[test]
fn elements_are_read_as_the_rfc_shows_them() {
    let some = |ip: &str| Some(ip.to_owned());
    for (value, expected) in [
        ("for=\"_gazonk\"", vec![None]),
        (
            "For=\"[2001:db8:cafe::17]:4711\"",
            vec![some("2001:db8:cafe::17")],
        ),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            vec![some("192.0.2.60")],
        ),
        (
            "for=192.0.2.43, for=198.51.100.17",
            vec![some("192.0.2.43"), some("198.51.100.17")],
        ),
        (
            "for=192.0.2.43:47011,for=unknown",
            vec![some("192.0.2.43"), None],
        ),
        (
            "for=\"192.0.2.43:47011\" ; proto=https ,, proto=http",
            vec![some("192.0.2.43"), None],
        ),
        ("for=[2001:db8::1];host=a", vec![some("2001:db8::1")]),
        ("for=\"2001:db8::1\"", vec![some("2001:db8::1")]),
        ("", vec![]),
        (" , ,", vec![]),
    ] {
        assert_eq!(clients(value), Some(expected), "{value:?}");
    }
    for malformed in [
        "for",
        "for=",
        "=a",
        "for=\"192.0.2.1",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1 host=a",
        "for=example.com",
        "for=\"192.0.2.1\"x",
        "for=[2001:db8::1",
        "for=\"a\\",
        "fo r=1",
        "for=\"[192.0.2.1]\"",
    ] {
        assert_eq!(clients(malformed), None, "{malformed:?}");
    }
}

/// Where the libraries fail.
#[test]
fn what_stands_in_quotes_is_no_element() {
    let value = "for=192.0.2.1;host=\"a,for=192.0.2.9;proto=https\";proto=http";
    assert_eq!(clients(value), Some(vec![Some("192.0.2.1".to_owned())]));
    let value = "for=192.0.2.1;host=\"a\\\",for=192.0.2.9\"";
    assert_eq!(clients(value), Some(vec![Some("192.0.2.1".to_owned())]));
}

#[test]
fn an_app_is_told_by_the_fields_that_were_chosen() {
    let host = [("host", "app.example:8080")];
    let headers = added(&host, "192.0.2.7", false, Forwarding::Forwarded);
    assert_eq!(
        only(&headers, "forwarded"),
        "for=192.0.2.7;host=\"app.example:8080\";proto=http;by=_firedoor"
    );
    assert!(
        !headers
            .keys()
            .any(|name| name.as_str().starts_with("x-forwarded"))
    );
    let headers = added(&[("host", "a.b")], "2001:db8::7", false, Forwarding::Both);
    assert_eq!(
        only(&headers, "forwarded"),
        "for=\"[2001:db8::7]\";host=a.b;proto=http;by=_firedoor"
    );
    assert_eq!(only(&headers, "x-forwarded-for"), "2001:db8::7");
    let headers = added(&host, "192.0.2.7", false, Forwarding::XForwarded);
    assert!(!headers.contains_key("forwarded"));
}

#[test]
fn a_stranger_says_nothing_of_others_and_a_trusted_peer_does() {
    let claims = [
        ("host", "a"),
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("forwarded", "for=\"[2001:db8::1]\""),
        ("x-forwarded-for", "192.0.2.99"),
        ("x-forwarded-proto", "https"),
    ];
    let ours = "for=192.0.2.7;host=a;proto=http;by=_firedoor";
    let headers = added(&claims, "192.0.2.7", false, Forwarding::Forwarded);
    assert_eq!(only(&headers, "forwarded"), ours);
    assert!(!is_https(&headers));

    let headers = added(&claims, "192.0.2.7", true, Forwarding::Forwarded);
    let theirs = "for=192.0.2.1;proto=https, for=\"[2001:db8::1]\"";
    assert_eq!(only(&headers, "forwarded"), format!("{theirs}, {ours}"));
    assert!(!headers.contains_key("x-forwarded-for"));
    assert!(is_https(&headers));

    // Its own is followed, which is the field that most proxies write; what it passes on says nothing.
    let headers = added(&claims, "192.0.2.7", true, Forwarding::XForwarded);
    assert_eq!(only(&headers, "x-forwarded-for"), "192.0.2.99, 192.0.2.7");
    assert!(!headers.contains_key("forwarded"));

    let headers = added(&claims, "192.0.2.7", true, Forwarding::Both);
    assert_eq!(only(&headers, "x-forwarded-for"), "192.0.2.99, 192.0.2.7");
    let same = "for=192.0.2.99;proto=https";
    assert_eq!(only(&headers, "forwarded"), format!("{same}, {ours}"));
    let headers = added(&claims[..3], "192.0.2.7", true, Forwarding::Both);
    assert_eq!(only(&headers, "forwarded"), format!("{theirs}, {ours}"));
}

#[test]
fn nobody_writes_another_spelling() {
    let claims = [
        ("host", "a"),
        ("x-forwarded-for", "192.0.2.99"),
        ("x_forwarded_for", "192.0.2.1"),
        ("x.real-ip", "192.0.2.1"),
        ("client_cert", ":AAAA:"),
        ("client-cert", ":BBBB:"),
    ];
    for forwarding in [
        Forwarding::XForwarded,
        Forwarding::Forwarded,
        Forwarding::Both,
    ] {
        let headers = added(&claims, "192.0.2.7", true, forwarding);
        for odd in ["x_forwarded_for", "x.real-ip", "client_cert"] {
            assert!(!headers.contains_key(odd), "{odd}");
        }
        assert_eq!(only(&headers, "client-cert"), ":BBBB:");
    }
}

#[test]
fn a_trusted_peer_can_not_hide_our_element_in_an_open_quote() {
    let claims = [("host", "a"), ("forwarded", "for=192.0.2.1;host=\"b")];
    let headers = added(&claims, "192.0.2.7", true, Forwarding::Forwarded);
    assert_eq!(
        only(&headers, "forwarded"),
        "for=192.0.2.7;host=a;proto=http;by=_firedoor"
    );
}

#[test]
fn a_trusted_peer_that_says_it_in_the_old_fields_is_translated() {
    let claims = [
        ("host", "a"),
        ("x-forwarded-for", "2001:db8::1, 192.0.2.1:99"),
        ("x-forwarded-for", "who?"),
        ("x-forwarded-proto", "https, http"),
        ("x-forwarded-host", "app.example"),
    ];
    let headers = added(&claims, "192.0.2.7", true, Forwarding::Forwarded);
    assert_eq!(
        only(&headers, "forwarded"),
        "for=\"[2001:db8::1]\";host=app.example;proto=https, for=\"192.0.2.1:99\", for=unknown, \
         for=192.0.2.7;host=a;proto=http;by=_firedoor"
    );
    assert!(is_https(&headers));
}

proptest! {
    #[test]
    fn whatever_comes_harms_nobody(value in "[ -~\t]{0,80}") {
        let _read = elements(&value);
        let _address = address(&value);
    }

    #[test]
    fn nearly_right_values_harm_nobody(value in "(for|host|proto|by|;|,|=|\"|\\\\|\\[|\\]|192\\.0\\.2\\.1|::1| |_x){0,30}") {
        let _read = elements(&value);
    }

    /// Whatever a trusted peer says, the last element that the app reads is ours.
    #[test]
    fn the_last_element_is_ours(
        said in proptest::collection::vec("(for|host|proto|;|,|=|\"|\\\\|192\\.0\\.2\\.1|::1| ){0,20}", 0..3),
        listed in "([0-9a-f:.]|,| |\"|;|=){0,40}", proto in "[ -~]{0,12}", client in any::<IpAddr>(),
    ) {
        let mut claims = vec![("host", "a"), ("x-forwarded-for", &*listed), ("x-forwarded-proto", &*proto)];
        claims.extend(said.iter().map(|said| ("forwarded", &**said)));
        let headers = added(&claims, &client.to_string(), true, Forwarding::Forwarded);
        let read = elements(only(&headers, "forwarded"));
        let last = read.as_ref().and_then(|read| read.last()).expect("ours");
        prop_assert_eq!(last.client, Some(client));
        prop_assert_eq!(last.proto.as_deref(), Some("http"));
    }
}

/// A trusted peer's fields, whatever they say: ours is the last element, and the only one where theirs could not be understood.
#[test]
fn mutated_elements_never_hide_ours() {
    let words = [
        "for=",
        "192.0.2.1",
        "\"[2001:db8::1]:443\"",
        ";",
        ",",
        "\"",
        "\\",
        "host=\"a,for=192.0.2.9\"",
        "proto=https",
        "unknown",
        "_x",
        " ",
        "=",
    ];
    fuzz::drive("forwarded", &words, 20_000, |input| {
        let Ok(said) = std::str::from_utf8(input) else {
            return;
        };
        if HeaderValue::from_str(said).is_err() {
            return;
        }
        let claims = [("host", "a"), ("forwarded", said)];
        let headers = added(&claims, "203.0.113.7", true, Forwarding::Forwarded);
        let read = elements(only(&headers, "forwarded")).expect("well-formed");
        let theirs = said.is_ascii().then(|| elements(said)).flatten();
        assert_eq!(read.len(), 1 + theirs.map_or(0, |theirs| theirs.len()));
        let last = read.last().expect("ours");
        assert_eq!(last.client, "203.0.113.7".parse().ok());
    });
}
