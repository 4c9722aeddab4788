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
