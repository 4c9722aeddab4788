use http::header::{HeaderName, HeaderValue};

use super::*;

fn fields(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("name: value");
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).expect("name"),
            HeaderValue::from_str(value).expect("value"),
        );
    }
    headers
}

#[test]
fn ambiguous_framing_is_a_flaw() {
    let flaw_of = |text: &str| {
        let headers = fields(text);
        flaw(&headers, &Survey::of(&headers), Version::HTTP_11)
    };
    assert_eq!(flaw_of("accept: x"), Some(Flaw::Host));
    assert_eq!(flaw_of("host: a\nhost: a"), Some(Flaw::Host));
    assert_eq!(flaw_of("host: a, b"), Some(Flaw::Host));
    assert_eq!(
        flaw_of("host: a\ntransfer-encoding: chunked\ntransfer-encoding: chunked"),
        Some(Flaw::TransferEncoding)
    );
    assert_eq!(
        flaw_of("host: a\ntransfer-encoding: chunked, gzip"),
        Some(Flaw::TransferEncoding)
    );
    assert_eq!(
        flaw_of("host: a\ntransfer-encoding: gzip, chunked"),
        Some(Flaw::UnknownCoding)
    );
    assert_eq!(
        flaw_of("host: a\ncontent-length: 1\ncontent-length: 1"),
        Some(Flaw::ContentLength)
    );
    assert_eq!(flaw_of("host: a\ntransfer-encoding: Chunked"), None);
}

#[test]
fn hosts_are_told_from_what_only_looks_like_one() {
    for good in [
        "a",
        "kunde1.example",
        "kunde1.example:8080",
        "a:",
        "[::1]",
        "[2001:db8::1]:443",
        "127.0.0.1:1",
        "a_b.example",
        "%41.example",
        "a:65535",
    ] {
        assert!(is_host(good.as_bytes()), "{good}");
    }
    for bad in [
        "",
        ":80",
        "a b",
        "a,b",
        "a/b",
        "u@a",
        "a:b",
        "a:123456",
        "a:70000",
        "a:99999999999",
        "a:+8",
        "[::1",
        "[x]",
        "[::1]x",
        "a%4",
        "a%%41",
        "a%4g",
        "a\\b",
        "a?b",
        "a#b",
    ] {
        assert!(!is_host(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn a_claim_is_one_in_every_spelling() {
    // RFC 9110 5.6.2: what a name may have besides letters and digits.
    for other in "!#$%&'*+-.^_`|~".chars() {
        let spelled = |name: &str| name.replacen('-', &other.to_string(), 1);
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-real-ip",
            "x-request-id",
            "firedoor-zone",
        ] {
            let name = spelled(name);
            assert!(is_claim(&name) && !is_certificate(&name), "{name}");
            let name = name.replace('-', &other.to_string());
            assert!(is_claim(&name) && !is_certificate(&name), "{name}");
        }
        for name in [
            "client-cert",
            "client-cert-chain",
            "x-client-cert-subject",
            "x-client-cert-sha256",
        ] {
            let name = spelled(name);
            assert!(is_claim(&name) && is_certificate(&name), "{name}");
            let name = name.replace('-', &other.to_string());
            assert!(is_claim(&name) && is_certificate(&name), "{name}");
        }
        for name in [
            "x-forwardedfor",
            "xx-forwarded-for",
            "x-real-ips",
            "x-request-ids",
            "x-request",
            "x-frame-options",
            "clientxcert",
            "client-certs",
            "clear-site-data",
            "from",
        ] {
            let name = spelled(name);
            assert!(!is_claim(&name) && !is_certificate(&name), "{name}");
        }
    }
    assert!(is_claim("forwarded"));
}

proptest::proptest! {
    /// What apps make of a name decides, and nothing else.
    #[test]
    fn spelling_never_decides_what_is_a_claim(
        name in "(x|client|forwarded|[a-z])[!#$%&'*+.^_`|~-](forwarded|real|request|client|cert|[a-z]{0,3})[!#$%&'*+.^_`|~-](for|ip|id|cert|chain|[a-z]{0,3})",
    ) {
        let dashed = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        proptest::prop_assert_eq!(is_claim(&name), is_claim(&dashed));
        proptest::prop_assert_eq!(is_certificate(&name), is_certificate(&dashed));
    }
}
