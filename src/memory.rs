//! What survives restart, crash and reload: `state.json` in the state directory, replaced atomically.

mod drill;
mod file;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::zone::{ComponentKey, Operator};

pub use drill::Drill;
pub(crate) use file::replace;
pub use file::{StateFile, Unclaimed, claim};

/// What a process must know of its predecessor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Counts flips; 0 before the first start.
    pub epoch: u64,
    /// The active zone's name; `None` before the first start.
    pub active: Option<String>,
    /// Since when it is active.
    pub active_since: Option<Timestamp>,
    /// Why it is active.
    pub active_because: Option<String>,
    /// The pinned zone.
    pub pinned: Option<String>,
    /// Operator states other than `Ready`.
    pub operators: BTreeMap<ComponentKey, Operator>,
    /// Automatic flips within the last hour, for the budget.
    pub flips: Vec<Timestamp>,
    /// A drill that is under way.
    pub drill: Option<Drill>,
    /// The last journal entry that was made before this was stored: what later ones tell may not be in here. `None`: not known.
    pub entry: Option<u64>,
}

impl Memory {
    /// As it stands in `state.json`.
    pub fn to_json(&self) -> Value {
        let operators: Vec<Value> = self
            .operators
            .iter()
            .map(|(key, state)| {
                json!({"zone": &*key.zone, "component": &*key.name, "state": state.to_string()})
            })
            .collect();
        let flips: Vec<String> = self.flips.iter().map(Timestamp::to_string).collect();
        json!({
            "epoch": self.epoch,
            "active": self.active,
            "active_since": self.active_since.map(|at| at.to_string()),
            "active_because": self.active_because,
            "pinned": self.pinned,
            "operators": operators,
            "flips": flips,
            "drill": self.drill.as_ref().map(Drill::to_json),
            "entry": self.entry,
        })
    }

    /// Reads what [`Self::to_json`] made, of this or an older version: a missing field has its default, an unknown one is
    /// passed over. The error says what can't be understood.
    pub fn from_json(json: &Value) -> Result<Self, String> {
        let fields = json.as_object().ok_or("not a JSON object")?;
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(format!("{name} is {other}, not a string")),
        };
        let epoch = fields
            .get("epoch")
            .and_then(Value::as_u64)
            .ok_or("epoch is not a number")?;
        let mut operators = BTreeMap::new();
        for operator in list(fields.get("operators")) {
            let (key, state) =
                operator_state(operator).ok_or_else(|| format!("bad operator state {operator}"))?;
            operators.insert(key, state);
        }
        let flips = list(fields.get("flips"))
            .iter()
            .map(|flip| timestamp(flip.as_str().unwrap_or_default()))
            .collect::<Result<_, _>>()?;
        let drill = match fields.get("drill") {
            None | Some(Value::Null) => None,
            Some(drill) => Some(Drill::from_json(drill).ok_or(format!("bad drill {drill}"))?),
        };
        Ok(Self {
            epoch,
            active: text("active")?,
            active_since: text("active_since")?.map(|at| timestamp(&at)).transpose()?,
            active_because: text("active_because")?,
            pinned: text("pinned")?,
            operators,
            flips,
            drill,
            entry: fields.get("entry").and_then(Value::as_u64),
        })
    }
}

fn list(field: Option<&Value>) -> &[Value] {
    field.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is not a time: {error}"))
}

fn operator_state(json: &Value) -> Option<(ComponentKey, Operator)> {
    let key = ComponentKey {
        zone: json["zone"].as_str()?.into(),
        name: json["component"].as_str()?.into(),
    };
    Some((key, Operator::named(json["state"].as_str()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn full() -> Memory {
        let at: Timestamp = "2025-03-01T02:03:04.5Z".parse().unwrap();
        Memory {
            epoch: 7,
            active: Some("fz-2".into()),
            active_since: Some(at),
            active_because: Some("fz-1 failed".into()),
            pinned: Some("fz-2".into()),
            operators: BTreeMap::from([(
                ComponentKey {
                    zone: "fz-1".into(),
                    name: "app-1".into(),
                },
                Operator::Maintenance,
            )]),
            flips: vec![at],
            drill: Some(Drill {
                zone: "fz-1".into(),
                away: "fz-2".into(),
                since: at,
                until: at,
                reason: None,
                aborted: Some("errors".into()),
                left_ms: 12,
                before: [100, 1],
                during: [200, 30],
                held: 3,
            }),
            entry: Some(9),
        }
    }

    #[test]
    fn everything_comes_back_from_json() {
        assert_eq!(Memory::from_json(&full().to_json()), Ok(full()));
        let empty = Memory::default();
        assert_eq!(Memory::from_json(&empty.to_json()), Ok(empty));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_a_default() {
        for json in [
            json!([]),
            json!({}),
            json!({"epoch": "7"}),
            json!({"epoch": 1, "active": 2}),
            json!({"epoch": 1, "flips": ["yesterday"]}),
            json!({"epoch": 1, "drill": {"zone": "fz-1"}}),
            json!({"epoch": 1, "operators": [{"zone": "a", "component": "b", "state": "asleep"}]}),
        ] {
            assert!(Memory::from_json(&json).is_err(), "{json}");
        }
    }
}
