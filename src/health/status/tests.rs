//! The table of statuses, row by row, and the schedule that follows from doubts.

use std::num::NonZeroU32;

use super::*;
use crate::config::CheckKind;
use crate::outcome::{CheckCode, Silence, Trouble};

const FALL: u32 = 2;
const RISE: u32 = 3;

fn check() -> Check {
    Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        confirm_interval: Duration::from_millis(50),
        fall: NonZeroU32::new(FALL).unwrap(),
        rise: NonZeroU32::new(RISE).unwrap(),
        send_proxy: None,
    }
}

fn component(now: Moment) -> Component {
    let key = ComponentKey {
        zone: "fz-1".into(),
        name: "postgres".into(),
    };
    let address = Address::Ip(([10, 0, 0, 1], 5432).into());
    let role = Role::Dependency { required: true };
    Component::new(ComponentId(1), key, address, role, Arc::new(check()), now)
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

/// A probe comes back.
fn end(component: &mut Component, round: u64, outcome: Outcome, now: Moment) -> Option<Transition> {
    let flight = component.schedule.land(round).expect("it is in flight");
    component.judge(flight, outcome, 1, now)
}

/// Nothing comes back.
fn silence() -> Outcome {
    Outcome {
        code: CheckCode::L7Timeout,
        ..outcome(false)
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
        let due = component.next_probe().expect("nothing in flight");
        *now = now.after(due.saturating_duration_since(now.instant));
        let round = component.start_probe(*now).expect("it is due");
        if let Some(transition) = end(component, round, outcome, *now) {
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
fn outcomes_are_kept_within_bounds_and_the_last_eight_are_evidence() {
    let mut now = Moment::some();
    let mut component = component(now);
    let transitions = probe(&mut component, &"+-".repeat(KEPT), &mut now);
    assert_eq!(transitions, [(Status::Up, 1)]);
    assert_eq!(component.outcomes().count(), KEPT);
    assert!(!component.outcomes().next_back().unwrap().1.passed());

    let mut component = self::component(now);
    Arc::make_mut(&mut component.check).fall = 12.try_into().unwrap();
    let transitions = probe(&mut component, &format!("+{}", "-".repeat(12)), &mut now);
    assert_eq!(transitions[1], (Status::Down, EVIDENCE));
}

#[test]
fn a_fail_is_confirmed_after_the_confirm_interval_and_not_sooner() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    let wait = component.next_probe().unwrap() - now.instant;
    assert!(wait >= Duration::from_millis(900), "{wait:?}");
    probe(&mut component, "-", &mut now);
    assert_eq!(
        component.next_probe().unwrap() - now.instant,
        Duration::from_millis(50)
    );
    // Refuted: back to the interval.
    probe(&mut component, "+", &mut now);
    assert!(component.next_probe().unwrap() - now.instant >= Duration::from_millis(900));
    // Confirmed: back to the interval as well, a component that is down isn't hammered.
    probe(&mut component, "--", &mut now);
    assert!(component.next_probe().unwrap() - now.instant >= Duration::from_millis(900));
}

#[test]
fn live_trouble_brings_probes_forward_and_any_amount_of_it_no_more() {
    let confirm = Duration::from_millis(50);
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_millis(500));
    component.doubt(Trouble::Connect.into(), now);
    assert_eq!(component.next_probe(), Some(now.instant), "at once");
    let first = component.start_probe(now).unwrap();
    for _ in 0..1000 {
        component.doubt(Trouble::Connect.into(), now);
        assert_eq!(component.next_probe(), Some(now.instant + confirm));
        assert_eq!(component.start_probe(now), None);
    }
    now = now.after(confirm);
    let second = component.start_probe(now).unwrap();
    for _ in 0..1000 {
        component.doubt(Trouble::Connect.into(), now);
        assert_eq!(
            component.next_probe(),
            None,
            "no more than `fall` in flight"
        );
    }
    assert_eq!(end(&mut component, first, outcome(false), now), None);
    assert_eq!(
        component.next_probe(),
        None,
        "one more fail is all that it takes"
    );
    assert!(end(&mut component, second, outcome(false), now).is_some());
}

#[test]
fn a_probe_that_was_sent_before_the_trouble_does_not_refute_it() {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_secs(2));
    let round = component.start_probe(now).unwrap();
    let asked = now.after(Duration::from_millis(10));
    component.doubt(Trouble::Reset.into(), asked);
    end(
        &mut component,
        round,
        outcome(true),
        now.after(Duration::from_millis(20)),
    );
    assert_eq!(
        component.next_probe(),
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
    let round = component.start_probe(now).unwrap();
    assert_eq!(end(&mut component, round, outcome(false), now), None);
    now = now.after(Duration::from_millis(50));
    let round = component.start_probe(now).unwrap();
    let transition = end(&mut component, round, outcome(false), now).expect("down");
    assert_eq!(transition.hastened_by, Some(Trouble::Connect.into()));
    assert_eq!(transition.detected_in, Duration::from_millis(50));
    assert_eq!(transition.evidence.len(), 2);
}

/// Up, and due; its first probe is started.
fn probed(sign: Option<Sign>) -> (Component, Moment, u64) {
    let mut now = Moment::some();
    let mut component = component(now);
    probe(&mut component, "+", &mut now);
    now = now.after(Duration::from_secs(2));
    if let Some(sign) = sign {
        component.doubt(sign, now);
    }
    let round = component.start_probe(now).unwrap();
    (component, now, round)
}

/// Starts each probe as soon as it may be and lets none come back before its timeout. When it is down, after how many probes.
fn hang(component: &mut Component, mut now: Moment, first: u64) -> (Duration, u64) {
    let timeout = component.check.timeout;
    let begun = now.instant;
    let mut flights = VecDeque::from([(first, now.instant)]);
    loop {
        let back = |started: Instant| started + timeout;
        let first_back = flights.front().map(|(_, started)| back(*started));
        let due = component.next_probe();
        match due.filter(|due| first_back.is_none_or(|back| *due < back)) {
            Some(due) => {
                now = now.after(due.saturating_duration_since(now.instant));
                flights.push_back((component.start_probe(now).unwrap(), now.instant));
            }
            None => {
                let (round, started) = flights.pop_front().unwrap();
                now = now.after(back(started).saturating_duration_since(now.instant));
                if end(component, round, silence(), now).is_some() {
                    return (now.instant - begun, component.schedule.round() + 1 - first);
                }
            }
        }
    }
}

#[test]
fn what_hangs_is_confirmed_by_probes_that_overlap() {
    let ms = Duration::from_millis;
    let still = Sign::Silence(Silence {
        lasted: ms(104),
        usual: None,
    });
    let rows = [
        // Five timeouts, since nothing else speaks against it; before one of them is back, nothing asks for another.
        (None, ms(1150), 5),
        // All five go out one after the other.
        (Some(still), ms(700), 5),
        // It answers requests, if badly.
        (Some(Trouble::ServerError.into()), ms(700), 5),
        (Some(Trouble::ResponseTimeout.into()), ms(550), 2),
        (Some(Trouble::Reset.into()), ms(550), 2),
    ];
    for (sign, expected, probes) in rows {
        let (mut component, now, first) = probed(sign);
        assert_eq!(
            hang(&mut component, now, first),
            (expected, probes),
            "{sign:?}"
        );
    }
}

#[test]
fn timeouts_alone_take_five_unless_fall_is_more_and_one_other_fail_among_them_takes_no_more() {
    for (fall, sequence, needed) in [
        (1, "ttttt", 5),
        (2, "ttttt", 5),
        (7, "ttttttt", 7),
        (2, "t-", 2),
        (2, "ttt-", 4),
        (2, "-t", 2),
        (1, "-", 1),
    ] {
        let mut now = Moment::some();
        let mut component = component(now);
        let fall = NonZeroU32::new(fall).unwrap();
        component.check = Arc::new(Check {
            fall,
            ..(*component.check).clone()
        });
        probe(&mut component, "+", &mut now);
        let mut fails = 0;
        for said in sequence.chars() {
            let due = component.next_probe().unwrap();
            now = now.after(due.saturating_duration_since(now.instant));
            let round = component.start_probe(now).unwrap();
            let outcome = if said == 't' {
                silence()
            } else {
                outcome(false)
            };
            fails += 1;
            if end(&mut component, round, outcome, now).is_some() {
                break;
            }
        }
        assert_eq!(
            (component.status, fails),
            (Status::Down, needed),
            "{fall} {sequence}"
        );
    }
}

#[test]
fn an_outcome_that_was_overtaken_counts_only_if_it_says_the_same() {
    let reset = Some(Trouble::Reset.into());
    let two = || {
        let (mut component, now, first) = probed(reset);
        let now = now.after(Duration::from_millis(50));
        let second = component.start_probe(now).unwrap();
        (component, now, first, second)
    };
    // The later one has failed: that the earlier one passed is old news.
    let (mut component, now, first, second) = two();
    end(&mut component, second, outcome(false), now);
    end(&mut component, first, outcome(true), now);
    assert!(component.in_doubt());
    // Both have failed, in whatever order.
    let (mut component, now, first, second) = two();
    end(&mut component, second, outcome(false), now);
    assert!(end(&mut component, first, outcome(false), now).is_some());
    // The later one has passed, and refutes what the earlier one says afterwards.
    let (mut component, now, first, second) = two();
    end(&mut component, second, outcome(true), now);
    let kept = component.outcomes().count();
    end(&mut component, first, silence(), now);
    assert!(!component.in_doubt());
    assert_eq!(component.outcomes().count(), kept);
    assert!(component.is_settled());
}

#[test]
fn what_is_in_flight_when_the_status_changes_says_nothing_any_more() {
    let (mut component, now, first) = probed(Some(Trouble::Reset.into()));
    component.check = Arc::new(Check {
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::new(3).unwrap(),
        ..(*component.check).clone()
    });
    let mut rounds = vec![first];
    let mut now = now;
    for _ in 0..2 {
        now = now.after(Duration::from_millis(50));
        rounds.push(component.start_probe(now).unwrap());
    }
    component.check = Arc::new(check());
    for round in &rounds[..2] {
        end(&mut component, *round, outcome(false), now);
    }
    assert_eq!(component.status, Status::Down);
    let last = component.schedule.land(rounds[2]).unwrap();
    assert_eq!(last.fate, schedule::Fate::Late);
}
