//! The failover table, row by row, and the rules that keep the door where it is.

use std::sync::Arc;

use super::*;
use crate::config::{FailbackWindow, Failover, Gray};
use crate::health::verdict::Serves;
use crate::moment::Moment;

const MINUTE: Duration = Duration::from_secs(60);

fn policy() -> Failover {
    Failover {
        failback: Failback::Manual,
        failback_after: 5 * MINUTE,
        min_stay: Duration::from_secs(10),
        max_flips_per_hour: 12,
        hold_time: Duration::from_secs(5),
        hold_requests: 10_000,
        gray: Gray::Eject,
        promote_command: Vec::new(),
        promote_timeout: Duration::from_secs(10),
    }
}

/// `S` serving; `F` failed, but every pool has a backend; `f` failed, one of two pools has; `x` failed, none has; `?` unknown.
fn conclusions(zones: &str) -> Vec<Conclusion> {
    let conclude = |letter| {
        let (verdict, pools) = match letter {
            'S' => (Verdict::Serving, [true, true]),
            'F' => (Verdict::Failed, [true, true]),
            'f' => (Verdict::Failed, [true, false]),
            'x' => (Verdict::Failed, [false, false]),
            _ => (Verdict::Unknown, [false, false]),
        };
        Conclusion {
            verdict,
            reasons: vec!["app-1 is down".to_owned(); usize::from(verdict == Verdict::Failed)],
            serves: Serves::of(&pools),
        }
    };
    zones.chars().map(conclude).collect()
}

/// Decides about `zones`, of which `active` is; everything has been so for ten minutes.
fn decide_on(
    zones: &str,
    active: usize,
    change: impl FnOnce(&mut Situation<'_>),
    policy: &Failover,
) -> Decision {
    let conclusions = conclusions(zones);
    let names: Vec<Arc<str>> = (1..=zones.len())
        .map(|n| Arc::from(format!("fz-{n}")))
        .collect();
    let zones = names
        .iter()
        .zip(&conclusions)
        .map(|(name, conclusion)| Standing {
            name,
            conclusion,
            lasted: 10 * MINUTE,
            in_doubt: false,
        });
    let mut situation = Situation {
        policy,
        zones: zones.collect(),
        active,
        pinned: false,
        starting: false,
        stayed: Some(10 * MINUTE),
        flips_left: 12,
        next_flip_in: None,
        promotion_pause: Duration::ZERO,
        drilling: false,
        wall: Moment::some().wall,
    };
    change(&mut situation);
    decide(&situation)
}

fn in_short(decision: &Decision) -> String {
    match decision {
        Decision::Stay { .. } => "stay".to_owned(),
        Decision::Flip(plan) if plan.degraded => format!("degraded to {}", plan.to + 1),
        Decision::Flip(plan) if plan.planned => format!("planned to {}", plan.to + 1),
        Decision::Flip(plan) => format!("to {}", plan.to + 1),
        Decision::NowhereToGo { .. } => "nowhere".to_owned(),
        Decision::Withheld { rule, .. } => format!("withheld by {rule}"),
        Decision::FailbackPossible => "failback possible".to_owned(),
    }
}

#[test]
fn the_failover_table_holds_row_by_row() {
    let rows = [
        // Serving or Unknown: stay.
        ("S", 0, "stay"),
        ("SS", 0, "stay"),
        ("SF", 0, "stay"),
        ("S?", 0, "stay"),
        ("?S", 0, "stay"),
        // Failed, another is Serving: the first Serving one in config order.
        ("FS", 0, "to 2"),
        ("xS", 0, "to 2"),
        ("FSS", 0, "to 2"),
        ("FFS", 0, "to 3"),
        ("F?S", 0, "to 3"),
        ("SFS", 1, "to 1"),
        // Failed, none is Serving, one can serve strictly more.
        ("xF", 0, "degraded to 2"),
        ("xf", 0, "degraded to 2"),
        ("fF", 0, "degraded to 2"),
        ("xfF", 0, "degraded to 3"),
        ("x?f", 0, "degraded to 3"),
        ("xff", 0, "degraded to 2"),
        // Failed, none better: a shared failure.
        ("F", 0, "nowhere"),
        ("FF", 0, "nowhere"),
        ("xx", 0, "nowhere"),
        ("Fx", 0, "nowhere"),
        ("Ff", 0, "nowhere"),
        ("ff", 0, "nowhere"),
        ("FFF", 0, "nowhere"),
        // Failed, but the others are not judged yet: soon they are.
        ("F?", 0, "stay"),
        ("xx?", 0, "stay"),
        // A standby is active, and the preferred zone has been serving for long enough; manual.
        ("SS", 1, "failback possible"),
        ("SSS", 2, "failback possible"),
        ("S?", 1, "failback possible"),
        ("FS", 1, "stay"),
        ("?S", 1, "stay"),
        ("FSS", 2, "stay"),
    ];
    for (zones, active, expected) in rows {
        let decision = decide_on(zones, active, |_| {}, &policy());
        assert_eq!(
            in_short(&decision),
            expected,
            "{zones}, active {}: {decision:?}",
            active + 1
        );
        if let Decision::Flip(plan) = decision {
            assert!(
                !plan.reasons.is_empty() && !plan.rule.is_empty() && !plan.alternatives.is_empty()
            );
        }
    }
}

#[test]
fn only_zones_that_failed_at_once_make_our_own_network_suspect() {
    let asks = |zones: &str, apart: Duration| {
        let decision = decide_on(zones, 0, |s| s.zones[0].lasted += apart, &policy());
        let Decision::NowhereToGo { reasons } = decision else {
            panic!("{decision:?}");
        };
        reasons
            .iter()
            .any(|reason| reason.contains("our own network?"))
    };
    assert!(asks("xx", Duration::ZERO));
    assert!(asks("FFF", Duration::from_secs(10)));
    assert!(!asks("FF", Duration::from_secs(11)));
    assert!(
        !asks("F", Duration::ZERO),
        "there is nothing to compare it with"
    );
}

#[test]
fn a_pinned_zone_stays_whatever_happens_and_says_what_it_would_have_done() {
    for (zones, expected) in [
        ("FS", "withheld by pinned"),
        ("xF", "withheld by pinned"),
        ("SS", "stay"),
        ("FF", "nowhere"),
    ] {
        let decision = decide_on(zones, 0, |s| s.pinned = true, &policy());
        assert_eq!(in_short(&decision), expected, "{zones}");
    }
    let auto = Failover {
        failback: Failback::Auto,
        ..policy()
    };
    let decision = decide_on("SS", 1, |s| s.pinned = true, &auto);
    assert_eq!(in_short(&decision), "withheld by pinned");
}

#[test]
fn min_stay_holds_unless_the_active_zone_cannot_serve_every_pool() {
    let three = Some(Duration::from_secs(3));
    for (zones, stayed, expected) in [
        ("FS", three, "withheld by min_stay"),
        ("fS", three, "to 2"),
        ("xS", three, "to 2"),
        ("xf", three, "degraded to 2"),
        ("FS", Some(Duration::from_secs(10)), "to 2"),
        ("FS", None, "to 2"),
    ] {
        let decision = decide_on(zones, 0, |s| s.stayed = stayed, &policy());
        assert_eq!(in_short(&decision), expected, "{zones} {stayed:?}");
        if expected.starts_with("withheld") {
            assert_eq!(decision.again(), Some(Duration::from_secs(7)));
        }
    }
}

#[test]
fn a_spent_budget_keeps_the_door_where_it_is() {
    for zones in ["FS", "xS", "xF"] {
        let spend = |s: &mut Situation<'_>| {
            s.flips_left = 0;
            s.next_flip_in = Some(MINUTE);
        };
        let decision = decide_on(zones, 0, spend, &policy());
        assert_eq!(
            in_short(&decision),
            "withheld by max_flips_per_hour",
            "{zones}"
        );
        assert_eq!(decision.again(), Some(MINUTE));
    }
}

#[test]
fn failback_waits_until_the_preferred_zone_has_served_long_enough() {
    let auto = Failover {
        failback: Failback::Auto,
        ..policy()
    };
    assert_eq!(in_short(&decide_on("SS", 1, |_| {}, &auto)), "planned to 1");
    let early = decide_on("SS", 1, |s| s.zones[0].lasted = 2 * MINUTE, &auto);
    assert_eq!(in_short(&early), "stay");
    assert_eq!(early.again(), Some(3 * MINUTE));
    // Only the first zone is preferred: from the third there is no way to the second but by a failure.
    assert_eq!(in_short(&decide_on("FSS", 2, |_| {}, &auto)), "stay");
}

#[test]
fn failback_by_window_happens_only_inside_it() {
    let at = |from: &str, to: &str| Failover {
        failback: Failback::Window(FailbackWindow {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
        }),
        ..policy()
    };
    // It is 04:12:07 in Berlin.
    assert_eq!(
        in_short(&decide_on("SS", 1, |_| {}, &at("04:00", "05:00"))),
        "planned to 1"
    );
    assert_eq!(
        in_short(&decide_on("SS", 1, |_| {}, &at("23:00", "04:30"))),
        "planned to 1"
    );
    let closed = decide_on("SS", 1, |_| {}, &at("03:00", "04:00"));
    assert_eq!(in_short(&closed), "withheld by failback_window");
    assert!(closed.again().is_some());
}

#[test]
fn before_the_first_request_the_others_are_heard_out() {
    let starting = |s: &mut Situation<'_>| {
        s.starting = true;
        s.stayed = None;
    };
    assert_eq!(in_short(&decide_on("x?f", 0, starting, &policy())), "stay");
    assert_eq!(in_short(&decide_on("x?S", 0, starting, &policy())), "to 3");
}

#[test]
fn a_standby_in_doubt_is_not_flipped_to_before_its_doubt_is_settled() {
    let doubt = |zone: usize| move |s: &mut Situation<'_>| s.zones[zone].in_doubt = true;
    assert_eq!(in_short(&decide_on("xS", 0, doubt(1), &policy())), "stay");
    assert_eq!(in_short(&decide_on("xSf", 0, doubt(1), &policy())), "stay");
    assert_eq!(in_short(&decide_on("FSS", 0, doubt(1), &policy())), "to 3");
    assert_eq!(in_short(&decide_on("FSS", 0, doubt(2), &policy())), "to 2");
    assert_eq!(in_short(&decide_on("FSS", 0, doubt(0), &policy())), "to 2");
}
