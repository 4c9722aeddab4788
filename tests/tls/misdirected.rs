//! 421: a connection that was made to one site is good for the names of its certificate, and for no other site.

use std::process::Command;

use crate::client::Client;
use crate::site::Site;
use crate::support::behaviour;
use crate::support::{Origin, Proxy};

/// `app` for app.example, `shops` for *.shop.example and shop.example, `other` for other.example.
fn sites(names: &[&str]) -> (Origin, Site, Proxy) {
    let origin = Origin::start(behaviour::ok("served"));
    let site = Site::new();
    site.sign("shops", &["*.shop.example", "shop.example"]);
    site.sign("other", &["other.example"]);
    let builder = Proxy::builder().listener(&site.several(names));
    let proxy = builder.zone("fz-1", &[&origin]).start();
    (origin, site, proxy)
}

#[track_caller]
fn status(proxy: &Proxy, site: &Site, name: &str, host: &str) -> u16 {
    let mut client = Client::try_connect(proxy.address, &site.trust(), name).unwrap();
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response().status
}

#[test]
fn a_host_of_another_site_is_misdirected_and_one_of_the_same_is_not() {
    let (origin, site, proxy) = sites(&["app", "shops", "other"]);
    for (name, host, expected) in [
        ("app.example", "app.example", 200),
        ("app.example", "APP.example:8443", 200),
        ("app.example", "app.example.", 200),
        ("app.example", "other.example", 421),
        ("app.example", "a.shop.example", 421),
        ("a.shop.example", "a.shop.example", 200),
        ("a.shop.example", "b.shop.example", 200),
        ("a.shop.example", "shop.example:443", 200),
        ("a.shop.example", "a.b.shop.example", 421),
        ("a.shop.example", "app.example", 421),
        ("other.example", "shop.example", 421),
        // What none is for is the first one's.
        ("app.example", "10.1.0.1", 200),
        ("app.example", "unknown.example", 200),
        ("other.example", "unknown.example", 421),
    ] {
        assert_eq!(
            status(&proxy, &site, name, host),
            expected,
            "{name}: {host}"
        );
    }
    assert!(origin.count() > 0);
    let line = proxy.access_line("/");
    assert_eq!(line["scheme"], "https");
}

#[test]
fn each_request_of_a_connection_is_looked_at() {
    let (_origin, site, proxy) = sites(&["app", "shops", "other"]);
    let mut client = Client::try_connect(proxy.address, &site.trust(), "a.shop.example").unwrap();
    for (host, expected) in [
        ("a.shop.example", 200),
        ("other.example", 421),
        ("b.shop.example", 200),
        ("b.shop.example", 200),
        ("app.example", 421),
        ("a.shop.example", 200),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, expected, "{host}");
    }
}

#[test]
fn with_one_certificate_there_is_one_site() {
    let (_origin, site, proxy) = sites(&["app"]);
    assert_eq!(
        status(&proxy, &site, "app.example", "whatever.example"),
        200
    );
}

#[test]
fn http_2_gets_421_as_well() {
    let (_origin, site, proxy) = sites(&["app", "other"]);
    let port = proxy.address.port();
    let curl = |authority: &str| {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--http2",
                "--output",
                "/dev/null",
            ])
            .args(["--write-out", "%{http_version} %{http_code}", "--cacert"])
            .arg(site.file("ca.pem"))
            .args(["--resolve", &format!("app.example:{port}:127.0.0.1")])
            .args(["--header", &format!("Host: {authority}")])
            .arg(format!("https://app.example:{port}/"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(curl("app.example"), "2 200");
    assert_eq!(curl("other.example"), "2 421");
}
