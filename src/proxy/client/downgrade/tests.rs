use http::{Request, Version};

use super::*;

fn head(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder()
        .version(Version::HTTP_2)
        .method(method)
        .uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn downgraded(mut head: Parts, bodiless: bool) -> Result<Parts, Refusal> {
    downgrade(&mut head, bodiless, || HeaderValue::from_static("the key"))?;
    Ok(head)
}

fn websocket(bodiless: bool, protocol: &'static str) -> Result<Parts, Refusal> {
    let mut head = head("CONNECT", "https://a.example/chat?x=1", &[]);
    let protocol = h2::ext::Protocol::from_static(protocol);
    head.extensions.insert(protocol);
    downgraded(head, bodiless)
}

#[test]
fn the_authority_becomes_the_host_and_the_target_a_path() {
    for (uri, host, target) in [
        ("https://a.example/x?y=1", "a.example", "/x?y=1"),
        ("http://a.example:8080/", "a.example:8080", "/"),
        ("http://[::1]:80/x", "[::1]:80", "/x"),
    ] {
        let head = downgraded(head("GET", uri, &[]), true).unwrap();
        assert_eq!(head.headers[HOST], host);
        assert_eq!(head.uri, *target);
        assert_eq!(head.version, Version::HTTP_2, "the log says what it was");
        assert!(!head.headers.contains_key(TRANSFER_ENCODING));
    }
}

#[test]
fn host_beside_the_authority_says_the_same_or_the_request_is_refused() {
    let with = |hosts: &[&str]| {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        downgraded(head("GET", "http://a.example/", &fields), true).map(|head| head.headers)
    };
    assert_eq!(with(&["A.example"]).unwrap()[HOST], "a.example");
    for hosts in [
        &["b.example"][..],
        &["a.example:80"],
        &["a.example", "b.example"],
        &[""],
    ] {
        assert_eq!(
            with(hosts).err(),
            Some(Refusal::Flawed(Flaw::Host)),
            "{hosts:?}"
        );
    }
    let userinfo = head("GET", "http://u:p@a.example/", &[]);
    assert_eq!(
        downgraded(userinfo, true).err(),
        Some(Refusal::Flawed(Flaw::Host))
    );
}

#[test]
fn a_body_of_unknown_length_is_chunked_and_no_other() {
    let chunked = |fields: &[(&str, &str)], bodiless| {
        let head = downgraded(head("GET", "http://a/", fields), bodiless).unwrap();
        head.headers.contains_key(TRANSFER_ENCODING)
    };
    assert!(chunked(&[], false));
    assert!(!chunked(&[], true));
    assert!(!chunked(&[("content-length", "5")], false));
}

#[test]
fn cookies_become_one_field() {
    let fields = [
        ("cookie", "a=1"),
        ("x", "y"),
        ("cookie", "b=2"),
        ("cookie", "c=3; d=4"),
    ];
    let head = downgraded(head("GET", "http://a/", &fields), true).unwrap();
    let cookies: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn a_websocket_becomes_an_upgrade() {
    let head = websocket(false, "websocket").unwrap();
    assert_eq!(head.method, Method::GET);
    assert_eq!(head.uri, *"/chat?x=1");
    assert_eq!(head.headers[UPGRADE], "websocket");
    assert_eq!(head.headers[SEC_WEBSOCKET_KEY], "the key");
    assert!(!head.headers.contains_key(TRANSFER_ENCODING));
}

#[test]
fn no_other_tunnel_is_dug() {
    assert_eq!(
        websocket(false, "connect-udp").err(),
        Some(Refusal::UnknownProtocol)
    );
    assert_eq!(websocket(true, "websocket").err(), Some(Refusal::BadTarget));
    let plain = head("CONNECT", "a.example:443", &[]);
    assert_eq!(downgraded(plain, false).err(), Some(Refusal::Method));
}

#[test]
fn other_schemes_are_refused() {
    let ftp = head("GET", "ftp://a.example/", &[]);
    assert_eq!(downgraded(ftp, true).err(), Some(Refusal::BadTarget));
}
