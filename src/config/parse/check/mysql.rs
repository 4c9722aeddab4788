//! The keys of a `mysql` check.

use crate::config::parse::tls;
use crate::config::parse::values::DURATION;
use crate::config::raw::{Form, Refusal, Section};
use crate::config::{CheckKind, Expect, MysqlCheck, MysqlLogin, Secret};

const USER: Form<String> = Form {
    noun: "a user",
    example: "\"health\"",
    parse: |text| match text {
        "" => Err(Refusal::malformed("it is empty")),
        text if text.contains('\0') => Err(Refusal::malformed("it has a NUL in it")),
        text => Ok(text.to_owned()),
    },
};

/// `base`, if it is of this kind, and what `section` says otherwise.
pub(super) fn read(section: &Section<'_>, base: &CheckKind) -> MysqlCheck {
    let base = match base {
        CheckKind::Mysql(base) => Some(base),
        _ => None,
    };
    MysqlCheck {
        login: login(section, base.and_then(|base| base.login.as_ref())),
        tls: tls::optional(section, base.and_then(|base| base.tls.as_ref()), &[]),
    }
}

fn login(section: &Section<'_>, base: Option<&MysqlLogin>) -> Option<MysqlLogin> {
    // All of it is read before anything is given up, so that every problem is found.
    let user = section.read("user", &USER);
    let password = section.item("password").and_then(|item| item.text());
    let expect = section.choice(
        "expect",
        &[
            ("reachable", Expect::Reachable),
            ("writable", Expect::Writable),
            ("replica", Expect::Replica),
        ],
        &[],
    );
    let max_lag = section.read("max_lag", &DURATION);
    let Some(user) = user.or_else(|| base.map(|base| base.user.clone())) else {
        if !section.has("user") {
            refuse_without_user(section, expect);
        }
        return None;
    };
    let expect = expect.unwrap_or(base.map_or(Expect::default(), |base| base.expect));
    let inherited_lag = base.and_then(|base| base.max_lag);
    if let (Some(item), false) = (section.lookup("max_lag"), expect == Expect::Replica) {
        item.report(
            "max_lag is about replicas, but no replica is expected",
            "remove it, or set expect = \"replica\"",
        );
    }
    Some(MysqlLogin {
        user,
        password: match password {
            Some(text) => Secret::new(text.value),
            None => base.map_or_else(|| Secret::new(""), |base| base.password.clone()),
        },
        expect,
        max_lag: max_lag
            .or(inherited_lag)
            .filter(|_| expect == Expect::Replica),
    })
}

/// That a server can be reached is all that it tells strangers.
fn refuse_without_user(section: &Section<'_>, expect: Option<Expect>) {
    for key in ["password", "expect", "max_lag"] {
        if key == "expect" && matches!(expect, None | Some(Expect::Reachable)) {
            continue;
        }
        if let Some(item) = section.lookup(key) {
            item.report(
                format!("{key} needs a login"),
                "add user = \"health\", an account of the database without any rights to data",
            );
        }
    }
}
