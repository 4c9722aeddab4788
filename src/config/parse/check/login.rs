//! The keys of a login at a database, which `postgres` and `mysql` checks have.

use crate::config::parse::values::PERIOD;
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{Expect, Login, Secret};

const NAME: Form<String> = Form {
    noun: "a name",
    example: "\"health\"",
    parse: |text| sendable(text).map(str::to_owned),
};

const PASSWORD: Form<Secret> = Form {
    noun: "a password",
    example: "\"${file:db.pw}\"",
    parse: |text| sendable(text).map(Secret::new),
};

/// `base`, and what `section` says otherwise. `keys`: which of those below this kind of check has, besides `user`.
pub(super) fn read(
    section: &Section<'_>,
    keys: &[&'static str],
    base: Option<&Login>,
) -> Option<Login> {
    // All of it is read before anything is given up, so that every problem is found.
    let user = section.read("user", &NAME);
    let password = section.read("password", &PASSWORD);
    let database = if keys.contains(&"database") {
        section.read("database", &NAME)
    } else {
        None
    };
    let expect = section.choice("expect", super::EXPECTATIONS, &[]);
    let max_lag = section.read("max_lag", &PERIOD);

    let Some(user) = user.or_else(|| base.map(|base| base.user.clone())) else {
        if !section.has("user") {
            refuse_without_user(section, keys, expect);
        }
        return None;
    };
    let expected = expect.unwrap_or(base.map_or(Expect::default(), |base| base.expect));
    let is_replica = expected == Expect::Replica;
    if let Some(item) = section.lookup("max_lag")
        && !is_replica
        && (expect.is_some() || !section.has("expect"))
    {
        item.report(
            "max_lag does nothing where no replica is expected",
            "remove it, or set expect = \"replica\"",
        );
    }
    Some(Login {
        user,
        password: password.or_else(|| base?.password.clone()),
        database: database.or_else(|| base?.database.clone()),
        expect: expected,
        max_lag: max_lag.or_else(|| base?.max_lag).filter(|_| is_replica),
    })
}

/// Who isn't logged in has nobody to ask, only somebody who answers: that one is reachable.
fn refuse_without_user(section: &Section<'_>, keys: &[&'static str], expect: Option<Expect>) {
    for key in keys {
        let Some(item) = section.lookup(key) else {
            continue;
        };
        if *key == "expect" && matches!(expect, None | Some(Expect::Reachable)) {
            continue;
        }
        item.report(
            format!("{key} needs a login, and there is no user"),
            "add user = \"health\", which needs no rights to any data",
        );
    }
}

/// In the messages of these servers a zero byte ends a text.
fn sendable(text: &str) -> Result<&str, Refusal> {
    if text.is_empty() {
        return Err(Refusal::malformed("it is empty"));
    }
    if text.contains('\0') {
        return Err(Refusal::malformed("it has a zero byte in it"));
    }
    Ok(text)
}
