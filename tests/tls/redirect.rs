//! From cleartext to TLS, and staying there.

use std::process::Command;

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour;
use crate::support::{Origin, Proxy, RawClient, port};

fn promised(head: &str) -> Vec<&str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let same = lines.filter(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"));
    same.map(|(_, value)| value).collect()
}

#[test]
fn a_cleartext_listener_sends_everybody_to_the_one_with_tls() {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let cleartext = port::free();
    let builder = site.builder().zone("fz-1", &[&origin]);
    let mut proxy = builder.clone().start();
    let redirect = format!(
        "[[listener]]\nbind = \"{cleartext}\"\nredirect = \"https:{}\"",
        proxy.address.port()
    );
    proxy.rewrite_config(builder.toml(&redirect));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);

    let mut client = RawClient::connect(cleartext);
    for (request, path) in [
        (
            "GET /a?b=%20c HTTP/1.1\r\nHost: app.example:80\r\n\r\n",
            "/a?b=%20c",
        ),
        (
            "POST /form HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\na=b",
            "/form",
        ),
        (
            "GET http://app.example/absolute HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "/absolute",
        ),
        // As routes do it: what a URI can't have, and browsers read in ways of their own.
        (
            "GET /\\a|b^{c}\"\u{e4}?q=\\`\u{e4} HTTP/1.1\r\nHost: app.example\r\n\r\n",
            "/%5Ca%7Cb%5E%7Bc%7D%22%C3%A4?q=%5C%60%C3%A4",
        ),
    ] {
        let answer = client.exchange(request);
        assert_eq!(answer.status, 308, "{request}");
        let there = format!("https://app.example:{}{path}", proxy.address.port());
        assert_eq!(answer.field("location"), Some(&*there));
    }
    let nowhere = RawClient::connect(cleartext).exchange("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(nowhere.status, 400);
    assert_eq!(proxy.access_line("/form")["termination"], "LR");
    assert_eq!(origin.count(), 0);

    // And who follows arrives, with method and body.
    let resolve = |port| format!("app.example:{port}:127.0.0.1");
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--location",
            "--data",
            "a=b",
            "--cacert",
        ])
        .arg(site.file("ca.pem"))
        .args(["--resolve", &resolve(cleartext.port())])
        .args(["--resolve", &resolve(proxy.address.port())])
        .arg(format!("http://app.example:{}/form?x=y", cleartext.port()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.starts_with("POST /form?x=y HTTP/1.1") && said.ends_with("a=b"),
        "{said}"
    );
}

#[test]
fn a_route_sends_cleartext_to_the_listener_with_tls_and_lets_the_rest_pass() {
    let origin = Origin::start(behaviour::echo());
    let site = Site::new();
    let (cleartext, behind) = (port::free(), port::free());
    let builder = site.builder().zone("fz-1", &[&origin]);
    let mut proxy = builder.clone().start();
    let tls = proxy.address.port();
    let routes = format!(
        "[[listener]]\nbind = \"{cleartext}\"\n\
         [[listener]]\nbind = \"{behind}\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
         [[route]]\npath = \"/shop\"\npool = \"default\"\nredirect = \"https:{tls}\"\nstrip_prefix = \"/shop\"\n\
         [[route]]\npath = \"/ping\"\nrespond = {{ body = \"pong\" }}\nredirect = \"https\"\n\
         [[route]]\npath = \"/away\"\npool = \"default\"\nredirect = \"https\"\nmaintenance = true\n\
         [[route]]\npool = \"default\""
    );
    proxy.rewrite_config(builder.toml(&routes));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    let ask = |address, target: &str, fields: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: app.example:80\r\n{fields}\r\n");
        RawClient::connect(address).exchange(request)
    };

    // In cleartext: path and query as they came, with nothing stripped.
    for (target, location) in [
        (
            "/shop/a\\?b=%20c",
            format!("https://app.example:{tls}/shop/a%5C?b=%20c"),
        ),
        ("/ping", "https://app.example/ping".to_owned()),
        ("/away", "https://app.example/away".to_owned()),
    ] {
        // Whoever isn't trusted may claim what they like.
        for fields in ["", "X-Forwarded-Proto: https\r\nForwarded: proto=https\r\n"] {
            let answer = ask(cleartext, target, fields);
            assert_eq!(
                (answer.status, answer.field("location")),
                (308, Some(&*location))
            );
        }
    }
    assert_eq!(ask(cleartext, "/other", "").status, 200);
    assert_eq!(origin.count(), 1);
    assert_eq!(proxy.access_line("/ping")["termination"], "LR");

    // Over TLS, here or at a proxy that is trusted.
    let mut client = Client::connect(proxy.address, &site.trust());
    assert!(client.get("/shop/a").body.starts_with("GET /a HTTP/1.1"));
    assert_eq!(client.get("/ping").body, "pong");
    assert_eq!(client.get("/away").status, 503);
    for (fields, status) in [
        ("X-Forwarded-Proto: https\r\n", 200),
        ("X-Forwarded-Proto: HTTPS, http\r\n", 200),
        ("Forwarded: for=192.0.2.1;proto=https\r\n", 200),
        ("X-Forwarded-Proto: http\r\n", 308),
        ("Forwarded: for=192.0.2.1\r\n", 308),
        ("", 308),
    ] {
        assert_eq!(ask(behind, "/shop/a", fields).status, status, "{fields}");
    }
}

#[test]
fn every_response_promises_tls_unless_the_app_does() {
    let origin = Origin::named("a");
    let site = Site::new();
    let builder = Proxy::builder().listener(&site.terms("hsts = \"365d\""));
    let routes = "[[route]]\npath = \"/app\"\npool = \"default\"";
    let proxy = builder.toml(routes).zone("fz-1", &[&origin]).start();
    let mut client = Client::connect(proxy.address, &site.trust());
    for (path, status) in [("/app", 200), ("/nothing", 404)] {
        let response = client.get(path);
        assert_eq!(response.status, status);
        assert_eq!(
            promised(&response.head),
            ["max-age=31536000"],
            "{}",
            response.head
        );
    }
    let own = "Strict-Transport-Security: max-age=1; includeSubDomains";
    origin.behave(behaviour::answer(200, &[own], "own"));
    let response = client.get("/app");
    assert_eq!(promised(&response.head), ["max-age=1; includeSubDomains"]);
}

#[test]
fn a_route_promises_for_itself() {
    let origin = Origin::named("a");
    let site = Site::new();
    let builder = Proxy::builder().listener(&site.terms("hsts = \"365d\""));
    let routes = "[[route]]\npath = \"/new\"\npool = \"default\"\nhsts = \"1d\"\n[[route]]\npool = \"default\"";
    let proxy = builder.toml(routes).zone("fz-1", &[&origin]).start();
    let mut client = Client::connect(proxy.address, &site.trust());
    for (path, promise) in [("/new", "max-age=86400"), ("/", "max-age=31536000")] {
        assert_eq!(promised(&client.get(path).head), [promise], "{path}");
    }
    // Browsers may not believe it in cleartext, but may where TLS ends at a proxy that is trusted.
    for (trusted, promise) in [
        ("", None),
        ("trusted_proxies = [\"127.0.0.0/8\"]", Some("max-age=86400")),
    ] {
        let builder = Proxy::builder().listener(trusted).toml(routes);
        let proxy = builder.zone("fz-1", &[&origin]).start();
        let ask = |fields: &str| {
            let request = format!("GET /new HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n");
            RawClient::connect(proxy.address).exchange(request)
        };
        let over_tls = ask("X-Forwarded-Proto: https\r\n");
        assert_eq!(over_tls.field("strict-transport-security"), promise);
        assert_eq!(ask("").field("strict-transport-security"), None);
    }
}

#[test]
fn nobody_promises_what_was_not_asked_for() {
    let origin = Origin::named("a");
    let site = Site::new();
    let proxy = site.proxy(&origin);
    let response = Client::connect(proxy.address, &site.trust()).get("/");
    assert_eq!(promised(&response.head), [""; 0]);
}
