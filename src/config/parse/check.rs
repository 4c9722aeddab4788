//! `[check]`, `pool.check` and `dependency.check`: how components are tested, and who inherits what.

use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

use crate::config::raw::{Form, Refusal, Section};
use crate::config::{Check, CheckKind, HttpCheck};

use super::values::{PERIOD, STATUSES};

const LATER: &[&str] = &["tls", "grpc", "postgres", "mysql", "redis", "command"];

const METHOD: Form<Method> = Form {
    noun: "a method",
    example: "\"GET\" or \"HEAD\"",
    parse: |text| {
        let method = Method::from_bytes(text.as_bytes());
        match method {
            Ok(Method::CONNECT) => Err(Refusal::unsuitable("for tunnels only")),
            Ok(method) => Ok(method),
            Err(_) => Err(Refusal::malformed(
                "only the characters of a token are possible",
            )),
        }
    },
};

const HOST: Form<HeaderValue> = Form {
    noun: "a host",
    example: "\"app.example\"",
    parse: |text| {
        HeaderValue::from_str(text)
            .ok()
            .filter(|_| !text.is_empty() && !text.contains([' ', '/', '\t']))
            .ok_or_else(|| Refusal::malformed("only a name and perhaps a port are possible"))
    },
};

const PATH: Form<PathAndQuery> = Form {
    noun: "a path",
    example: "\"/healthz\"",
    parse: |text| {
        if !text.starts_with('/') {
            return Err(Refusal::malformed("it doesn't start with \"/\""));
        }
        text.parse()
            .map_err(|_| Refusal::malformed("it has characters that a URL can't have"))
    },
};

/// What `[check]` changes about this is the default for all backends.
pub(super) fn builtin() -> Check {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
    Check {
        kind: CheckKind::Http(http_builtin()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        confirm_interval: Duration::from_millis(50),
        fall: TWO,
        rise: THREE,
    }
}

fn http_builtin() -> HttpCheck {
    HttpCheck {
        method: Method::GET,
        path: PathAndQuery::from_static("/"),
        host: None,
        expect: vec![(200, 399)],
        body: None,
    }
}

/// `base`, and what `section` says otherwise.
pub(super) fn overlay(section: &mut Section<'_>, base: &Check) -> Check {
    Check {
        kind: kind(section, &base.kind),
        interval: section.read("interval", &PERIOD).unwrap_or(base.interval),
        timeout: section.read("timeout", &PERIOD).unwrap_or(base.timeout),
        confirm_interval: section
            .read("confirm_interval", &PERIOD)
            .unwrap_or(base.confirm_interval),
        fall: streak(section, "fall").unwrap_or(base.fall),
        rise: streak(section, "rise").unwrap_or(base.rise),
    }
}

fn streak(section: &Section<'_>, key: &'static str) -> Option<NonZeroU32> {
    section
        .number::<u32>(key, 1..=1000)
        .and_then(NonZeroU32::new)
}

#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Http,
}

fn kind(section: &mut Section<'_>, base: &CheckKind) -> CheckKind {
    let named = section.choice("kind", &[("tcp", Kind::Tcp), ("http", Kind::Http)], LATER);
    if named.is_none() && section.has("kind") {
        // Nobody can say which keys belong to a kind that isn't known.
        section.ignore_rest();
        return base.clone();
    }
    match (named, base) {
        (None | Some(Kind::Http), CheckKind::Http(base)) => CheckKind::Http(http(section, base)),
        (Some(Kind::Http), CheckKind::Tcp) => CheckKind::Http(http(section, &http_builtin())),
        (Some(Kind::Tcp), _) | (None, CheckKind::Tcp) => {
            refuse_http_keys(section);
            CheckKind::Tcp
        }
    }
}

fn refuse_http_keys(section: &Section<'_>) {
    for key in ["method", "host", "path", "expect", "body"] {
        if let Some(item) = section.item(key) {
            item.report(
                format!("{key} does nothing in a tcp check"),
                "remove it, or set kind = \"http\"",
            );
        }
    }
}

fn http(section: &Section<'_>, base: &HttpCheck) -> HttpCheck {
    let body = section.item("body").and_then(|item| item.text());
    HttpCheck {
        method: section
            .read("method", &METHOD)
            .unwrap_or_else(|| base.method.clone()),
        path: section
            .read("path", &PATH)
            .unwrap_or_else(|| base.path.clone()),
        host: section.read("host", &HOST).or_else(|| base.host.clone()),
        expect: section
            .read("expect", &STATUSES)
            .unwrap_or_else(|| base.expect.clone()),
        body: body.map(|text| text.value).or_else(|| base.body.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::config::parse::Environment;

    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> Result<String, String> {
            Err("no such file".to_owned())
        }
    }

    fn parse(text: &str) -> Config {
        let rest = r#"
            [[listener]]
            bind = "127.0.0.1:8080"
            [[zone]]
            name = "fz-1"
            backend = [{ address = "10.0.0.1:80" }]
            [[zone.dependency]]
            name = "web"
            check = { kind = "http", address = "10.0.0.9:80", rise = 9 }
        "#;
        Config::parse(&format!("{text}{rest}"), Path::new(""), &Nothing).unwrap()
    }

    fn http_of(check: &Check) -> &HttpCheck {
        match &check.kind {
            CheckKind::Http(http) => http,
            CheckKind::Tcp => panic!("{check:?}"),
        }
    }

    #[test]
    fn without_a_word_the_defaults_hold() {
        let config = parse("");
        assert_eq!(*config.pools[0].check, builtin());
    }

    #[test]
    fn a_pool_changes_only_what_it_names() {
        let config = parse(
            "[check]\npath = \"/ready\"\nmethod = \"HEAD\"\nfall = 7\n[[pool]]\nname = \"default\"\ncheck = { path = \"/mine\" }\n",
        );
        let check = &config.pools[0].check;
        assert_eq!(http_of(check).path, "/mine");
        assert_eq!(http_of(check).method, Method::HEAD);
        assert_eq!(check.fall.get(), 7);
    }

    #[test]
    fn a_pool_may_change_the_kind() {
        let config = parse(
            "[check]\npath = \"/ready\"\n[[pool]]\nname = \"default\"\ncheck = { kind = \"tcp\" }\n",
        );
        assert_eq!(config.pools[0].check.kind, CheckKind::Tcp);
        let config = parse(
            "[check]\nkind = \"tcp\"\n[[pool]]\nname = \"default\"\ncheck = { kind = \"http\" }\n",
        );
        assert_eq!(http_of(&config.pools[0].check).path, "/");
    }

    #[test]
    fn a_dependency_inherits_the_timing_alone() {
        let config =
            parse("[check]\npath = \"/ready\"\nexpect = \"204\"\ninterval = \"7s\"\nrise = 5\n");
        let check = &config.zones[0].dependencies[0].check;
        assert_eq!(*http_of(check), http_builtin());
        assert_eq!(check.interval, Duration::from_secs(7));
        assert_eq!(check.rise.get(), 9);
    }
}
