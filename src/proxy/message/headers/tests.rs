use super::*;
use crate::fuzz;
use crate::proxy::message::survey::is_claim;

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

fn clean(headers: &mut HeaderMap, trusted: bool, upgrade: bool) {
    let found = Survey::of(headers);
    clean_request(headers, &found, trusted, upgrade);
}

/// Cleans `headers` and adds to them; the request's id is "an-id", and its trace the client's own.
fn clean_and_add(headers: &mut HeaderMap, trusted: bool) {
    static CLIENT: HeaderValue = HeaderValue::from_static("203.0.113.7");
    let found = Survey::of(headers);
    clean_request(headers, &found, trusted, false);
    let add = Additions {
        client: &CLIENT,
        trusted,
        client_ip: ClientIp::Full,
        forwarding: Forwarding::XForwarded,
        scheme: "http",
        version: Version::HTTP_11,
        identity: &Identity::new(Some(HeaderValue::from_static("an-id")), true),
    };
    add_to_request(headers, &found, &add);
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn hop_by_hop_fields_and_those_that_connection_names_are_removed() {
    let mut headers = fields(
        "connection: close, X-Custom\nconnection: keep-alive\nx-custom: 1\nkeep-alive: 5\nproxy-connection: x\n\
         upgrade: websocket\nte: gzip\nhttp2-settings: AAA\nhost: a\naccept: b",
    );
    clean(&mut headers, false, false);
    assert_eq!(names(&headers), ["accept", "host"]);
}

#[test]
fn connection_can_not_take_away_what_frames_or_routes_the_message() {
    let mut headers = fields("connection: host, content-length\nhost: a\ncontent-length: 3");
    clean(&mut headers, false, false);
    assert_eq!(names(&headers), ["content-length", "host"]);
}

#[test]
fn connection_can_not_take_away_what_we_add() {
    let mut headers = fields("connection: x-forwarded-for, via\nhost: a");
    clean_and_add(&mut headers, false);
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
    assert_eq!(headers["via"], "1.1 firedoor");
    assert_eq!(headers["x-request-id"], "an-id");
}

#[test]
fn a_trace_state_without_its_parent_does_not_go_on() {
    let mut headers = fields("tracestate: a=1\nhost: a");
    clean_and_add(&mut headers, false);
    assert!(headers.contains_key("tracestate"));
    let found = Survey::of(&headers);
    let identity = Identity::new(None, false);
    let add = Additions {
        client: &HeaderValue::from_static("203.0.113.7"),
        trusted: false,
        client_ip: ClientIp::Full,
        forwarding: Forwarding::XForwarded,
        scheme: "http",
        version: Version::HTTP_11,
        identity: &identity,
    };
    add_to_request(&mut headers, &found, &add);
    assert!(!headers.contains_key("tracestate"));
    assert_eq!(
        headers.get(TRACEPARENT).and_then(trace_id),
        Some(identity.trace_id())
    );
}

#[test]
fn a_stranger_claims_nothing_about_its_origin() {
    let mut headers = fields(
        "x-forwarded-for: 1.1.1.1\nx-forwarded-proto: https\nx-forwarded-host: evil\nforwarded: for=1.1.1.1\n\
         x-real-ip: 1.1.1.1\nX_Forwarded_For: 1.1.1.1\nfiredoor_zone: x\n\
         X.Forwarded-For: 1.1.1.1\nx!real~ip: 1.1.1.1\nclient.cert: x\nx-client+cert-subject: x\n\
         host: kunde1.example",
    );
    clean_and_add(&mut headers, false);
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-host"], "kunde1.example");
    assert_eq!(
        names(&headers),
        [
            "host",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id"
        ]
    );
}

#[test]
fn a_trusted_proxy_is_believed_and_its_chain_goes_on() {
    let mut headers = fields(
        "x-forwarded-for: 198.51.100.1\nx-forwarded-for: 198.51.100.2\nx-forwarded-proto: https\nvia: 1.0 fred",
    );
    clean_and_add(&mut headers, true);
    assert_eq!(
        headers["x-forwarded-for"],
        "198.51.100.1, 198.51.100.2, 203.0.113.7"
    );
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["via"], "1.0 fred, 1.1 firedoor");
}

#[test]
fn an_upgrade_keeps_its_protocol_and_names_it_in_connection() {
    let mut headers = fields("connection: Upgrade, x-a\nupgrade: websocket\nx-a: 1");
    assert!(wants_upgrade(
        &headers,
        &Survey::of(&headers),
        Version::HTTP_11
    ));
    clean(&mut headers, false, true);
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["connection"], "upgrade");
    assert!(!headers.contains_key("x-a"));
}

#[test]
fn h2c_and_http_1_0_never_upgrade() {
    let h2c = fields("connection: upgrade, http2-settings\nupgrade: h2c");
    assert!(!wants_upgrade(&h2c, &Survey::of(&h2c), Version::HTTP_11));
    let websocket = fields("connection: upgrade\nupgrade: websocket");
    assert!(!wants_upgrade(
        &websocket,
        &Survey::of(&websocket),
        Version::HTTP_10
    ));
}

#[test]
fn trailers_are_asked_for_hop_by_hop() {
    let mut headers = fields("te: gzip, trailers\nhost: a");
    clean(&mut headers, false, false);
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["connection"], "te");
}

#[test]
fn nothing_that_comes_too_late_stays_in_a_trailer_section() {
    let late = "content-length: 5\nTransfer-Encoding: chunked\nhost: a\ncontent-type: b\ncontent-encoding: gzip\ncontent-range: c\n\
        set-cookie: d\ncookie: d\nauthorization: e\nproxy-authorization: e\nif-match: f\nif_none_match: f\nexpect: 100-continue\n\
        cache-control: g\nte: trailers\ntrailer: h\nconnection: x-named\nx-named: 1\nupgrade: i\nwww-authenticate: k";
    let sound = "x-sum: 1\ngrpc-status: 0\ngrpc-message: l\nserver-timing: m\ncontent-digest: n\netag: o\nauthentication-info: p";
    let kept = fields(sound);
    let mut asked = fields(&format!("{late}\n{sound}\nx-forwarded-for: q\nx_own: r"));
    clean_request_trailers(&mut asked, &[HeaderName::from_static("x-own")]);
    assert_eq!(asked, kept);
    let mut answered = fields(&format!("{late}\n{sound}\nx-own: r"));
    clean_response_trailers(&mut answered, &[HeaderName::from_static("x-own")]);
    assert_eq!(answered, kept);
}

#[test]
fn a_204_has_no_length_and_a_426_names_its_protocol() {
    let mut none = fields("content-length: 0\ntransfer-encoding: chunked");
    let found = Survey::of(&none);
    clean_response(&mut none, &found, StatusCode::NO_CONTENT, Version::HTTP_11);
    assert_eq!(names(&none), ["via"]);
    let mut required = fields("upgrade: websocket\nconnection: upgrade");
    let found = Survey::of(&required);
    clean_response(
        &mut required,
        &found,
        StatusCode::UPGRADE_REQUIRED,
        Version::HTTP_11,
    );
    assert_eq!(names(&required), ["connection", "upgrade", "via"]);
}

#[test]
fn only_a_sound_trace_context_is_passed_on() {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(
        trace_id(&HeaderValue::from_static(good)),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    for bad in [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf9-00f067aa0ba902b7-01",
    ] {
        assert_eq!(trace_id(&HeaderValue::from_static(bad)), None, "{bad}");
    }
}

/// What `Connection` names is gone, but for what frames or routes the message; nobody's claims get through; ours is there once.
#[test]
fn mutated_fields_leave_nothing_that_was_named_or_claimed() {
    let words = [
        "connection: ",
        "\n",
        ", ",
        "close",
        "upgrade",
        "te: trailers",
        "x-forwarded-for",
        "forwarded: ",
        "X_Real_IP: ",
        "client-cert: ",
        "x.forwarded!proto: ",
        "via",
        "traceparent: ",
        "host: a",
        "content-length: 1",
        "transfer-encoding: chunked",
        "\u{b}",
    ];
    fuzz::drive("fields", &words, 3000, |input| {
        let mut headers = HeaderMap::new();
        for line in input.split(|byte| *byte == b'\n') {
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(line.len());
            let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name),
                HeaderValue::from_bytes(value.trim_ascii()),
            ) {
                headers.append(name, value);
            }
        }
        let named = named_by_connection(&headers);
        let framing = [
            HOST,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            TE,
            CONNECTION,
            UPGRADE,
        ];
        for trusted in [false, true] {
            let mut cleaned = headers.clone();
            clean(&mut cleaned, trusted, false);
            for name in named.iter().filter(|name| !framing.contains(name)) {
                assert!(!cleaned.contains_key(name), "{name} is left");
            }
            for name in [
                "keep-alive",
                "proxy-connection",
                "upgrade",
                "http2-settings",
                "proxy-authorization",
            ] {
                let hop = Survey::of(&headers).has_hop_by_hop();
                assert!(!(hop && cleaned.contains_key(name)), "{name} is left");
            }
            let claims = cleaned
                .keys()
                .filter(|name| is_claim(name.as_str()) && **name != X_REQUEST_ID)
                .count();
            assert!(trusted || claims == 0, "{cleaned:?}");
            // A second time, there is nothing more to do.
            let mut again = cleaned.clone();
            clean(&mut again, trusted, false);
            assert_eq!(again, cleaned);
            clean_and_add(&mut cleaned, trusted);
            let added = |name: &str| cleaned.get_all(name).iter().count();
            assert_eq!((added("x-request-id"), added("x-forwarded-for")), (1, 1));
        }
        let _id = headers.get(TRACEPARENT).and_then(trace_id);
        let _hops = max_forwards(&headers);
    });
}
