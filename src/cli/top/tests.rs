mod drawing;
mod steering;

use std::time::Instant;

use http::HeaderValue;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::{Value, json};

use super::super::events::Event;
use super::draw::{Look, draw};
use super::errand::{Answer, Sight};
use super::key::Press;
use super::link::News;
use super::state::{Effect, State};

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

fn press(state: &mut State, keys: &str) -> Option<Effect> {
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
        effect = state.press(key);
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
