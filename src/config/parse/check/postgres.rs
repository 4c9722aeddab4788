//! The keys of a `postgres` check.

use crate::config::parse::tls;
use crate::config::parse::values::PERIOD;
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{CheckKind, Expect, PostgresCheck, PostgresLogin, Secret};

const NAME: Form<String> = Form {
    noun: "a name",
    example: "\"health\"",
    parse: |text| sendable(text).map(str::to_owned),
};

const PASSWORD: Form<Secret> = Form {
    noun: "a password",
    example: "\"${file:pg.pw}\"",
    parse: |text| sendable(text).map(Secret::new),
};

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> PostgresCheck {
    let base = match base {
        CheckKind::Postgres(base) => Some(base),
        _ => None,
    };
    let tls = base.and_then(|base| base.tls.as_ref());
    PostgresCheck {
        login: login(section, base.and_then(|base| base.login.as_ref())),
        tls: tls::optional(section, tls, &["postgresql"]),
    }
}

fn login(section: &Section<'_>, base: Option<&PostgresLogin>) -> Option<PostgresLogin> {
    let user = section.read("user", &NAME);
    let password = section.read("password", &PASSWORD);
    let database = section.read("database", &NAME);
    let expect = section.choice("expect", super::EXPECTATIONS, &[]);
    let max_lag = section.read("max_lag", &PERIOD);

    let Some(user) = user.or_else(|| base.map(|base| base.user.clone())) else {
        if !section.has("user") {
            refuse_without_user(section, expect);
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
    Some(PostgresLogin {
        user,
        password: password.or_else(|| base?.password.clone()),
        database: database.or_else(|| base?.database.clone()),
        expect: expected,
        max_lag: max_lag.or_else(|| base?.max_lag).filter(|_| is_replica),
    })
}

/// Who isn't logged in has nobody to ask, only somebody who answers: that one is reachable.
fn refuse_without_user(section: &Section<'_>, expect: Option<Expect>) {
    for key in ["password", "database", "expect", "max_lag"] {
        let Some(item) = section.lookup(key) else {
            continue;
        };
        if key == "expect" && matches!(expect, None | Some(Expect::Reachable)) {
            continue;
        }
        item.report(
            format!("{key} needs a login, and there is no user"),
            "add user = \"health\"",
        );
    }
}

/// In PostgreSQL's messages a zero byte ends a text.
fn sendable(text: &str) -> Result<&str, Refusal> {
    if text.is_empty() {
        return Err(Refusal::malformed("it is empty"));
    }
    if text.contains('\0') {
        return Err(Refusal::malformed("it has a zero byte in it"));
    }
    Ok(text)
}
