//! Every order that can be given here: what it is called, what is sent, and what it would do, told before it is given.

use serde_json::{Value, json};

use super::super::client::segment;
use super::super::status::{text, texts};
use super::super::terminal::Tone;
use super::errand::{Sight, Supposition};
use super::picture::list;

/// An order, not given yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    Activate {
        zone: String,
    },
    Failback {
        to: String,
    },
    Pin {
        zone: String,
    },
    Unpin {
        zone: String,
    },
    /// A component's operator state.
    Put {
        zone: String,
        name: String,
        state: &'static str,
    },
    EndDrill,
    Reload,
}

/// A line, and what it says to those who see colours.
pub(super) type Line = (Tone, String);

impl Order {
    pub(super) fn title(&self) -> String {
        match self {
            Self::Activate { zone } => format!("Activate {zone}"),
            Self::Failback { to } => format!("Go back to {to}"),
            Self::Pin { zone } => format!("Pin {zone}"),
            Self::Unpin { zone } => format!("Unpin {zone}"),
            Self::Put { zone, name, state } => match *state {
                "drain" => format!("Drain {zone}:{name}"),
                "ready" => format!("{zone}:{name} takes part again"),
                _ => format!("Maintenance of {zone}:{name}"),
            },
            Self::EndDrill => "End the drill".to_owned(),
            Self::Reload => "Reload the configuration".to_owned(),
        }
    }

    /// Where it goes.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Activate { zone } => format!("/v1/zones/{}/activate", segment(zone)),
            Self::Failback { .. } => "/v1/failback".to_owned(),
            Self::EndDrill => "/v1/drill/abort".to_owned(),
            Self::Pin { zone } => format!("/v1/zones/{}/pin", segment(zone)),
            Self::Unpin { zone } => format!("/v1/zones/{}/unpin", segment(zone)),
            Self::Put { zone, name, state } => {
                let (zone, name) = (segment(zone), segment(name));
                format!("/v1/zones/{zone}/backends/{name}/{state}")
            }
            Self::Reload => "/v1/reload".to_owned(),
        }
    }

    pub(super) fn body(&self, reason: &str) -> Value {
        match reason.trim() {
            "" => json!({}),
            reason => json!({"reason": reason}),
        }
    }

    /// What has to be supposed to tell what it would do.
    pub(super) fn supposition(&self, status: &Value) -> Option<Supposition> {
        let down = |name: String| Supposition {
            down: vec![name],
            up: Vec::new(),
        };
        match self {
            Self::Pin { zone } if status["active_zone"] == **zone => Some(down(zone.clone())),
            Self::Unpin { .. } => Some(Supposition::default()),
            Self::Put { zone, name, state } if *state == "ready" => {
                let is_down = component(status, zone, name)["status"] == "down";
                is_down.then(|| down(format!("{zone}:{name}")))
            }
            _ => None,
        }
    }

    /// What would happen.
    pub(super) fn preview(&self, sight: &Sight) -> Vec<Line> {
        let Sight { status, plan, .. } = sight;
        let plan = plan.as_ref().unwrap_or(&Value::Null);
        match self {
            Self::Activate { zone } | Self::Failback { to: zone } => planned(zone, status),
            Self::EndDrill => vec![plain(format!(
                "All requests go back to {} now, as planned: new ones wait until those in flight are finished.",
                text(&status["drill"]["zone"])
            ))],
            Self::Pin { zone } => pinned(zone, status, plan),
            Self::Unpin { .. } => vec![
                plain("Failures move the traffic again."),
                if plan["kind"] == "withheld" || plan["kind"] == "flip" {
                    bad(format!(
                        "At once: all requests go to {}.",
                        text(&plan["to"])
                    ))
                } else {
                    plain("Nothing moves now.")
                },
            ],
            Self::Put { zone, name, state } if *state == "ready" => {
                put_back(component(status, zone, name), zone, plan)
            }
            Self::Put { zone, name, state } => taken_out(status, zone, name, state),
            Self::Reload => vec![
                plain(format!(
                    "{} is read again.",
                    text(&status["configuration"]["path"])
                )),
                plain(format!(
                    "All or nothing: with a single mistake, configuration {} stays in force, and the mistakes are told here.",
                    status["config_generation"]
                )),
                plain("Components that stay the same keep their state."),
            ],
        }
    }
}

fn planned(to: &str, status: &Value) -> Vec<Line> {
    let from = text(&status["active_zone"]);
    let mut lines = Vec::new();
    if let Some(zone) = status["pinned"].as_str() {
        lines.push(bad(format!(
            "{zone} is pinned: this will be refused until it is unpinned."
        )));
    }
    if to == from {
        lines.push(bad(format!(
            "{to} is active already: this will be refused."
        )));
    } else {
        lines.push(plain(format!("All requests go from {from} to {to}.")));
        lines.push(plain(format!(
            "New ones wait until those in flight in {from} are finished: {} now.",
            in_flight(zone(status, &from))
        )));
    }
    lines.push(fitness(to, status));
    if status["drill"].is_object() {
        lines.push(bad("A drill is under way."));
    }
    lines
}

fn pinned(to: &str, status: &Value, plan: &Value) -> Vec<Line> {
    let active = text(&status["active_zone"]);
    let mut lines = vec![plain(format!(
        "{to} stays active whatever happens, until it is unpinned."
    ))];
    if to != active {
        lines.push(plain(format!(
            "It isn't active: all requests go there at once, from {active}."
        )));
        lines.push(fitness(to, status));
    } else if plan["kind"] == "flip" {
        lines.push(plain(format!(
            "This is what you give up: if {to} failed, all requests would go to {} within {:.0} ms.",
            text(&plan["to"]),
            plan["in_ms"].as_f64().unwrap_or(0.0)
        )));
    } else {
        lines.push(plain(
            "Nothing is given up now: no other zone could take over.",
        ));
    }
    lines
}

fn fitness(to: &str, status: &Value) -> Line {
    let zone = zone(status, to);
    if zone["verdict"] == "serving" {
        return (
            Tone::Good,
            format!("{to} is serving: everything it needs is up."),
        );
    }
    let reasons: Vec<String> = texts(&zone["reasons"]).collect();
    bad(format!(
        "{to} is {}: {}",
        text(&zone["verdict"]),
        reasons.join("; ")
    ))
}

fn taken_out(status: &Value, of: &str, name: &str, state: &str) -> Vec<Line> {
    let part = component(status, of, name);
    let mut lines = vec![
        plain(if state == "drain" {
            "It gets nothing new, and finishes what it has."
        } else {
            "It gets nothing, and isn't judged."
        }),
        plain(format!(
            "While it is out it counts neither way: its failure doesn't flip, and {of} is judged without it."
        )),
    ];
    let pool = list(&status["pools"])
        .iter()
        .find(|pool| pool["name"] == part["pool"]);
    let pool = pool.and_then(|pool| list(&pool["zones"]).iter().find(|zone| zone["name"] == *of));
    if let (Some(pool), "backend") = (pool, part["kind"].as_str().unwrap_or("")) {
        let counted = part["status"] == "up" && part["operator"] == "ready";
        let left = pool["up"]
            .as_u64()
            .unwrap_or(0)
            .saturating_sub(counted.into());
        let said = format!(
            "{left} of {} backends of pool {} are left in {of}; {} requests are in flight here.",
            pool["total"],
            text(&part["pool"]),
            part["in_flight"]
        );
        lines.push(if left == 0 { bad(said) } else { plain(said) });
    }
    lines
}

fn put_back(part: &Value, of: &str, plan: &Value) -> Vec<Line> {
    if part["status"] != "down" {
        return vec![plain(format!(
            "It counts for {of} again; it is {}.",
            text(&part["status"])
        ))];
    }
    let mut lines = vec![bad(format!("It counts for {of} again, and it is down:"))];
    lines.push(if plan["kind"] == "flip" {
        bad(format!("all requests would go to {}.", text(&plan["to"])))
    } else {
        plain(format!("{}.", text(&plan["decision"])))
    });
    lines
}

fn zone<'a>(status: &'a Value, name: &str) -> &'a Value {
    let zones = list(&status["zones"]);
    zones
        .iter()
        .find(|zone| zone["name"] == *name)
        .unwrap_or(&Value::Null)
}

fn component<'a>(status: &'a Value, of: &str, name: &str) -> &'a Value {
    let components = list(&zone(status, of)["components"]);
    components
        .iter()
        .find(|one| one["name"] == *name)
        .unwrap_or(&Value::Null)
}

/// Requests in flight in a zone.
pub(super) fn in_flight(zone: &Value) -> u64 {
    let components = list(&zone["components"]).iter();
    components.filter_map(|one| one["in_flight"].as_u64()).sum()
}

fn plain(line: impl Into<String>) -> Line {
    (Tone::Plain, line.into())
}

fn bad(line: impl Into<String>) -> Line {
    (Tone::Bad, line.into())
}
