//! Keys, orders and answers, without a terminal.

use http::HeaderValue;
use serde_json::json;

use super::super::errand::{Answer, Errand, Supposition};
use super::super::state::{Cursor, Effect, Panel};
use super::{looked, press, screen, state, status, tell, well, zone};

#[test]
fn a_journal_that_counts_anew_replaces_the_old_one() {
    let (mut state, now) = state(well());
    for number in [7, 8, 1] {
        let entry = json!({"number": number, "kind": "transition", "message": "x", "at": "2025-03-01T11:00:00Z"});
        tell(&mut state, "journal", entry, now);
    }
    assert_eq!(state.picture.journal.len(), 1);
}

#[test]
fn the_cursor_walks_through_all_zones_and_stays_within() {
    let (mut state, now) = state(well());
    let at = |zone, component| Cursor { zone, component };
    for (keys, expected) in [
        ("↑", at(0, None)),
        ("←", at(0, None)),
        ("↓j", at(0, Some(1))),
        ("→", at(1, Some(0))),
        ("↓↓", at(1, Some(0))),
        ("kk", at(0, Some(1))),
    ] {
        press(&mut state, keys);
        assert_eq!(state.cursor, expected, "{keys}");
    }
    let smaller = status(&[zone("fz-9", true, "serving", &[])]);
    tell(&mut state, "status", smaller, now);
    assert_eq!(state.cursor, at(0, None));
}

#[test]
fn an_order_is_given_only_by_a_y_and_with_the_tag_of_what_was_seen() {
    let (mut state, now) = state(well());
    assert_eq!(
        press(&mut state, "→a"),
        Some(Effect::Run(Errand::Look(None)))
    );
    // Keys before it is known what would happen lead nowhere.
    assert_eq!(press(&mut state, "\ny"), None);
    looked(&mut state, None, now);
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("All requests go from fz-1 to fz-2."),
        "{said}"
    );
    assert!(
        said.contains("until those in flight in fz-1 are finished: 4 now."),
        "{said}"
    );
    for left in ["quit\u{1b}", "quit\nn", "quit\n\u{1b}"] {
        assert_eq!(press(&mut state, left), None, "{left:?}");
        assert!(matches!(state.panel, Panel::Nothing), "{left:?}");
        press(&mut state, "a");
        looked(&mut state, None, now);
    }
    let order = press(&mut state, "quit\ny");
    let expected = Errand::Order {
        path: "/v1/zones/fz%2D2/activate".to_owned(),
        body: json!({"reason": "quit"}),
        tag: Some(HeaderValue::from_static("\"4-2\"")),
    };
    assert_eq!(order, Some(Effect::Run(expected)));

    // While it is under way nothing else is.
    press(&mut state, "\u{1b}");
    assert_eq!(press(&mut state, "f"), None);
    assert!(state.notice.as_ref().unwrap().contains("under way"));
    state.answered(Answer::Ordered(Ok("FLIP".to_owned())), now);
    assert_eq!(state.notice.as_deref(), Some("Done: FLIP"));
    assert!(matches!(press(&mut state, "f"), Some(Effect::Run(_))));
}

#[test]
fn what_is_pasted_gives_no_order() {
    let (mut state, now) = state(well());
    state.paste("a\ny");
    assert!(matches!(state.panel, Panel::Nothing));
    press(&mut state, "a");
    looked(&mut state, None, now);
    state.paste("ticket 7\ny\n\u{1b}[2J");
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("Reason, for the journal: ticket 7 y"),
        "{said}"
    );
    press(&mut state, "\n");
    state.paste("y");
    assert!(!state.busy);
}

#[test]
fn a_drill_can_be_ended_and_is_begun_elsewhere() {
    let (mut state, now) = state(well());
    assert_eq!(press(&mut state, "D"), None);
    assert!(
        state
            .notice
            .as_ref()
            .unwrap()
            .contains("firedoor drill --zone fz-1")
    );
    let mut drill = well();
    drill["drill"] = json!({"zone": "fz-2", "away": "fz-1", "until": "2025-03-01T12:10:00Z"});
    tell(&mut state, "status", drill, now);
    press(&mut state, "D");
    looked(&mut state, None, now);
    assert!(screen(&state, (100, 30), now).contains("All requests go back to fz-2 now"));
    let Some(Effect::Run(Errand::Order { path, .. })) = press(&mut state, "\ny") else {
        panic!("no order");
    };
    assert_eq!(path, "/v1/drill/abort");
}

#[test]
fn a_refused_order_says_why_and_can_be_looked_at_again() {
    let (mut state, now) = state(well());
    press(&mut state, "f");
    looked(&mut state, None, now);
    press(&mut state, "why not\ny");
    state.answered(
        Answer::Ordered(Err("fz-1 is active\nalready".to_owned())),
        now,
    );
    let said = screen(&state, (100, 30), now);
    assert!(said.contains("Not done: fz-1 is active"), "{said}");
    assert!(matches!(
        press(&mut state, "r"),
        Some(Effect::Run(Errand::Look(_)))
    ));
    looked(&mut state, None, now);
    assert!(
        screen(&state, (100, 30), now).contains("why not"),
        "the reason is kept"
    );
}

#[test]
fn keys_of_components_need_one_and_pin_turns_into_unpin() {
    let (mut state, now) = state(well());
    assert_eq!(press(&mut state, "d"), None);
    assert!(state.notice.is_some());
    press(&mut state, "↓m");
    looked(&mut state, None, now);
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("1 of 2 backends of pool default are left in fz-1; 2 requests"),
        "{said}"
    );
    let Some(Effect::Run(Errand::Order { path, .. })) = press(&mut state, "\ny") else {
        panic!("no order");
    };
    assert_eq!(path, "/v1/zones/fz%2D1/backends/app%2D1/maintenance");
    state.answered(Answer::Ordered(Ok(String::new())), now);

    let mut pinned = well();
    pinned["pinned"] = "fz-1".into();
    tell(&mut state, "status", pinned, now);
    press(&mut state, "\n→p");
    looked(&mut state, Some(json!({"kind": "stay"})), now);
    assert!(screen(&state, (100, 30), now).contains("Unpin fz-1"));
}

#[test]
fn what_if_asks_about_what_is_selected_and_about_its_return_where_it_is_down() {
    let (mut state, now) = state(well());
    let supposed = |down: &[&str], up: &[&str]| {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let supposition = Supposition {
            down: names(down),
            up: names(up),
        };
        Some(Effect::Run(Errand::Look(Some(supposition))))
    };
    assert_eq!(press(&mut state, "x"), supposed(&["fz-1"], &[]));
    assert_eq!(
        press(&mut state, "\u{1b}↓x"),
        supposed(&["fz-1:app-1"], &[])
    );
    press(&mut state, "\u{1b}");
    let mut down = well();
    down["zones"][0]["components"][0]["status"] = "down".into();
    tell(&mut state, "status", down, now);
    assert_eq!(press(&mut state, "x"), supposed(&[], &["fz-1:app-1"]));
    let plan =
        json!({"kind": "flip", "active_zone": "fz-1", "to": "fz-2", "in_ms": 50.0, "zones": []});
    looked(&mut state, Some(plan), now);
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("What if fz-1:app-1 comes up again?")
            && said.contains("FLIP fz-1 → fz-2 in 50 ms"),
        "{said}"
    );
    assert_eq!(press(&mut state, "y"), None, "there is nothing to confirm");
}
