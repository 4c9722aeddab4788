//! The rules of a zone's verdict.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::config::{Address, Check, CheckKind};
use crate::moment::Moment;
use crate::zone::{ComponentId, ComponentKey};

const REQUIRED: Role = Role::Dependency { required: true };
const OPTIONAL: Role = Role::Dependency { required: false };
const APP: Role = Role::Backend { pool: 0 };
const ONE: NonZeroU32 = NonZeroU32::MIN;

fn component(name: &str, role: Role, status: Status) -> Component {
    let check = Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        confirm_interval: Duration::from_secs(1),
        fall: ONE,
        rise: ONE,
        send_proxy: None,
    };
    let key = ComponentKey {
        zone: "fz-1".into(),
        name: name.into(),
    };
    let address = Address::Ip(([10, 0, 0, 1], 1).into());
    let now = Moment::some();
    let mut component = Component::new(ComponentId(0), key, address, role, Arc::new(check), now);
    component.status = status;
    component
}

/// `u` up, `d` down, `?` unknown; `U`, `D` and `N` the same, but in maintenance, in drain, new; one app server each.
fn apps(statuses: &str) -> Vec<Component> {
    let app = |(index, letter): (usize, char)| {
        let status = match letter {
            'u' | 'U' | 'D' => Status::Up,
            'd' | 'N' => Status::Down,
            _ => Status::Unknown,
        };
        let mut app = component(&format!("app-{}", index + 1), APP, status);
        match letter {
            'U' => app.operator = Operator::Maintenance,
            'D' => app.operator = Operator::Drain,
            'N' | 'n' => app.joined = false,
            _ => {}
        }
        app
    };
    statuses.chars().enumerate().map(app).collect()
}

fn needs(min_healthy: MinHealthy) -> Vec<Need> {
    vec![Need {
        pool: "default".into(),
        min_healthy,
        routed: true,
    }]
}

#[test]
fn a_pool_decides_by_how_many_of_those_that_count_are_up() {
    use Verdict::{Failed, Serving, Unknown};
    let all = MinHealthy::Percent(100.0);
    let half = MinHealthy::Percent(50.0);
    let rows = [
        ("any failed component fails the zone", all, "uud", Failed),
        ("all up", all, "uuu", Serving),
        ("unknown is not healthy", all, "uu?", Unknown),
        (
            "unknown is not failed, but cannot save what has",
            all,
            "u?d",
            Failed,
        ),
        ("enough are up", half, "ud", Serving),
        ("too few are up", half, "udd", Failed),
        ("those still unknown could be enough", half, "d??", Unknown),
        ("those still unknown don't matter", half, "u?", Serving),
        ("a number", MinHealthy::Count(2), "uud", Serving),
        ("a number, missed", MinHealthy::Count(2), "udd", Failed),
        (
            "a number above those that count",
            MinHealthy::Count(3),
            "uuU",
            Serving,
        ),
        ("maintenance counts neither way", all, "uU", Serving),
        ("drain counts neither way", all, "uD", Serving),
        (
            "maintenance doesn't make up for the failed",
            all,
            "dU",
            Failed,
        ),
        ("nothing is left to serve with", all, "UD", Failed),
        (
            "a new one that never was up doesn't count",
            all,
            "uN",
            Serving,
        ),
        (
            "a new one that isn't probed yet doesn't count",
            all,
            "un",
            Serving,
        ),
        ("only new ones: they are all there is", all, "nn", Unknown),
        ("only new ones, down", all, "NN", Failed),
        ("no backend at all", all, "", Failed),
        (
            "no backend is asked for",
            MinHealthy::Count(0),
            "d",
            Serving,
        ),
    ];
    for (claim, min_healthy, statuses, expected) in rows {
        let conclusion = conclude(&apps(statuses), &needs(min_healthy));
        assert_eq!(
            conclusion.verdict, expected,
            "{claim}: {statuses}: {conclusion:?}"
        );
        let reasonless = conclusion.reasons.is_empty();
        assert!(!reasonless || expected == Serving, "{claim}: no reason");
    }
}

#[test]
fn a_required_dependency_fails_its_zone_and_an_optional_one_is_remarked() {
    for (role, status, expected) in [
        (REQUIRED, Status::Up, Verdict::Serving),
        (REQUIRED, Status::Unknown, Verdict::Unknown),
        (REQUIRED, Status::Down, Verdict::Failed),
        (OPTIONAL, Status::Unknown, Verdict::Serving),
        (OPTIONAL, Status::Down, Verdict::Serving),
    ] {
        let mut components = apps("uu");
        components.push(component("postgres", role, status));
        let conclusion = conclude(&components, &needs(MinHealthy::Percent(100.0)));
        assert_eq!(conclusion.verdict, expected, "{role:?} {status}");
        let named = conclusion
            .reasons
            .iter()
            .any(|reason| reason.contains("postgres"));
        assert_eq!(named, status != Status::Up);
        let down = role == REQUIRED && status == Status::Down;
        assert_eq!(conclusion.serves.nothing(), down);
        assert_eq!(conclusion.serves.all(), !down);
    }
}

#[test]
fn one_backend_is_enough_to_serve_a_pool_though_not_for_the_verdict() {
    let conclusion = conclude(&apps("udd"), &needs(MinHealthy::Percent(100.0)));
    assert_eq!(conclusion.verdict, Verdict::Failed);
    assert!(conclusion.serves.all());
    let reason = &conclusion.reasons[0];
    assert!(
        reason.starts_with("pool default has 1 of 3 backends up and needs 3: app-2 is down"),
        "{reason}"
    );
}

#[test]
fn zones_that_serve_different_pools_are_not_comparable() {
    let (both, first, second) = (
        Serves::of(&[true, true]),
        Serves::of(&[true, false]),
        Serves::of(&[false, true]),
    );
    assert!(both.strictly_more_than(&first));
    assert!(!first.strictly_more_than(&both));
    assert!(!first.strictly_more_than(&second));
    assert!(!second.strictly_more_than(&first));
    assert!(!both.strictly_more_than(&both));
}
