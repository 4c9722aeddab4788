use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::parse::Environment;
use crate::fuzz;

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

/// A table of `(host, path)` routes; each leads to a pool of its own, in order.
fn table(routes: &[(&str, &str)]) -> RouteTable {
    let mut text = String::from("listener = [{ bind = \"127.0.0.1:8080\" }]\n");
    let mut backends = String::new();
    for (index, (host, path)) in routes.iter().enumerate() {
        text += &format!("[[route]]\npath = \"{path}\"\npool = \"p{index}\"\n");
        if !host.is_empty() {
            text += &format!("host = \"{host}\"\n");
        }
        backends += &format!(
            "{{ address = \"127.0.0.1:{}\", pool = \"p{index}\" }},",
            9000 + index
        );
    }
    if routes.is_empty() {
        backends +=
            "{ address = \"127.0.0.1:9000\", pool = \"other\" }, { address = \"127.0.0.1:9001\" }";
    }
    text += &format!("[[zone]]\nname = \"fz-1\"\nbackend = [{backends}]\n");
    let config = Config::parse(&text, Path::new("firedoor.toml"), &Nothing)
        .unwrap_or_else(|error| panic!("{error}"));
    RouteTable::new(&config)
}

/// To pool `pool`, by a route that names no priority.
fn to(pool: usize) -> Lookup {
    Lookup::To(Goal {
        pool,
        priority: Route::DEFAULT_PRIORITY,
        rated: None,
        policy: None,
    })
}

/// Where `path` leads when the routes are `/` (0), `/admin` (1), `/admin/users` (2).
fn led(path: &str) -> Lookup {
    table(&[("", "/"), ("", "/admin"), ("", "/admin/users")]).lookup("any.example", path)
}

#[test]
fn without_routes_everything_goes_to_the_default_pool() {
    let table = table(&[]);
    assert_eq!(table.lookup("any.example", "/"), to(1));
    assert_eq!(table.lookup("", "/../%zz"), to(1));
}

#[test]
fn the_most_specific_host_wins_whatever_the_order() {
    let table = table(&[
        ("", "/"),
        ("*.example", "/"),
        ("*.kunden.example", "/"),
        ("eins.kunden.example", "/"),
    ]);
    assert_eq!(table.lookup("eins.kunden.example", "/"), to(3));
    assert_eq!(table.lookup("zwei.kunden.example", "/"), to(2));
    assert_eq!(table.lookup("a.eins.kunden.example", "/"), to(2));
    assert_eq!(table.lookup("kunden.example", "/"), to(1));
    assert_eq!(table.lookup("example", "/"), to(0));
    assert_eq!(table.lookup("badexample", "/"), to(0));
    assert_eq!(table.lookup("", "/"), to(0));
}

#[test]
fn hosts_match_without_port_case_and_final_dot() {
    let table = table(&[
        ("kunde1.example", "/"),
        ("[2001:db8::1]", "/"),
        ("10.0.0.1", "/"),
    ]);
    for host in [
        "kunde1.example",
        "KUNDE1.Example",
        "kunde1.example:8443",
        "Kunde1.example.",
        "kunde1.example.:80",
        "kunde1.example:",
    ] {
        assert_eq!(table.lookup(host, "/"), to(0), "{host}");
    }
    for host in ["[2001:db8::1]", "[2001:DB8::1]:8443"] {
        assert_eq!(table.lookup(host, "/"), to(1), "{host}");
    }
    assert_eq!(table.lookup("10.0.0.1:80", "/"), to(2));
}

#[test]
fn an_unknown_host_and_an_unknown_path_are_told_apart() {
    let table = table(&[("kunde1.example", "/api"), ("*.example", "/shop")]);
    assert_eq!(table.lookup("kunde1.example", "/api/x"), to(0));
    assert_eq!(
        table.lookup("kunde1.example", "/shop"),
        to(1),
        "the next host's turn"
    );
    assert_eq!(table.lookup("kunde1.example", "/"), Lookup::NoPath);
    assert_eq!(table.lookup("kunde2.example", "/api"), Lookup::NoPath);
    assert_eq!(table.lookup("kunde1.invalid", "/api"), Lookup::UnknownHost);
    assert_eq!(table.lookup("", "/api"), Lookup::UnknownHost);
}

#[test]
fn a_host_longer_than_any_name_is_unknown() {
    let table = table(&[("*.example", "/")]);
    let host = format!("{}example", "a.".repeat(10_000));
    assert_eq!(table.lookup(&host, "/"), Lookup::UnknownHost);
}

#[test]
fn the_longest_path_wins_on_segment_borders() {
    assert_eq!(led("/"), to(0));
    assert_eq!(led("/admin"), to(1));
    assert_eq!(led("/admin/"), to(1));
    assert_eq!(led("/admin/user"), to(1));
    assert_eq!(led("/admin/users"), to(2));
    assert_eq!(led("/admin/users/7"), to(2));
    assert_eq!(led("/administrator"), to(0));
    assert_eq!(led("/Admin"), to(0));
    assert_eq!(led("*"), to(0));
}

#[test]
fn every_way_to_write_a_path_leads_to_the_same_pool() {
    for path in [
        "/admin",
        "//admin",
        "/./admin",
        "/a/../admin",
        "/%61dmin",
        "/%61%64%6D%69%6e",
        "/%2e/admin",
        "/a/%2E%2e/admin",
        "/a/b/../../admin",
        "/a//../admin",
        "/admin/.",
        "/admin/x/..",
        "///admin///",
        "/admin/%2e%2e/admin",
    ] {
        assert_eq!(led(path), to(1), "{path}");
    }
    for path in [
        "/admin/..",
        "/admin/../",
        "/admin/%2e%2e/x",
        "/.admin",
        "/admin%20",
        "/..admin",
    ] {
        assert_eq!(led(path), to(0), "{path}");
    }
}

#[test]
fn what_only_looks_like_a_slash_is_no_border() {
    for path in [
        "/admin%2Fusers",
        "/admin%2fusers",
        "/admin%5Cusers",
        "/admin\\users",
        "/%2Fadmin",
        "/x%2F..%2Fadmin",
        "\u{ff0f}admin",
    ] {
        assert_eq!(led(path), to(0), "{path}");
    }
    assert_eq!(led("/admin/x%2F..%2Fusers"), to(1));
}

#[test]
fn what_is_encoded_twice_is_decoded_once() {
    assert_eq!(led("/%2561dmin"), to(0));
    assert_eq!(led("/admin/%252e%252e"), to(1));
    assert_eq!(led("/%25%36%31dmin"), to(0));
}

#[test]
fn paths_above_the_root_and_broken_escapes_are_refused() {
    for path in [
        "/..",
        "/../admin",
        "/a/../..",
        "/%2e%2e",
        "/.%2e/admin",
        "//..",
        "/%",
        "/%4",
        "/%zz",
        "/100%",
        "/%+1",
        "/%%61",
    ] {
        assert_eq!(led(path), Lookup::BadPath, "{path}");
    }
}

#[test]
fn prefixes_and_paths_may_write_umlauts_differently() {
    let table = table(&[("", "/größe"), ("", "/%7euser/")]);
    for path in ["/größe", "/gr%C3%B6%C3%9Fe/x", "/gr%c3%b6%c3%9fe"] {
        assert_eq!(table.lookup("a", path), to(0), "{path}");
    }
    assert_eq!(table.lookup("a", "/~user"), to(1));
    assert_eq!(table.lookup("a", "/%7Euser/x"), to(1));
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(host in ".*", path in ".*") {
        table(&[("a.example", "/"), ("*.example", "/a"), ("", "/b")]).lookup(&host, &path);
    }
}

/// Whatever the path: where it leads is where its normal form leads, and that one is normal.
#[test]
fn a_mutated_path_leads_where_its_normal_form_does() {
    let table = table(&[
        ("", "/"),
        ("", "/admin"),
        ("", "/admin/users"),
        ("a.example", "/api/"),
        ("*.example", "/\u{e4}"),
    ]);
    let words = [
        "/../", "/./", "//", "%2e", "%2F", "%5c", "%25", "%", "/admin", "\\", ";", "?", "#",
    ];
    fuzz::drive("routes", &words, 3000, |input| {
        let text = String::from_utf8_lossy(input);
        for host in ["a.example", "b.a.example:80", "[::1]:80", &text] {
            let led = table.lookup(host, &text);
            let Some(normal) = normalise(&text) else {
                assert_eq!(led, Lookup::BadPath);
                continue;
            };
            assert_eq!(normalise(&normal).as_deref(), Some(&*normal));
            assert_eq!(table.lookup(host, &normal), led);
            // What a backend can't take for a way up or down.
            assert!(normal.starts_with('/') && normal.is_ascii(), "{normal}");
            assert!(
                !normal.contains("//") && !normal.contains("/../") && !normal.contains("/./"),
                "{normal}"
            );
            assert!(
                !normal.ends_with("/..") && !normal.ends_with("/."),
                "{normal}"
            );
        }
    });
}
