//! Redirects, responses that are always the same, and maintenance.

use crate::support::{Origin, Proxy, behaviour};

fn asking(proxy: &Proxy, request: &str) -> crate::support::Response {
    proxy.client().exchange(request)
}

#[test]
fn a_redirect_is_filled_in_and_keeps_its_status() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\nhost = \"*.old.example\"\nredirect = { to = \"https://www.{host}:8443/from{path}{query}\", status = 301 }\n\
             [[route]]\npath = \"/moved\"\nstrip_prefix = \"/moved\"\nredirect = { to = \"https://new.example{path}\" }\n\
             [[route]]\npath = \"/here\"\nredirect = { to = \"/there\", status = 302 }\n\
             [[route]]\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    for (target, host, status, location) in [
        (
            "/a%20b?c=d",
            "shop.OLD.example:80",
            301,
            "https://www.shop.old.example:8443/from/a%20b?c=d",
        ),
        (
            "/\"{}\"?a=\\",
            "shop.old.example",
            301,
            "https://www.shop.old.example:8443/from/%22%7B%7D%22?a=%5C",
        ),
        ("/moved/x?y=z", "app.example", 308, "https://new.example/x"),
        (
            "/a/../moved//evil.example",
            "app.example",
            308,
            "https://new.example/evil.example",
        ),
        ("/moved", "app.example", 308, "https://new.example/"),
        ("/here/or/elsewhere", "app.example", 302, "/there"),
        ("/other", "app.example", 200, ""),
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = asking(
                &proxy,
                &format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
            );
            assert_eq!(answer.status, status, "{method} {target}");
            let expected = (!location.is_empty()).then_some(location);
            assert_eq!(answer.field("location"), expected, "{method} {target}");
            assert_eq!(
                answer.body.is_empty(),
                method == "HEAD",
                "{method} {target}"
            );
        }
    }
    assert!(origin.seen().iter().all(|seen| seen.target == "/other"));
    assert_eq!(proxy.access_line("/moved")["termination"], "LR");
}

#[test]
fn a_response_may_always_be_the_same() {
    let origin = Origin::named("hello");
    let proxy = Proxy::builder()
        .toml(
            "[[route]]\npath = \"/livez\"\nrespond = { body = \"ok\" }\n\
             [[route]]\npath = \"/robots.txt\"\nrespond = { status = 404, body = '{\"no\":1}', content_type = \"application/json\" }\n\
             [[route]]\npath = \"/none\"\nrespond = { status = 204 }\n\
             [[route]]\npool = \"default\"",
        )
        .zone("fz-1", &[&origin])
        .start();
    let mut client = proxy.client();
    for (path, status, kind, body) in [
        ("/livez", 200, Some("text/plain; charset=utf-8"), "ok"),
        ("/robots.txt", 404, Some("application/json"), "{\"no\":1}"),
        ("/none", 204, None, ""),
        ("/livez/x", 200, Some("text/plain; charset=utf-8"), "ok"),
        ("/livezz", 200, None, "hello"),
    ] {
        // One connection for all of them: what is wrong with a length shows in the next answer.
        for (method, wish) in [
            ("GET", "*/*"),
            ("POST", "application/json"),
            ("HEAD", "*/*"),
        ] {
            let answer = client.exchange(format!(
                "{method} {path} HTTP/1.1\r\nHost: app.example\r\nAccept: {wish}\r\nContent-Length: 0\r\n\r\n"
            ));
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.field("content-type"), kind, "{method} {path}");
            let expected = if method == "HEAD" { "" } else { body };
            assert_eq!(answer.text(), expected, "{method} {path}");
            if method == "HEAD" && !body.is_empty() {
                assert_eq!(
                    answer.field("content-length"),
                    Some(&*body.len().to_string())
                );
            }
        }
    }
    assert!(origin.seen().iter().all(|seen| seen.target == "/livezz"));
}

#[test]
fn maintenance_keeps_everybody_out_and_says_for_how_long() {
    let pages = tempfile::tempdir().unwrap();
    let page = pages.path().join("back-soon.html");
    std::fs::write(&page, "<h1>Back soon</h1>").unwrap();
    let origin = Origin::start(behaviour::ok("hello"));
    let text = |maintenance: &str| {
        format!(
            "[[route]]\npath = \"/shop\"\npool = \"default\"\nmaintenance = {maintenance}\n[[route]]\npool = \"default\""
        )
    };
    let with = |maintenance: &str| {
        Proxy::builder()
            .toml(&text(maintenance))
            .zone("fz-1", &[&origin])
    };
    let mut proxy = with("false").start();
    let ask = |proxy: &Proxy, accept: &str| {
        asking(
            proxy,
            &format!("GET /shop/cart HTTP/1.1\r\nHost: app.example\r\nAccept: {accept}\r\n\r\n"),
        )
    };
    assert_eq!(ask(&proxy, "*/*").text(), "hello");

    proxy.rewrite_config(with("true"));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    let answer = ask(&proxy, "*/*");
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (503, Some("60"))
    );
    assert!(answer.text().contains("worked on"), "{}", answer.text());

    let table = format!("{{ page = \"{}\", retry_after = \"10m\" }}", page.display());
    proxy.rewrite_config(with(&table));
    assert_eq!(proxy.admin_post("/v1/reload", "").status, 200);
    let answer = ask(&proxy, "text/html");
    assert_eq!(
        (answer.status, answer.field("retry-after")),
        (503, Some("600"))
    );
    assert_eq!(
        answer.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.text(), "<h1>Back soon</h1>");
    let answer = ask(&proxy, "application/json");
    assert_eq!(answer.json()["status"], 503);
    assert_eq!(proxy.get("/").text(), "hello");
    assert_eq!(origin.count(), 2);
}
