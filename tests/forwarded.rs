//! `Forwarded` (RFC 7239), where `[upstream] forwarded` asks for it: what reaches the app, and whose word it is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Origin, Proxy, behaviour};

const CLAIMS: &str = "GET /a HTTP/1.1\r\nHost: app.example:8080\r\nForwarded: for=192.0.2.1;proto=https\r\nForwarded: for=\"[2001:db8::1]\"\r\n\
    X-Forwarded-For: 192.0.2.99\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 444\r\n\r\n";
const OURS: &str = "for=127.0.0.1;host=\"app.example:8080\";proto=http;by=_firedoor";

/// What the app gets of `names` when `CLAIMS` are sent.
fn told(forwarded: &str, listener: &str, names: &[&str]) -> Vec<Vec<String>> {
    let origin = Origin::start(behaviour::ok("hello"));
    let proxy = Proxy::builder()
        .listener(listener)
        .toml(&format!("[upstream]\nforwarded = \"{forwarded}\""))
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.client().exchange(CLAIMS).status, 200);
    let seen = origin.saw("/a");
    let texts = |name: &&str| seen.all(name).into_iter().map(str::to_owned).collect();
    names.iter().map(texts).collect()
}

const NAMES: [&str; 4] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
];
const TRUST: &str = "trusted_proxies = [\"127.0.0.1\"]";

#[test]
fn a_stranger_is_never_believed() {
    for (forwarded, standard, old) in [
        ("x-forwarded", None, Some("127.0.0.1")),
        ("forwarded", Some(OURS), None),
        ("both", Some(OURS), Some("127.0.0.1")),
    ] {
        let told = told(forwarded, "", &NAMES);
        let proto = old.map(|_| "http");
        assert_eq!(told[0], Vec::from_iter(standard), "{forwarded}");
        assert_eq!(told[1], Vec::from_iter(old), "{forwarded}");
        assert_eq!(told[2], Vec::from_iter(proto), "{forwarded}");
        assert!(told[3].is_empty(), "{forwarded}");
    }
}

#[test]
fn ours_follows_what_a_trusted_peer_says() {
    let theirs = format!("for=192.0.2.1;proto=https, for=\"[2001:db8::1]\", {OURS}");
    let standard = told("forwarded", TRUST, &NAMES);
    assert_eq!(standard[0], [&*theirs]);
    // They would end before us. What has no place in Forwarded is the app's all the same.
    assert!(standard[1].is_empty() && standard[2].is_empty());
    assert_eq!(standard[3], ["444"]);

    // One client, by both: the field that limits go by, and that a proxy hardly passes on from its clients.
    let all = told("both", TRUST, &NAMES);
    assert_eq!(all[0], [format!("for=192.0.2.99;proto=https, {OURS}")]);
    assert_eq!(all[1], ["192.0.2.99, 127.0.0.1"]);
    assert_eq!(all[2], ["https"]);
}

/// As nginx and HAProxy pass on what they don't write themselves.
#[test]
fn what_a_trusted_peer_s_client_says_in_other_fields_is_not_the_peer_s() {
    let old = told("x-forwarded", TRUST, &NAMES);
    assert!(old[0].is_empty(), "{old:?}");
    assert_eq!(old[1], ["192.0.2.99, 127.0.0.1"]);
    assert_eq!(old[2], ["https"]);
}

/// PHP takes `X.Forwarded-For` for `X-Forwarded-For`, lighttpd's CGI any character that is no letter or digit.
#[test]
fn no_spelling_of_a_claim_gets_through() {
    let origin = Origin::start(behaviour::ok("hello"));
    let odd = "X.Forwarded-For: 6.6.6.6\r\nx!forwarded~proto: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX|Request-Id: 6.6.6.6\r\n\
        Firedoor.Zone: 6.6.6.6\r\n";
    // A proxy that is trusted writes an id, but hardly in a trailer.
    let id = "X-Request-Id: 6.6.6.6\r\n";
    for (listener, target, more) in [("", "/stranger", id), (TRUST, "/trusted", "")] {
        let proxy = Proxy::builder()
            .listener(listener)
            .zone("fz-1", &[&origin])
            .start();
        let answer = proxy.client().exchange(format!(
            "POST {target} HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\nX.Own: 1\r\n{odd}{more}\
             Trailer: X.Sum, X.Forwarded-For, x!forwarded~proto, X_Real_IP, X|Request-Id, Firedoor.Zone, X-Request-Id\r\n\r\n\
             5\r\nhello\r\n0\r\nX.Sum: 1\r\n{odd}{id}\r\n"
        ));
        assert_eq!(answer.status, 200);
        let seen = origin.saw(target);
        assert_eq!(seen.field("x.own"), Some("1"));
        let fields = &seen.head.fields;
        let forged = fields.iter().any(|(_, value)| value == "6.6.6.6");
        assert!(!forged, "{fields:?}");
        let names = seen.trailers.iter().map(|(name, _)| name.to_lowercase());
        assert_eq!(names.collect::<Vec<_>>(), ["x.sum"]);
    }
}

/// `Secure` cookies go by what the app is told.
#[test]
fn a_session_s_cookie_knows_by_it_that_the_client_came_over_tls() {
    let origin = Origin::start(behaviour::ok("hello"));
    let start = |listener: &str| {
        Proxy::builder()
            .listener(listener)
            .toml("[upstream]\nforwarded = \"forwarded\"\n[[pool]]\nname = \"default\"\nsticky = { cookie = \"S\" }")
            .zone("fz-1", &[&origin])
            .start()
    };
    for (listener, secure) in [(TRUST, true), ("", false)] {
        let proxy = start(listener);
        let answer = proxy.client().exchange(CLAIMS);
        let cookie = answer.field("set-cookie").unwrap();
        assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
    }
}

#[test]
fn apps_that_may_not_know_their_clients_are_told_networks() {
    let origin = Origin::start(behaviour::ok("hello"));
    for (listener, chain, standard) in [
        (
            TRUST,
            "192.0.2.0, 127.0.0.0",
            "for=192.0.2.0;proto=https, for=127.0.0.0;host=\"192.0.2.7:8080\";proto=http;by=_firedoor",
        ),
        (
            "",
            "127.0.0.0",
            "for=127.0.0.0;host=\"192.0.2.7:8080\";proto=http;by=_firedoor",
        ),
    ] {
        let proxy = Proxy::builder()
            .listener(listener)
            .toml("[upstream]\nforwarded = \"both\"\nclient_ip = \"masked\"")
            .zone("fz-1", &[&origin])
            .start();
        // A host may be an address, too: it is nobody's, and the app needs it.
        let request = CLAIMS.replace("GET /a", &format!("GET /{}", proxy.address.port()));
        let request = request.replace("app.example", "192.0.2.7");
        assert_eq!(proxy.client().exchange(request).status, 200);
        let seen = origin.saw(&format!("/{}", proxy.address.port()));
        assert_eq!(seen.all("x-forwarded-for"), [chain]);
        assert_eq!(seen.all("x-forwarded-host"), ["192.0.2.7:8080"]);
        assert_eq!(seen.all("forwarded"), [standard]);
    }
}

#[test]
fn no_other_field_tells_such_an_app_more() {
    let origin = Origin::start(behaviour::ok("hello"));
    let fields = "Forwarded: for=192.0.2.77\r\nX-Forwarded-For: 192.0.2.77\r\nX_Forwarded_For: 192.0.2.77\r\nX-Real-IP: 192.0.2.77\r\n\
        X_Real_IP: 192.0.2.77\r\nTrue-Client-IP: 192.0.2.77\r\nCF-Connecting-IP: 192.0.2.77\r\nCf_Connecting_Ip: 192.0.2.77\r\n\
        X-Client-IP: 192.0.2.77\r\nX-Cluster-Client-IP: 192.0.2.77\r\nFastly-Client-IP: 192.0.2.77\r\nX-Own: 192.0.2.77\r\n";
    for forwarded in ["x-forwarded", "forwarded", "both"] {
        for (listener, real) in [(TRUST, Some("192.0.2.0")), ("", None)] {
            let proxy = Proxy::builder()
                .listener(listener)
                .toml(&format!(
                    "[upstream]\nforwarded = \"{forwarded}\"\nclient_ip = \"masked\""
                ))
                .zone("fz-1", &[&origin])
                .start();
            let target = format!("/{}", proxy.address.port());
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(proxy.client().exchange(request).status, 200);
            let seen = origin.saw(&target);
            assert_eq!(seen.field("x-real-ip"), real, "{forwarded}");
            let fields = &seen.head.fields;
            let whole = fields
                .iter()
                .filter(|(_, value)| value.contains("192.0.2.77"));
            let whole: Vec<&str> = whole.map(|(name, _)| &**name).collect();
            // Nobody else can know what an app's own fields are for.
            assert_eq!(whole, ["x-own"], "{forwarded}");
        }
    }
    for (real, network) in [
        ("[2001:db8:aaaa:bbbb::1]:4711", Some("2001:db8:aaaa::")),
        ("192.0.2.77 or so", None),
    ] {
        let proxy = Proxy::builder()
            .listener(TRUST)
            .toml("[upstream]\nclient_ip = \"masked\"")
            .zone("fz-1", &[&origin])
            .start();
        let target = format!("/{}", proxy.address.port());
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Real-IP: {real}\r\n\r\n");
        assert_eq!(proxy.client().exchange(request).status, 200);
        assert_eq!(origin.saw(&target).field("x-real-ip"), network);
    }
}
