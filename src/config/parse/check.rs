//! `[check]`, `pool.check` and `dependency.check`: how components are tested, and who inherits what.

mod command;
mod grpc;
mod http;
mod login;
mod mysql;
mod postgres;
mod redis;
mod tls;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::raw::Section;
use crate::config::{Check, CheckKind, Expect};

use super::values::PERIOD;

/// Which keys, besides those of the timing, a kind of check has.
const KINDS: &[(&str, Kind, &[&str])] = &[
    ("tcp", Kind::Tcp, &[]),
    (
        "http",
        Kind::Http,
        &["method", "host", "path", "expect", "body", "tls"],
    ),
    ("tls", Kind::Tls, &["tls", "expires_within"]),
    (
        "postgres",
        Kind::Postgres,
        &["user", "password", "database", "expect", "max_lag", "tls"],
    ),
    ("redis", Kind::Redis, &["user", "password", "expect", "tls"]),
    (
        "mysql",
        Kind::Mysql,
        &["user", "password", "expect", "max_lag", "tls"],
    ),
    ("grpc", Kind::Grpc, &["service", "host", "tls"]),
    ("command", Kind::Command, &["command"]),
];

/// What a data store may be expected to be.
const EXPECTATIONS: &[(&str, Expect)] = &[
    ("reachable", Expect::Reachable),
    ("writable", Expect::Writable),
    ("replica", Expect::Replica),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
    Tls,
    Postgres,
    Redis,
    Mysql,
    Grpc,
    Command,
}

/// What `[check]` changes about this is the default for all backends.
pub(super) fn builtin() -> Check {
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
    Check {
        kind: CheckKind::Http(http::builtin()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        confirm_interval: Duration::from_millis(50),
        fall: TWO,
        rise: THREE,
        send_proxy: None,
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
        send_proxy: base.send_proxy,
    }
}

fn streak(section: &Section<'_>, key: &'static str) -> Option<NonZeroU32> {
    section
        .number::<u32>(key, 1..=1000)
        .and_then(NonZeroU32::new)
}

/// The kind that is named, or the one of `base`; what the section leaves out comes from `base` where that is of the same kind.
fn kind(section: &mut Section<'_>, base: &CheckKind) -> CheckKind {
    let choices: Vec<(&str, Kind)> = KINDS.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let named = section.choice("kind", &choices, &[]);
    if named.is_none() && section.has("kind") {
        // Nobody can say which keys belong to a kind that isn't known.
        section.ignore_rest();
        return base.clone();
    }
    let kind = named.unwrap_or(match base {
        CheckKind::Tcp => Kind::Tcp,
        CheckKind::Http(_) => Kind::Http,
        CheckKind::Tls(_) => Kind::Tls,
        CheckKind::Postgres(_) => Kind::Postgres,
        CheckKind::Redis(_) => Kind::Redis,
        CheckKind::Mysql(_) => Kind::Mysql,
        CheckKind::Grpc(_) => Kind::Grpc,
        CheckKind::Command(_) => Kind::Command,
    });
    refuse_foreign_keys(section, kind);
    match kind {
        Kind::Tcp => CheckKind::Tcp,
        Kind::Http => CheckKind::Http(http::read(section, base)),
        Kind::Tls => tls::read(section, base).map_or(CheckKind::Tcp, CheckKind::Tls),
        Kind::Postgres => CheckKind::Postgres(postgres::read(section, base)),
        Kind::Redis => CheckKind::Redis(redis::read(section, base)),
        Kind::Mysql => CheckKind::Mysql(mysql::read(section, base)),
        Kind::Grpc => CheckKind::Grpc(grpc::read(section, base)),
        Kind::Command => command::read(section, base).map_or(CheckKind::Tcp, CheckKind::Command),
    }
}

/// A key of another kind isn't unknown, but does nothing.
fn refuse_foreign_keys(section: &Section<'_>, kind: Kind) {
    let own = |(_, other, _): &&(&str, Kind, &[&str])| *other == kind;
    let Some((name, _, own)) = KINDS.iter().find(own) else {
        return;
    };
    let mut foreign: Vec<&str> = KINDS
        .iter()
        .flat_map(|(_, _, keys)| *keys)
        .copied()
        .collect();
    foreign.retain(|key| !own.contains(key));
    foreign.sort_unstable();
    foreign.dedup();
    for key in foreign {
        let Some(item) = section.misplaced(key) else {
            continue;
        };
        let owners = KINDS.iter().filter(|(_, _, keys)| keys.contains(&key));
        let owners: Vec<String> = owners.map(|(name, ..)| format!("{name:?}")).collect();
        let hint = match owners.as_slice() {
            [_] | [_, _] => format!("remove it, or set kind = {}", owners.join(" or ")),
            _ => "remove it, or set another kind".to_owned(),
        };
        item.report(format!("{key} does nothing in a {name} check"), hint);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::http::Method;

    use super::*;
    use crate::config::parse::Environment;
    use crate::config::{Config, HttpCheck};

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
            _ => panic!("{check:?}"),
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
    fn a_pool_that_expects_another_role_has_no_use_for_a_lag() {
        let config = parse(
            "[check]\nkind = \"postgres\"\nuser = \"health\"\npassword = \"x\"\nexpect = \"replica\"\nmax_lag = \"9s\"\n\
             [[pool]]\nname = \"default\"\ncheck = { expect = \"writable\" }\n",
        );
        let CheckKind::Postgres(check) = &config.pools[0].check.kind else {
            panic!("{config:?}");
        };
        let login = check.login.as_ref().unwrap();
        assert_eq!((&*login.user, login.expect), ("health", Expect::Writable));
        assert_eq!(login.password.as_ref().unwrap().expose(), "x");
        assert_eq!(login.max_lag, None);
    }

    #[test]
    fn a_dependency_inherits_the_timing_alone() {
        let config =
            parse("[check]\npath = \"/ready\"\nexpect = \"204\"\ninterval = \"7s\"\nrise = 5\n");
        let check = &config.zones[0].dependencies[0].check;
        assert_eq!(*http_of(check), http::builtin());
        assert_eq!(check.interval, Duration::from_secs(7));
        assert_eq!(check.rise.get(), 9);
    }
}
