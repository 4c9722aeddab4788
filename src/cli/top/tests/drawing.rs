//! What is on the screen, whatever its size, and whatever firedoor tells.

use std::time::Duration;

use ratatui::style::Color;
use serde_json::{Value, json};

use super::super::draw::Look;
use super::super::link::News;
use super::{COLOURED, buffer, component, press, screen, state, status, tell, well, zone};

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
    let (mut state, now) = super::state(flipped);
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
            press(&mut state, keys);
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
            press(&mut state, "↓");
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
    press(&mut state, "↓\n");
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
