use std::time::{Duration, Instant};

use http::HeaderValue;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::super::events::Event;
use super::draw::{Look, draw};
use super::errand::{Answer, Errand, Sight, Supposition};
use super::key::Press;
use super::link::News;
use super::state::{Cursor, Effect, Panel, State};

const COLOURED: Look = Look {
    coloured: true,
    lines: true,
};

fn component(name: &str, status: &str) -> Value {
    let (code, passed) = if status == "up" {
        ("L7OK", true)
    } else {
        ("L4CON", false)
    };
    let outcome = |ms: f64| {
        json!({"code": code, "passed": passed, "status": 200, "ms": ms, "time": "2025-03-01T11:59:59Z",
               "detail": "HTTP 200"})
    };
    json!({
        "name": name, "kind": "backend", "pool": "default", "address": "10.0.0.1:80", "status": status,
        "operator": "ready", "gray": false, "in_flight": 2, "since": "2025-03-01T11:00:00Z",
        "last": outcome(1.0), "outcomes": [outcome(1.0), outcome(9.0), outcome(1.0)],
        "transitions": [{"at": "2025-03-01T11:00:00Z", "from": "unknown", "to": status, "because": "L7OK"}],
    })
}

fn zone(name: &str, active: bool, verdict: &str, components: &[Value]) -> Value {
    json!({"name": name, "active": active, "verdict": verdict, "since": "2025-03-01T11:00:00Z",
           "reasons": [], "components": components})
}

fn status(zones: &[Value]) -> Value {
    let active = zones.iter().find(|zone| zone["active"] == true).unwrap();
    json!({
        "version": "0.1.0", "at": "2025-03-01T12:00:00.000Z", "status": "pass", "notes": [], "phase": "ready",
        "active_zone": active["name"], "active_since": "2025-03-01T11:00:00Z", "epoch": 4,
        "active_because": "the first serving zone", "decision": format!("stay: {} is serving", active["name"]),
        "pinned": null, "flip_pending": null, "drill": null, "flips_left": 12, "holds": 0, "admission": "open",
        "config_generation": 2, "zones": zones, "certificates": [], "acme": [],
        "pools": [{"name": "default", "zones": [{"name": "fz-1", "up": 2, "total": 2}]}],
        "configuration": {"path": "/etc/firedoor.toml"},
    })
}

fn well() -> Value {
    status(&[
        zone(
            "fz-1",
            true,
            "serving",
            &[component("app-1", "up"), component("app-2", "up")],
        ),
        zone("fz-2", false, "serving", &[component("app-1", "up")]),
    ])
}

fn tell(state: &mut State, name: &str, data: Value, now: Instant) {
    let event = Event {
        name: name.to_owned(),
        data,
    };
    state.hear(News::Event(event), now);
}

fn state(status: Value) -> (State, Instant) {
    let now = Instant::now();
    let mut state = State::new("127.0.0.1:9900".to_owned(), Vec::new());
    state.hear(News::Live, now);
    tell(&mut state, "status", status, now);
    (state, now)
}

fn buffer(state: &State, (columns, rows): (u16, u16), look: Look, now: Instant) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| draw(frame, state, look, now))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn screen(state: &State, size: (u16, u16), now: Instant) -> String {
    let buffer = buffer(state, size, COLOURED, now);
    let rows = buffer.content.chunks(usize::from(size.0));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n")
        .collect()
}

fn press(state: &mut State, keys: &str, now: Instant) -> Option<Effect> {
    let mut effect = None;
    for key in keys.chars() {
        let key = match key {
            '\n' => Press::Enter,
            '\u{1b}' => Press::Escape,
            '↓' => Press::Down,
            '↑' => Press::Up,
            '→' => Press::Right,
            '←' => Press::Left,
            key => Press::Character(key),
        };
        effect = state.press(key, now);
    }
    effect
}

fn looked(state: &mut State, plan: Option<Value>, now: Instant) {
    let sight = Sight {
        status: state.picture.status.clone(),
        tag: Some(HeaderValue::from_static("\"4-2\"")),
        plan,
    };
    state.answered(Answer::Looked(Ok(sight)), now);
}

#[test]
fn the_sentence_says_which_zone_why_and_what_is_broken() {
    let (state, now) = state(well());
    let said = screen(&state, (100, 30), now);
    for part in [
        "ALL WELL  fz-1 is active and serving.  for 1 h 0 min, since ",
        "fz-2 stands by, ready to take over.",
        "why     The first serving zone.",
        "broken  nothing",
        "● fz-1 ACTIVE",
        "OPEN",
        "– req/s · – err/s",
        "● live",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }

    let mut flipped = status(&[
        zone("fz-1", false, "failed", &[component("app-1", "down")]),
        zone("fz-2", true, "serving", &[component("app-1", "up")]),
    ]);
    flipped["status"] = "warn".into();
    let (mut state, now) = self::state(flipped);
    let flip = json!({"number": 9, "kind": "flip", "epoch": 4, "to": "fz-2", "at": "2025-03-01T11:00:00Z",
                      "rule": "fz-1 has failed, and fz-2 is serving", "reasons": ["fz-1: app-1 is down"],
                      "message": "FLIP fz-1 → fz-2 (epoch 4)"});
    tell(&mut state, "journal", flip, now);
    let said = screen(&state, (120, 30), now);
    for part in [
        "LOOK AT THIS  fz-2 is active instead of fz-1.",
        "fz-1 has failed; once it is well again, you can go back. No standby is ready",
        "why     fz-1 has failed, and fz-2 is serving. fz-1: app-1 is down.",
        "broken  fz-1:app-1 is down for 1 h 0 min: L4CON/200",
        "SHUT",
        "FLIP fz-1 → fz-2 (epoch 4)",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
}

#[test]
fn pins_drills_holds_and_flips_under_way_are_told_apart() {
    let told = |change: &dyn Fn(&mut Value), parts: &[&str]| {
        let mut status = well();
        change(&mut status);
        let (state, now) = state(status);
        let said = screen(&state, (120, 30), now);
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing in\n{said}");
        }
    };
    told(
        &|status| status["pinned"] = "fz-1".into(),
        &[
            "PINNED",
            "fz-1 is pinned: it stays active whatever happens.",
        ],
    );
    told(
        &|status| status["flip_pending"] = "fz-2".into(),
        &["FLIPPING", "Going from fz-1 to fz-2."],
    );
    told(&|status| status["holds"] = 7.into(), &["7 held"]);
    told(&|status| status["admission"] = "hold".into(), &["HOLDING"]);
    told(
        &|status| {
            status["drill"] =
                json!({"zone": "fz-2", "away": "fz-1", "until": "2025-03-01T12:10:00Z"})
        },
        &["DRILL", "fz-1 has the traffic, as if fz-2 had failed"],
    );
    told(
        &|status| status["zones"][0]["components"][1]["operator"] = "drain".into(),
        &["out     fz-1:app-2 drains", "draining"],
    );
    told(
        &|status| status["zones"][1]["components"][0]["gray"] = true.into(),
        &["WELL, WITH A FAULT", "gray"],
    );
    told(
        &|status| {
            status["configuration"]["last_reload"] = json!({"at": "2025-03-01T11:59:00Z", "successful": false, "problems": [{"message": "unknown key"}]});
        },
        &[
            "configuration 2 stays in force, the reload at ",
            "was refused: unknown key",
        ],
    );
}

#[test]
fn what_was_known_stays_and_ages_when_nothing_is_heard() {
    let (mut state, now) = state(well());
    let later = now + Duration::from_secs(12);
    state.hear(News::Lost("no firedoor can be reached".to_owned()), later);
    let much_later = later + Duration::from_secs(300);
    let said = screen(&state, (120, 30), much_later);
    for part in [
        "NOT CONNECTED, last seen 5 min 12 s ago",
        "This is how it was. no firedoor",
        "● fz-1 ACTIVE",
        "for 1 h 0 min, since",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    state.hear(News::Live, much_later);
    assert!(screen(&state, (120, 30), much_later).contains("● live"));

    // Traffic comes each second: without a word for longer, it hangs.
    tell(&mut state, "traffic", json!({"zones": []}), much_later);
    assert!(screen(&state, (120, 30), much_later + Duration::from_secs(2)).contains("● live"));
    let silent = screen(&state, (120, 30), much_later + Duration::from_secs(9));
    assert!(silent.contains("last seen 9 s ago"), "{silent}");
}

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
        press(&mut state, keys, now);
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
        press(&mut state, "→a", now),
        Some(Effect::Run(Errand::Look(None)))
    );
    // Keys before it is known what would happen lead nowhere.
    assert_eq!(press(&mut state, "\ny", now), None);
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
        assert_eq!(press(&mut state, left, now), None, "{left:?}");
        assert!(matches!(state.panel, Panel::Nothing), "{left:?}");
        press(&mut state, "a", now);
        looked(&mut state, None, now);
    }
    let order = press(&mut state, "quit\ny", now);
    let expected = Errand::Order {
        path: "/v1/zones/fz%2D2/activate".to_owned(),
        body: json!({"reason": "quit"}),
        tag: Some(HeaderValue::from_static("\"4-2\"")),
    };
    assert_eq!(order, Some(Effect::Run(expected)));

    // While it is under way nothing else is.
    press(&mut state, "\u{1b}", now);
    assert_eq!(press(&mut state, "f", now), None);
    assert!(state.notice.as_ref().unwrap().contains("under way"));
    state.answered(Answer::Ordered(Ok("FLIP".to_owned())), now);
    assert_eq!(state.notice.as_deref(), Some("Done: FLIP"));
    assert!(matches!(press(&mut state, "f", now), Some(Effect::Run(_))));
}

#[test]
fn a_refused_order_says_why_and_can_be_looked_at_again() {
    let (mut state, now) = state(well());
    press(&mut state, "f", now);
    looked(&mut state, None, now);
    press(&mut state, "why not\ny", now);
    state.answered(
        Answer::Ordered(Err("fz-1 is active\nalready".to_owned())),
        now,
    );
    let said = screen(&state, (100, 30), now);
    assert!(said.contains("Not done: fz-1 is active"), "{said}");
    assert!(matches!(
        press(&mut state, "r", now),
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
    assert_eq!(press(&mut state, "d", now), None);
    assert!(state.notice.is_some());
    press(&mut state, "↓m", now);
    looked(&mut state, None, now);
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("1 of 2 backends of pool default are left in fz-1; 2 requests"),
        "{said}"
    );
    let Some(Effect::Run(Errand::Order { path, .. })) = press(&mut state, "\ny", now) else {
        panic!("no order");
    };
    assert_eq!(path, "/v1/zones/fz%2D1/backends/app%2D1/maintenance");
    state.answered(Answer::Ordered(Ok(String::new())), now);

    let mut pinned = well();
    pinned["pinned"] = "fz-1".into();
    tell(&mut state, "status", pinned, now);
    press(&mut state, "\n→p", now);
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
    assert_eq!(press(&mut state, "x", now), supposed(&["fz-1"], &[]));
    assert_eq!(
        press(&mut state, "\u{1b}↓x", now),
        supposed(&["fz-1:app-1"], &[])
    );
    press(&mut state, "\u{1b}", now);
    let mut down = well();
    down["zones"][0]["components"][0]["status"] = "down".into();
    tell(&mut state, "status", down, now);
    assert_eq!(press(&mut state, "x", now), supposed(&[], &["fz-1:app-1"]));
    let plan =
        json!({"kind": "flip", "active_zone": "fz-1", "to": "fz-2", "in_ms": 50.0, "zones": []});
    looked(&mut state, Some(plan), now);
    let said = screen(&state, (100, 30), now);
    assert!(
        said.contains("What if fz-1:app-1 comes up again?")
            && said.contains("FLIP fz-1 → fz-2 in 50 ms"),
        "{said}"
    );
    assert_eq!(
        press(&mut state, "y", now),
        None,
        "there is nothing to confirm"
    );
}

#[test]
fn no_size_and_no_panel_is_too_small_to_be_drawn() {
    let many: Vec<Value> = (0..40)
        .map(|at| component(&format!("app-{at}"), "up"))
        .collect();
    let zones = [
        zone("fz-1", true, "serving", &many),
        zone("fz-2", false, "failed", &many[..3]),
        zone("fz-3", false, "unknown", &[]),
    ];
    for status in [well(), status(&zones), status(&zones[..1])] {
        for keys in ["", "?", "\n", "↓\n", "↓↓x"] {
            let (mut state, now) = state(status.clone());
            press(&mut state, keys, now);
            for columns in [1, 2, 3, 5, 8, 13, 21, 34, 55, 80, 120] {
                for rows in [1, 2, 3, 5, 8, 13, 21, 34] {
                    buffer(&state, (columns, rows), COLOURED, now);
                }
            }
        }
    }
}

#[test]
fn what_is_selected_is_in_sight_in_large_zones_and_in_many() {
    let many: Vec<Value> = (0..40)
        .map(|at| component(&format!("app-{at}"), "up"))
        .collect();
    let large = status(&[
        zone("fz-1", true, "serving", &many),
        zone("fz-2", false, "serving", &many),
    ]);
    let narrow: Vec<Value> = (0..5)
        .map(|at| zone(&format!("fz-{at}"), at == 0, "serving", &many[..9]))
        .collect();
    for status in [large, status(&narrow)] {
        let (mut state, now) = state(status);
        for _ in 0..100 {
            press(&mut state, "↓", now);
            let said = screen(&state, (80, 24), now);
            assert_eq!(
                said.matches('▶').count() - usize::from(said.contains("──▶")),
                1,
                "{said}"
            );
        }
    }
}

#[test]
fn what_comes_from_elsewhere_moves_no_cursor() {
    let mut hostile = well();
    hostile["zones"][0]["components"][0]["name"] = "a\u{1b}[2Jb\r\nc".into();
    hostile["notes"] = json!(["disk \u{7}\u{1b}]0;x"]);
    let (mut state, now) = state(hostile);
    press(&mut state, "↓\n", now);
    let buffer = buffer(&state, (120, 40), COLOURED, now);
    for cell in &buffer.content {
        assert!(
            !cell.symbol().chars().any(char::is_control),
            "{:?}",
            cell.symbol()
        );
    }
}

#[test]
fn without_colours_or_line_characters_the_words_remain() {
    let (state, now) = state(well());
    let bare = Look {
        coloured: false,
        lines: false,
    };
    let plain = buffer(&state, (100, 30), bare, now);
    for cell in &plain.content {
        assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
    let coloured = buffer(&state, (100, 30), COLOURED, now);
    assert!(coloured.content.iter().any(|cell| cell.fg == Color::Green));
}
