//! The table of statuses, row by row, and the schedule that follows from doubts.

use std::num::NonZeroU32;

use super::*;
use crate::config::CheckKind;
use crate::outcome::Trouble;

const FALL: u32 = 2;
const RISE: u32 = 3;

fn component(now: Moment) -> Component {
    let check = Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        confirm_interval: Duration::from_millis(50),
        fall: NonZeroU32::new(FALL).unwrap(),
        rise: NonZeroU32::new(RISE).unwrap(),
        send_proxy: None,
    };
    let key = ComponentKey {
        zone: "fz-1".into(),
        name: "postgres".into(),
    };
    let address = Address::Ip(([10, 0, 0, 1], 5432).into());
    let role = Role::Dependency { required: true };
    Component::new(ComponentId(1), key, address, role, Arc::new(check), now)
}

fn out_of_sockets() -> Outcome {
    Outcome {
        code: CheckCode::SocketError,
        detail: "too many open files".to_owned(),
        ..outcome(false)
    }
}

fn outcome(passes: bool) -> Outcome {
    let (code, detail) = match passes {
        true => (CheckCode::L4Ok, ""),
        false => (CheckCode::L4Con, "connection refused"),
    };
    Outcome {
        code,
        detail: detail.to_owned(),
        took: Duration::ZERO,
        status: None,
    }
}

/// Probes at the moment the schedule asks for; `+` passes, `-` fails, `o` says nothing. The transitions, with how many outcomes each rests on.
fn probe(component: &mut Component, outcomes: &str, now: &mut Moment) -> Vec<(Status, usize)> {
    let mut transitions = Vec::new();
    for said in outcomes.chars() {
        let outcome = match said {
            'o' => out_of_sockets(),
            said => outcome(said == '+'),
        };
        let due = component.schedule.due().expect("nothing in flight");
        *now = now.after(due.saturating_duration_since(now.instant));
        assert!(component.start_probe(*now).is_some());
        if let Some(transition) = component.judge(outcome, 1, *now) {
            transitions.push((transition.to, transition.evidence.len()));
        }
    }
    transitions
}

#[test]
fn only_unbroken_contrary_evidence_turns_a_status() {
    use Status::{Down, Up};
    let rows: [(&str, &[(Status, usize)]); 12] = [
        ("+", &[(Up, 1)]),
        ("-", &[]),
        ("--", &[(Down, 2)]),
        ("-+", &[(Up, 1)]),
        ("+-+-+-+", &[(Up, 1)]),
        ("+--", &[(Up, 1), (Down, 2)]),
        ("--++-++-", &[(Down, 2)]),
        ("--+++", &[(Down, 2), (Up, 3)]),
        ("+oooooooo", &[(Up, 1)]),
        ("+o-oo-", &[(Up, 1), (Down, 2)]),
        ("--+o+o+", &[(Down, 2), (Up, 3)]),
        // Nothing is known yet that it could change, and somebody waits.
        ("oo", &[(Down, 2)]),
    ];
    for (outcomes, expected) in rows {
        let mut now = Moment::some();
        let mut component = component(now);
        assert_eq!(
            probe(&mut component, outcomes, &mut now),
            expected,
            "{outcomes}"
        );
    }
}

#[test]
fn a_reason_is_what_an_operator_would_say() {
    let mut now = Moment::some();
    let mut component = component(now);
    assert_eq!(component.describe(), "postgres isn't judged yet");
    probe(&mut component, "--", &mut now);
    assert_eq!(
        component.describe(),
        "postgres is down since 03:12:07 UTC: L4CON in 0 ms (connection refused), 2 in a row"
    );
    let reason = component.describe();
    probe(&mut component, "-----", &mut now);
    assert_eq!(
        component.describe(),
        reason,
        "the reason stays as long as the status"
    );
}

#[test]
fn only_the_last_eight_outcomes_are_kept() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+++++++---", &mut now);
    let kept: String = component
        .outcomes()
        .map(|(_, o)| if o.passed() { '+' } else { '-' })
        .collect();
    assert_eq!(kept, "+++++---");
}

#[test]
fn a_fail_is_confirmed_after_the_confirm_interval_and_not_sooner() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    let wait = component.schedule.due().unwrap() - now.instant;
    assert!(wait >= Duration::from_millis(900), "{wait:?}");
    probe(&mut component, "-", &mut now);
    assert_eq!(
        component.schedule.due().unwrap() - now.instant,
        Duration::from_millis(50)
    );
    // Refuted: back to the interval.
    probe(&mut component, "+", &mut now);
    assert!(component.schedule.due().unwrap() - now.instant >= Duration::from_millis(900));
    // Confirmed: back to the interval as well, a component that is down isn't hammered.
    probe(&mut component, "--", &mut now);
    assert!(component.schedule.due().unwrap() - now.instant >= Duration::from_millis(900));
}

#[test]
fn live_trouble_brings_one_probe_forward_and_any_amount_of_it_no_more() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_millis(500));
    component.doubt(Trouble::Connect.into(), now);
    assert_eq!(component.schedule.due(), Some(now.instant), "at once");
    component.start_probe(now).unwrap();
    for _ in 0..1000 {
        component.doubt(Trouble::Connect.into(), now);
        assert_eq!(component.schedule.due(), None, "never two in flight");
    }
    component.judge(outcome(false), 1, now);
    for _ in 0..1000 {
        component.doubt(Trouble::Connect.into(), now);
    }
    assert_eq!(
        component.schedule.due().unwrap() - now.instant,
        Duration::from_millis(50)
    );
}

#[test]
fn a_probe_that_was_sent_before_the_trouble_does_not_refute_it() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_secs(2));
    component.start_probe(now).unwrap();
    let asked = now.after(Duration::from_millis(10));
    component.doubt(Trouble::Reset.into(), asked);
    component.judge(outcome(true), 1, now.after(Duration::from_millis(20)));
    assert_eq!(
        component.schedule.due(),
        Some(now.instant + Duration::from_millis(50))
    );
}

#[test]
fn a_transition_tells_what_hastened_it_and_how_long_it_took() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_millis(500));
    component.doubt(Trouble::Connect.into(), now);
    component.start_probe(now).unwrap();
    assert_eq!(component.judge(outcome(false), 1, now), None);
    now = now.after(Duration::from_millis(50));
    component.start_probe(now).unwrap();
    let transition = component.judge(outcome(false), 1, now).expect("down");
    assert_eq!(transition.hastened_by, Some(Trouble::Connect.into()));
    assert_eq!(transition.detected_in, Duration::from_millis(50));
    assert_eq!(transition.evidence.len(), 2);
}
