use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn key(zone: &str, name: &str) -> ComponentKey {
    ComponentKey {
        zone: Arc::from(zone),
        name: Arc::from(name),
    }
}

fn affinity(ttl: Option<Duration>) -> Rc<Affinity> {
    let sticky = Sticky {
        cookie: Arc::from("FIREDOOR"),
        ttl,
    };
    let keys = [key("fz-1", "app-1"), key("fz-1", "app-2")];
    let backends = keys.iter().zip(7..).map(|(key, id)| (ComponentId(id), key));
    Rc::new(Affinity::new(&sticky, "default", backends))
}

fn id(name: &str) -> Id {
    Id::of("default", &key("fz-1", name))
}

fn request(cookies: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for cookie in cookies {
        headers.append(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
    }
    headers
}

fn texts(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let all = headers.get_all(name);
    all.iter().map(|v| v.to_str().expect("text")).collect()
}

/// What of `cookies` the app gets, and where the session is at home.
fn taken(cookies: &[&str]) -> (Vec<String>, Option<ComponentId>) {
    let mut headers = request(cookies);
    let affinity = affinity(None);
    let session = affinity.take(&mut headers);
    let left = texts(&headers, COOKIE);
    let left = left.into_iter().map(str::to_owned).collect();
    (left, affinity.home(&session))
}

/// Browsers keep them across restarts and updates, and a second firedoor must read the same in them. Computed with another
/// implementation of SipHash 2-4.
#[test]
fn ids_never_change() {
    assert_eq!(id("app-1").to_string(), "f963c2f5c0580208");
    assert_eq!(Id::parse(b"f963c2f5c0580208"), Some(id("app-1")));
}

#[test]
fn ids_differ_by_zone_pool_and_name_and_show_none_of_them() {
    let mut seen = HashSet::new();
    for zone in ["fz-1", "fz-2", "fz-"] {
        for pool in ["default", "hq", "1default"] {
            for name in ["app-1", "app-2", "10.1.0.11:8080", "10.1.0.12:8080"] {
                let text = Id::of(pool, &key(zone, name)).to_string();
                assert!(!text.contains(name) && text.len() == 16, "{text}");
                assert!(seen.insert(text), "{zone} {pool} {name}");
            }
        }
    }
    assert_eq!(seen.len(), 36);
}

#[test]
fn our_cookie_is_taken_out_and_the_others_stay_as_they_are() {
    let ours = format!("FIREDOOR={}", id("app-2"));
    let home = Some(ComponentId(8));
    for (before, after) in [
        (ours.clone(), ""),
        (format!("{ours};"), ""),
        (format!("a=1; {ours}"), "a=1"),
        (format!("{ours}; a=1"), "a=1"),
        (format!("a=1; {ours}; b=2"), "a=1; b=2"),
        (format!("a=1;{ours};b=\"2\" ;;c"), "a=1;b=\"2\" ;;c"),
        (format!("a==FIREDOOR=; {ours};{ours}"), "a==FIREDOOR="),
        (
            format!("firedoor=1; {ours}; XFIREDOOR=2"),
            "firedoor=1; XFIREDOOR=2",
        ),
        (format!(" \t{ours} \t; a=1"), "a=1"),
    ] {
        let left = if after.is_empty() {
            vec![]
        } else {
            vec![after.to_owned()]
        };
        assert_eq!(taken(&[&before]), (left, home), "{before}");
    }
}

#[test]
fn several_cookie_fields_are_each_looked_at() {
    let ours = format!("FIREDOOR={}", id("app-1"));
    let second = format!("b=2; {ours}");
    let (left, home) = taken(&["a=1", &second, &ours, "c=3; d=4"]);
    assert_eq!(left, ["a=1", "b=2", "c=3; d=4"]);
    assert_eq!(home, Some(ComponentId(7)));
}

#[test]
fn a_forged_cookie_names_nobody_and_reaches_no_app() {
    let of_another_zone = Id::of("default", &key("fz-2", "app-1")).to_string();
    let upper = id("app-1").to_string().to_uppercase();
    let long = "f".repeat(30_000);
    for forged in [
        "",
        "app-1",
        "127.0.0.1:9001",
        "0",
        "0000000000000000",
        "+000000000000001",
        &of_another_zone,
        &upper,
        &long,
    ] {
        let (left, home) = taken(&[&format!("a=1; FIREDOOR={forged}")]);
        assert_eq!((left, home), (vec!["a=1".to_owned()], None), "{forged:.40}");
    }
}

#[test]
fn a_cookie_somebody_else_has_set_does_not_hide_ours() {
    let cookies = format!("FIREDOOR=tossed; FIREDOOR={}", id("app-2"));
    assert_eq!(taken(&[&cookies]), (vec![], Some(ComponentId(8))));
}

#[test]
fn a_client_at_home_gets_no_cookie_and_every_other_one_does() {
    let affinity = affinity(None);
    let expected = format!("FIREDOOR={}; Path=/; HttpOnly; SameSite=Lax", id("app-2"));
    for (wish, set) in [
        (None, vec![expected.as_str()]),
        (Some(id("app-1")), vec![expected.as_str()]),
        (Some(id("app-2")), vec![]),
    ] {
        let session = Session {
            wish,
            secure: Cell::new(false),
        };
        let mut headers = HeaderMap::new();
        affinity
            .pin(&session, ComponentId(8))
            .put_into(&mut headers);
        assert_eq!(texts(&headers, SET_COOKIE), set, "{wish:?}");
        let private = texts(&headers, CACHE_CONTROL);
        assert_eq!(private, vec!["private"; set.len()], "{wish:?}");
    }
}

#[test]
fn over_https_it_is_secure_and_with_a_ttl_it_ends() {
    let affinity = affinity(Some(Duration::from_millis(90_500)));
    let session = affinity.take(&mut HeaderMap::new());
    let mut request = HeaderMap::new();
    for (proto, secure) in [
        ("http", false),
        ("https", true),
        ("HTTPS, http", true),
        ("http, https", false),
    ] {
        let proto = HeaderValue::from_static(proto);
        request.insert("x-forwarded-proto", proto.clone());
        session.learn_scheme(&request);
        let mut headers = HeaderMap::new();
        affinity
            .pin(&session, ComponentId(7))
            .put_into(&mut headers);
        let cookie = texts(&headers, SET_COOKIE)[0];
        assert_eq!(cookie.contains("; Secure"), secure, "{proto:?}: {cookie}");
        assert!(cookie.ends_with("; Max-Age=90"), "{cookie}");
    }
}

#[test]
fn the_apps_own_fields_stay_but_for_a_cookie_of_our_name() {
    let affinity = affinity(None);
    let session = affinity.take(&mut HeaderMap::new());
    let mut headers = HeaderMap::new();
    for cookie in [
        "sid=1; Path=/FIREDOOR=",
        "FIREDOOR=mine; Path=/",
        "b=2; FIREDOOR=x",
    ] {
        headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    affinity
        .pin(&session, ComponentId(7))
        .put_into(&mut headers);
    let ours = format!("FIREDOOR={}; Path=/; HttpOnly; SameSite=Lax", id("app-1"));
    let expected = ["sid=1; Path=/FIREDOOR=", "b=2; FIREDOOR=x", &ours];
    assert_eq!(texts(&headers, SET_COOKIE), expected);
    assert_eq!(texts(&headers, CACHE_CONTROL), ["max-age=60"]);
}

#[test]
fn a_backend_that_is_not_of_the_pool_pins_nobody() {
    let affinity = affinity(None);
    let session = affinity.take(&mut HeaderMap::new());
    let mut headers = HeaderMap::new();
    affinity
        .pin(&session, ComponentId(99))
        .put_into(&mut headers);
    assert!(headers.is_empty());
}

/// The cookies in `headers`, as a server reads them.
fn pairs(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let fields = headers.get_all(COOKIE).iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|&b| b == b';'));
    let pairs = pairs.map(|pair| pair.trim_ascii().to_vec());
    pairs.filter(|pair| !pair.is_empty()).collect()
}

proptest! {
    /// Whatever bytes a client sends as cookies: exactly ours are gone, and all others are there, in order.
    #[test]
    fn nothing_but_our_cookie_is_ever_taken(
        fields in prop::collection::vec("(FIREDOOR|FIREDOO|a|[ -~]{0,3})?(=|; ?|;;| )?[ -~\t\u{e4}]{0,12}(; ?FIREDOOR ?= ?[0-9a-f]{0,17})?", 0..5),
    ) {
        let mut headers = HeaderMap::new();
        for field in &fields {
            if let Ok(value) = HeaderValue::from_bytes(field.as_bytes()) {
                headers.append(COOKIE, value);
            }
        }
        let is_ours = |pair: &Vec<u8>| {
            let name = pair.iter().position(|b| *b == b'=').map(|at| pair[..at].trim_ascii());
            name == Some(b"FIREDOOR")
        };
        let mut expected = pairs(&headers);
        let any = expected.iter().any(is_ours);
        let before = headers.clone();
        expected.retain(|pair| !is_ours(pair));
        affinity(None).take(&mut headers);
        prop_assert_eq!(pairs(&headers), expected);
        prop_assert!(any || headers == before);
    }
}
