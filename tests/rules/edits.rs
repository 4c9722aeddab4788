//! Header fields and path prefixes, changed on the way.

use crate::support::behaviour;
use crate::support::{Origin, Proxy};

#[test]
fn the_prefix_is_changed_and_nothing_else() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npath = \"/api/v1\"\npool = \"default\"\nstrip_prefix = \"/api\"\n\
             [[route]]\npath = \"/old\"\npool = \"default\"\nreplace_prefix = { from = \"/old\", to = \"/new/house\" }\n\
             [[route]]\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    let before = [
        ("/api/v1", "/v1"),
        ("/api/v1/?x=/api", "/v1/?x=/api"),
        ("/api/v1/a%2Fb%20c?%2e", "/v1/a%2Fb%20c?%2e"),
        ("//api/./v1/%2e%2e/v1/x", "/v1/x"),
        ("http://app.example/api/v1/y", "/v1/y"),
        ("/old", "/new/house"),
        ("/old/?q", "/new/house/?q"),
        ("/%6fld/x", "/new/house/x"),
        ("/older/x", "/older/x"),
        ("/api/v2/../x", "/api/v2/../x"),
        ("/", "/"),
    ];
    for (target, _) in before {
        let answer = client.exchange(format!(
            "GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n"
        ));
        assert_eq!(answer.status, 200, "{target}");
    }
    let seen: Vec<String> = origin.seen().into_iter().map(|seen| seen.target).collect();
    let expected: Vec<&str> = before.iter().map(|(_, target)| *target).collect();
    assert_eq!(seen, expected);
    // The log says what was asked for.
    proxy.access_line("/api/v1/");
}

const EDITS: &str = "[[route]]\npath = \"/edited\"\npool = \"default\"\n\
    request_headers = { remove = [\"x-debug\", \"Cookie\"], set = { X-Env = \"prod\", Accept-Encoding = \"identity\" }, add = { X-Via-Door = [\"1\", \"2\"] } }\n\
    response_headers = { remove = [\"Server\", \"X-Powered-By\"], set = { X-Frame-Options = \"DENY\" }, add = { Link = \"</style.css>; rel=preload\" } }\n\
    [[route]]\npool = \"default\"";

#[test]
fn fields_go_come_instead_and_come_besides() {
    let origin = Origin::start(behaviour::answer(
        200,
        &[
            "Server: old/1",
            "X-Powered-By: a",
            "X-Powered-By: b",
            "X-Frame-Options: SAMEORIGIN",
            "Link: <a>",
            "X-Kept: 1",
        ],
        "hello",
    ));
    let proxy = Proxy::builder()
        .toml(EDITS)
        .zone("fz-1", &[&origin])
        .start();
    let fields = "X-Debug: 1\r\nX-Debug: 2\r\nCookie: a=b\r\nX-Env: mine\r\nX-Env: too\r\nAccept-Encoding: gzip\r\nX-Via-Door: 0\r\nX-Kept: 1\r\n";
    let ask = |path: &str| {
        proxy.client().exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n"
        ))
    };
    let answer = ask("/edited/x");
    assert_eq!(answer.field("server"), None);
    assert_eq!(answer.field("x-powered-by"), None);
    assert_eq!(answer.field("x-frame-options"), Some("DENY"));
    assert_eq!(answer.all("link"), ["<a>", "</style.css>; rel=preload"]);
    assert_eq!(answer.field("x-kept"), Some("1"));
    let seen = origin.saw("/edited/x");
    assert_eq!(seen.field("x-debug"), None);
    assert_eq!(seen.field("cookie"), None);
    assert_eq!(seen.field("x-env"), Some("prod"));
    assert_eq!(seen.field("accept-encoding"), Some("identity"));
    assert_eq!(seen.all("x-via-door"), ["0", "1", "2"]);
    assert_eq!(seen.field("x-kept"), Some("1"));

    let answer = ask("/other");
    assert_eq!(answer.field("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(answer.field("server"), Some("old/1"));
    assert_eq!(origin.saw("/other").all("x-debug"), ["1", "2"]);
}

/// Once for each attempt would be twice in the second one.
#[test]
fn what_is_added_is_there_once_also_after_a_retry() {
    let [first, second] = super::overrides::failing_once(behaviour::reset());
    let proxy = Proxy::builder()
        .toml(EDITS)
        .check(super::overrides::RARELY)
        .zone("fz-1", &[&first, &second])
        .start();
    proxy.until_all_up();
    assert_eq!(proxy.get("/edited").status, 200);
    let seen: Vec<_> = [&first, &second]
        .into_iter()
        .flat_map(Origin::seen)
        .collect();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.all("x-via-door"), ["1", "2"]);
    }
}

#[test]
fn what_was_removed_does_not_come_back_as_a_trailer() {
    let origin = Origin::start(behaviour::chunked(
        &[b"hello"],
        &["Server: old/1", "X-Sum: 1"],
    ));
    let proxy = Proxy::builder()
        .toml(EDITS)
        .zone("fz-1", &[&origin])
        .start();
    let answer = proxy.client().exchange(
        "POST /edited HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Env, X-Other\r\n\r\n5\r\nhello\r\n0\r\nX-Env: mine\r\nX-Other: 1\r\n\r\n",
    );
    let names = |trailers: &[(String, String)]| -> Vec<String> {
        trailers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    };
    assert_eq!(names(&answer.trailers), ["x-sum"]);
    assert_eq!(names(&origin.saw("/edited").trailers), ["x-other"]);
}

/// WSGI and CGI apps know `X-Debug` and `X_Debug` by one name, PHP `X.Debug` too.
#[test]
fn no_other_spelling_of_what_was_removed_or_set_is_left() {
    let origin = Origin::start(behaviour::answer(200, &["X_Frame_Options: 1"], "hello"));
    let proxy = Proxy::builder()
        .toml(EDITS)
        .zone("fz-1", &[&origin])
        .start();
    let odd = "X_Debug: 1\r\nx.debug: 2\r\nX!Env: mine\r\nX_ENV: too\r\nAccept_Encoding: gzip\r\nX_Via_Door: 0\r\nX_Debugs: 1\r\n";
    let ask = |path: &str| {
        proxy.client().exchange(format!(
            "POST {path} HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n{odd}Trailer: X_Env, X.Debug, X_Other\r\n\r\n\
             5\r\nhello\r\n0\r\nX_Env: mine\r\nX.Debug: 1\r\nX_Other: 1\r\n\r\n"
        ))
    };
    let answer = ask("/edited");
    // Clients know fields by their names.
    assert_eq!(answer.field("x_frame_options"), Some("1"));
    let seen = origin.saw("/edited");
    for name in ["x_debug", "x.debug", "x!env", "x_env", "accept_encoding"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
    assert_eq!(seen.field("x-env"), Some("prod"));
    assert_eq!(seen.all("x-via-door"), ["1", "2"]);
    // What is only added to is left alone, and so is what only begins alike.
    assert_eq!(seen.field("x_via_door"), Some("0"));
    assert_eq!(seen.field("x_debugs"), Some("1"));
    let names = seen.trailers.iter().map(|(name, _)| name.to_lowercase());
    assert_eq!(names.collect::<Vec<_>>(), ["x_other"]);

    ask("/other");
    assert_eq!(origin.saw("/other").field("x_debug"), Some("1"));
}

/// RFC 9110 6.6.1: a response has one. So `firedoor check` warns of who takes it away.
#[test]
fn a_date_that_is_taken_away_comes_back_as_our_own() {
    let old = "Date: Mon, 01 Jan 2001 00:00:00 GMT";
    let origin = Origin::start(behaviour::answer(200, &[old], "hello"));
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npath = \"/removed\"\npool = \"default\"\nresponse_headers = { remove = [\"Date\"] }\n\
             [[route]]\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    assert_eq!(proxy.get("/").field("date"), old.strip_prefix("Date: "));
    let answer = proxy.get("/removed");
    let date = answer.field("date").unwrap();
    assert!(date.ends_with(" GMT") && !old.contains(date), "{date}");
}

#[test]
fn our_own_answers_have_the_routes_fields_too() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npath = \"/small\"\npool = \"default\"\nmax_body_size = \"1B\"\nresponse_headers = { set = { X-Frame-Options = \"DENY\" } }\n\
             [[route]]\npath = \"/livez\"\nrespond = { body = \"ok\" }\nresponse_headers = { set = { Access-Control-Allow-Origin = \"*\" } }",
        )
        .zone("fz-1", &[&origin])
        .start();
    let answer = proxy
        .client()
        .exchange("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(
        (answer.status, answer.field("x-frame-options")),
        (413, Some("DENY"))
    );
    let answer = proxy.get("/livez");
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
}
