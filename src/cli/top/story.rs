//! The state of everything in one sentence, and what stands behind it: why, what is broken, what an operator has taken out.
//!
//! In the words of the dashboard, so that two people who look at the same moment say the same.

use std::time::Instant;

use serde_json::Value;

use super::super::status::{outcome, text, texts};
use super::super::terminal::{Tone, plain};
use super::picture::{Picture, full_name, list};

/// See the module's promise.
#[derive(Debug, PartialEq)]
pub(super) struct Story {
    pub(super) tone: Tone,
    /// In capitals: what kind of moment this is.
    pub(super) label: &'static str,
    pub(super) headline: String,
    pub(super) hint: String,
}

/// Something that needs a word, and the word.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) who: String,
    pub(super) what: String,
}

impl Story {
    pub(super) fn of(picture: &Picture, now: Instant) -> Self {
        let status = &picture.status;
        let grade = status["status"].as_str();
        let flips = status["flip_pending"].is_string();
        let drill = status["drill"].is_object();
        let fault = !faults(picture, now).is_empty();
        let (label, tone) = match grade {
            _ if flips => ("FLIPPING", Tone::Doubtful),
            Some("fail") => ("OUTAGE", Tone::Bad),
            _ if drill => ("DRILL", Tone::Ordered),
            Some("pass") if status["pinned"].is_string() => ("PINNED", Tone::Ordered),
            Some("pass") if fault => ("WELL, WITH A FAULT", Tone::Doubtful),
            Some("pass") => ("ALL WELL", Tone::Good),
            _ if active(picture)["verdict"] == "failed" => ("FAILED", Tone::Bad),
            _ => ("LOOK AT THIS", Tone::Doubtful),
        };
        let (headline, mut hint) = told(picture);
        if status["phase"] == "draining" {
            hint.push_str(
                " firedoor is ending: it takes nothing new, and finishes what is in flight.",
            );
        }
        Self {
            tone,
            label,
            headline,
            hint,
        }
    }
}

fn told(picture: &Picture) -> (String, String) {
    let status = &picture.status;
    let zones = picture.zones();
    let active = active(picture);
    let preferred = &zones.first().unwrap_or(&Value::Null)["name"];
    let (name, first) = (text(&status["active_zone"]), text(preferred));
    let ready: Vec<String> = standbys(picture)
        .filter(|zone| zone["verdict"] == "serving")
        .map(|zone| text(&zone["name"]))
        .collect();
    let standby = match ready.as_slice() {
        [] if zones.len() < 2 => "There is no other zone.".to_owned(),
        [] => "No standby is ready: the next failure is an outage.".to_owned(),
        [one] => format!("{one} stands by, ready to take over."),
        more => format!("{} stand by, ready to take over.", more.join(" and ")),
    };
    if let Some(to) = status["flip_pending"].as_str() {
        return (
            format!("Going from {name} to {to}."),
            format!(
                "New requests wait until those in flight in {name} are finished; then all go to {to} at once."
            ),
        );
    }
    if status["drill"].is_object() {
        let drill = &status["drill"];
        return (
            format!(
                "Drill: {} has the traffic, as if {} had failed.",
                text(&drill["away"]),
                text(&drill["zone"])
            ),
            format!(
                "It goes back by itself at {}, earlier if requests fare worse (D ends it). {standby}",
                picture.clock(&drill["until"])
            ),
        );
    }
    let pinned = match status["pinned"].as_str() {
        Some(zone) => format!(" {zone} is pinned: it stays active whatever happens."),
        None => String::new(),
    };
    match active["verdict"].as_str() {
        Some("failed") => {
            let stays = if status["pinned"].is_string() {
                "It stays active because an operator pinned it.".to_owned()
            } else if ready.is_empty() {
                "There is nowhere to go: no other zone could serve more.".to_owned()
            } else {
                format!("{}.", opening(&text(&status["decision"])))
            };
            return (format!("{name} is active and has failed."), stays);
        }
        Some("serving") => {}
        _ => {
            let headline = format!("{name} is active; not everything has been checked yet.");
            return (headline, standby);
        }
    }
    if status["active_zone"] != *preferred {
        let back = match zones.first().and_then(|zone| zone["verdict"].as_str()) {
            Some("serving") => format!("{first} is well again: go back when you like (f)."),
            Some("failed") => {
                format!("{first} has failed; once it is well again, you can go back. {standby}")
            }
            _ => format!("{first} isn't known yet. {standby}"),
        };
        return (
            format!("{name} is active instead of {first}."),
            back + &pinned,
        );
    }
    if ready.is_empty() && zones.len() > 1 {
        let headline = format!("{name} is active, without a standby.");
        return (headline, format!("The next failure is an outage.{pinned}"));
    }
    (format!("{name} is active and serving."), standby + &pinned)
}

/// What doesn't work, by observation.
pub(super) fn faults(picture: &Picture, now: Instant) -> Vec<Fault> {
    let mut found = Vec::new();
    for (zone, component) in components(picture) {
        let who = full_name(zone, component);
        if component["operator"] != "ready" {
            continue;
        }
        if component["status"] == "down" {
            let optional = if component["required"] == false {
                " (not required)"
            } else {
                ""
            };
            let since = picture.age(&component["since"], now);
            let what = format!(
                "is down for {since}: {}{optional}",
                outcome(&component["last"])
            );
            found.push(Fault { who, what });
        } else if component["gray"] == true {
            let what = "passes its checks, but fails live requests".to_owned();
            found.push(Fault { who, what });
        }
    }
    for certificate in list(&picture.status["certificates"]) {
        if let Some(flaw) = certificate["flaw"].as_str() {
            found.push(Fault {
                who: texts(&certificate["names"]).collect::<Vec<_>>().join(", "),
                what: format!("certificate: {}", plain(flaw)),
            });
        }
    }
    for order in list(&picture.status["acme"]) {
        if let Some(error) = order["error"]["text"].as_str() {
            found.push(Fault {
                who: text(&order["name"]),
                what: format!("certificate can't be had: {}", plain(error)),
            });
        }
    }
    let reload = &picture.status["configuration"]["last_reload"];
    if reload["successful"] == false {
        let problems = list(&reload["problems"]);
        let first = problems
            .first()
            .map_or_else(String::new, |problem| text(&problem["message"]));
        found.push(Fault {
            who: "configuration".to_owned(),
            what: format!(
                "{} stays in force, the reload at {} was refused: {first}",
                picture.status["config_generation"],
                picture.clock(&reload["at"]),
            ),
        });
    }
    found.extend(troubles(picture).map(|what| Fault {
        who: "firedoor".to_owned(),
        what,
    }));
    found
}

/// What operators have taken out.
pub(super) fn taken_out(picture: &Picture) -> Vec<Fault> {
    let out = components(picture).filter(|(_, component)| component["operator"] != "ready");
    out.map(|(zone, component)| Fault {
        who: full_name(zone, component),
        what: match component["operator"].as_str() {
            Some("drain") => "drains".to_owned(),
            _ => format!("in {}", text(&component["operator"])),
        },
    })
    .collect()
}

/// Why the active zone is active: the rule and the evidence, or in brief only the latter.
pub(super) fn why(picture: &Picture, brief: bool) -> String {
    let Some(flip) = picture.last_flip() else {
        return format!("{}.", opening(&text(&picture.status["active_because"])));
    };
    let rule = text(&flip["rule"]);
    let reasons: Vec<String> = texts(&flip["reasons"]).filter(|one| *one != rule).collect();
    match (reasons.is_empty(), brief) {
        (true, _) => format!("{}.", opening(&rule)),
        (false, true) => reasons.join("; "),
        (false, false) => format!("{}. {}.", opening(&rule), reasons.join("; ")),
    }
}

/// What has been decided, where the sentence doesn't say it.
pub(super) fn decision(picture: &Picture) -> Option<String> {
    let decision = text(&picture.status["decision"]);
    let serving = format!("stay: {} is serving", text(&picture.status["active_zone"]));
    let told = decision == serving || decision.starts_with("stay: nowhere to go");
    (!told).then(|| format!("{}.", opening(&decision)))
}

/// As the beginning of a sentence; a zone's name stays as it is.
pub(super) fn opening(sentence: &str) -> String {
    let first = sentence.split(' ').next().unwrap_or("");
    let plain = [
        "a",
        "an",
        "the",
        "no",
        "stay",
        "stay:",
        "nothing",
        "remembered",
    ];
    if !plain.contains(&first) {
        return sentence.to_owned();
    }
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

pub(super) fn active(picture: &Picture) -> &Value {
    let active = picture.zones().iter().find(|zone| zone["active"] == true);
    active.unwrap_or(&Value::Null)
}

pub(super) fn standbys(picture: &Picture) -> impl Iterator<Item = &Value> {
    picture.zones().iter().filter(|zone| zone["active"] != true)
}

fn components(picture: &Picture) -> impl Iterator<Item = (&Value, &Value)> {
    let zones = picture.zones().iter();
    zones.flat_map(|zone| list(&zone["components"]).iter().map(move |one| (zone, one)))
}

/// What firedoor says of itself in its notes (a disk that takes no journal): all that isn't about zones, which is told better.
fn troubles(picture: &Picture) -> impl Iterator<Item = String> {
    let status = &picture.status;
    let told = picture.zones().iter().flat_map(|zone| {
        let name = text(&zone["name"]);
        texts(&zone["reasons"]).flat_map(move |reason| [format!("{name}: {reason}"), reason])
    });
    let told: Vec<String> = told.collect();
    let active = format!("{} is active ", text(&status["active_zone"]));
    texts(&status["notes"]).filter(move |note| {
        !told.contains(note) && !note.starts_with(&active) && note != "no standby is ready"
    })
}
