use proptest::prelude::*;

use super::*;
use crate::config::MediaRange;

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn wished(accepts: &str) -> Option<&'static str> {
    let headers = fields(&[("accept-encoding", accepts)]);
    wish(&headers, Version::HTTP_11, &Coding::ALL).map(Coding::name)
}

#[test]
fn the_client_chooses_and_the_order_breaks_ties() {
    for (accepts, coding) in [
        ("gzip", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("GZip, deflate", Some("gzip")),
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, br", Some("br")),
        ("gzip;q=1.0, zstd;q=0.9", Some("gzip")),
        ("gzip;q=0.5,br;Q=0.501", Some("br")),
        ("*", Some("zstd")),
        ("*;q=0.1, zstd;q=0", Some("br")),
        ("br;q=0, *;q=0, gzip;q=0.001", Some("gzip")),
        ("gzip ; q=0.3", Some("gzip")),
        ("identity, gzip", Some("gzip")),
        ("identity;q=0.5, gzip;q=1", Some("gzip")),
        ("gzip;q=0.5, identity", None),
        ("identity;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("deflate, compress", None),
        ("", None),
        ("gzipped, brr", None),
        ("gzip;q=1.001", None),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=0.1234", None),
        ("gzip;q=", None),
        ("gzip;level=9", None),
        ("gzip;q=1;x", None),
        (";;,,;q=1", None),
    ] {
        assert_eq!(wished(accepts), coding, "{accepts:?}");
    }
    let several = fields(&[("accept-encoding", "deflate"), ("accept-encoding", "br")]);
    assert_eq!(
        wish(&several, Version::HTTP_11, &Coding::ALL),
        Some(Coding::Brotli)
    );
    assert_eq!(wish(&several, Version::HTTP_11, &[Coding::Gzip]), None);
    assert_eq!(
        wish(&HeaderMap::new(), Version::HTTP_11, &Coding::ALL),
        None
    );
}

#[test]
fn some_requests_get_their_answer_as_it_is() {
    let gzip = ("accept-encoding", "gzip");
    for other in [
        ("range", "bytes=0-5"),
        ("cache-control", "max-age=0, No-Transform"),
    ] {
        assert_eq!(
            wish(&fields(&[gzip, other]), Version::HTTP_11, &Coding::ALL),
            None
        );
    }
    assert_eq!(wish(&fields(&[gzip]), Version::HTTP_10, &Coding::ALL), None);
    assert!(wish(&fields(&[gzip]), Version::HTTP_2, &Coding::ALL).is_some());
}

fn settled(
    status: u16,
    lines: &[(&'static str, &str)],
    wished: Option<Coding>,
) -> (Option<Coding>, HeaderMap) {
    let compression = Compression {
        codings: Coding::ALL.to_vec(),
        types: vec![
            MediaRange::Type("text/".to_owned()),
            MediaRange::Type("application/".to_owned()),
        ],
    };
    let mut headers = fields(lines);
    let mut coding = None;
    let status = StatusCode::from_u16(status).unwrap();
    settle(status, &mut headers, &compression, wished, |wished| {
        coding = Some(wished);
        true
    });
    (coding, headers)
}

#[test]
fn the_fields_follow_the_bytes() {
    let lines = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "5000"),
        ("accept-ranges", "bytes"),
        ("etag", "\"abc\""),
        ("vary", "Cookie"),
    ];
    let (coding, headers) = settled(200, &lines, Some(Coding::Brotli));
    assert_eq!(coding, Some(Coding::Brotli));
    assert_eq!(headers["content-encoding"], "br");
    assert_eq!(headers["etag"], "W/\"abc\"");
    assert!(!headers.contains_key("content-length") && !headers.contains_key("accept-ranges"));
    let vary: Vec<_> = headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Cookie", "Accept-Encoding"]);

    // To whom it goes as it is, it is the same representation as ever, but a cache must know.
    let (coding, headers) = settled(200, &lines, None);
    assert_eq!(coding, None);
    assert_eq!(
        (&headers["etag"], &headers["content-length"]),
        (&"\"abc\"".parse().unwrap(), &"5000".parse().unwrap())
    );
    assert_eq!(headers.get_all("vary").iter().count(), 2);
    for there in ["accept-encoding", "*", "Cookie, Accept-ENCODING"] {
        let (_, headers) = settled(200, &[lines[0], ("vary", there)], Some(Coding::Gzip));
        assert_eq!(headers.get_all("vary").iter().count(), 1, "{there}");
    }
    let (_, headers) = settled(200, &[lines[0], ("etag", "W/\"abc\"")], Some(Coding::Gzip));
    assert_eq!(headers["etag"], "W/\"abc\"");
}

#[test]
fn a_304_has_the_tag_that_the_client_knows() {
    let (coding, headers) = settled(304, &[("etag", "\"abc\"")], Some(Coding::Gzip));
    assert_eq!(
        (coding, &headers["etag"]),
        (None, &"W/\"abc\"".parse().unwrap())
    );
    assert_eq!(headers["vary"], "Accept-Encoding");
    let (_, headers) = settled(304, &[("etag", "\"abc\"")], None);
    assert_eq!(headers["etag"], "\"abc\"");
    assert_eq!(headers["vary"], "Accept-Encoding");
    for line in [
        ("content-type", "image/png"),
        ("cache-control", "no-transform"),
        ("content-encoding", "br"),
    ] {
        let lines = [("etag", "\"abc\""), line];
        let (_, headers) = settled(304, &lines, Some(Coding::Gzip));
        assert_eq!(headers, fields(&lines), "{line:?}");
    }
}

#[test]
fn what_speaks_against_it_leaves_everything_alone() {
    let html = ("content-type", "text/html");
    for (status, lines) in [
        (200, vec![]),
        (200, vec![("content-type", "image/png")]),
        (
            200,
            vec![("content-type", "text/event-stream; charset=utf-8")],
        ),
        (200, vec![("content-type", "application/grpc")]),
        (200, vec![("content-type", "application/gRPC-web+proto")]),
        (200, vec![html, html]),
        (200, vec![html, ("content-encoding", "gzip")]),
        (200, vec![html, ("content-encoding", "identity")]),
        (200, vec![html, ("content-length", "1023")]),
        (200, vec![html, ("cache-control", "public, no-transform")]),
        (200, vec![html, ("content-digest", "sha-256=:AAAA:")]),
        (200, vec![html, ("trailer", "X-Sum, Repr-Digest")]),
        (200, vec![html, ("trailer", "x"), ("trailer", "DIGEST")]),
        (200, vec![html, ("content-range", "bytes 0-5/10")]),
        (204, vec![html]),
        (205, vec![html]),
        (206, vec![html]),
        (101, vec![html]),
    ] {
        let (coding, headers) = settled(status, &lines, Some(Coding::Gzip));
        assert_eq!(coding, None, "{status} {lines:?}");
        assert_eq!(headers, fields(&lines), "{status} {lines:?}");
    }
    for (status, length) in [(200, "1024"), (404, "5000"), (500, "5000")] {
        let (coding, _) = settled(
            status,
            &[html, ("content-length", length)],
            Some(Coding::Gzip),
        );
        assert!(coding.is_some(), "{status}");
    }
}

proptest! {
    #[test]
    fn nothing_that_a_client_may_say_makes_it_panic(accepts in "[ -~]{0,40}", odd in "[gzipbrstd*;=q.,0-9 ]{0,40}") {
        for accepts in [accepts, odd] {
            let found = wished(&accepts);
            // Only what was named, or meant by a star, and for nothing else.
            let lower = accepts.to_ascii_lowercase();
            prop_assert!(found.is_none_or(|coding| lower.contains(coding) || lower.contains('*')));
        }
    }
}
