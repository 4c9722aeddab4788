//! An operator's command as part of a line, and back. What the operator has written about it is left out.

use serde_json::{Value, json};

use super::line::{Names, from_milliseconds, milliseconds};
use crate::health::checker::Command;
use crate::zone::Operator;

pub(super) fn command_fields(command: &Command) -> Value {
    match command {
        Command::Activate { zone, hold, .. } => {
            json!({"command": "activate", "zone": zone, "hold": hold})
        }
        Command::Failback { hold, .. } => json!({"command": "failback", "hold": hold}),
        Command::Pin { zone, .. } => json!({"command": "pin", "zone": zone}),
        Command::Unpin { zone, .. } => json!({"command": "unpin", "zone": zone}),
        Command::Drill { zone, length, .. } => {
            json!({"command": "drill", "zone": zone, "for_ms": milliseconds(*length)})
        }
        Command::AbortDrill { .. } => json!({"command": "abort_drill"}),
        Command::Operator {
            component, state, ..
        } => json!({
            "command": "operator",
            "component": component.to_string(),
            "state": state.to_string(),
        }),
    }
}

pub(super) fn command(line: &Value, names: &mut Names) -> Option<Command> {
    let zone = || Some(line["zone"].as_str()?.to_owned());
    let reason = None;
    Some(match line["command"].as_str()? {
        "activate" => Command::Activate {
            zone: zone()?,
            hold: line["hold"].as_bool()?,
            reason,
        },
        "failback" => Command::Failback {
            hold: line["hold"].as_bool()?,
            reason,
        },
        "pin" => {
            let zone = zone()?;
            Command::Pin { zone, reason }
        }
        "unpin" => {
            let zone = zone()?;
            Command::Unpin { zone, reason }
        }
        "drill" => Command::Drill {
            zone: zone()?,
            length: from_milliseconds(&line["for_ms"])?,
            reason,
        },
        "abort_drill" => Command::AbortDrill { reason },
        "operator" => Command::Operator {
            component: names.key(&line["component"])?,
            state: operator(&line["state"])?,
            reason,
        },
        _ => return None,
    })
}

/// As a journal entry has it, too.
pub(in crate::journal) fn operator(state: &Value) -> Option<Operator> {
    let states = [Operator::Ready, Operator::Drain, Operator::Maintenance];
    states.into_iter().find(|known| *state == known.to_string())
}
