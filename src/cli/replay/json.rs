//! The result for scripts.

use std::time::Duration;

use serde_json::{Value, json};

use super::comparison::{FlipAt, Pair};
use super::{Findings, is_same, remarks};
use crate::config::Detail;
use crate::journal;

impl Findings<'_> {
    pub(super) fn json(&self) -> Value {
        let (from, to, lived) = self.span();
        let spans = self.reading.recording.spans.iter().map(|span| {
            let outcomes = match span.detail {
                Detail::Transitions => "transitions",
                Detail::Changes => "changes",
                Detail::All => "all",
            };
            json!({
                "from": span.from.wall.to_string(),
                "to": span.to.wall.to_string(),
                "outcomes": outcomes,
            })
        });
        let files = self
            .reading
            .files
            .iter()
            .map(|file| file.display().to_string());
        let held = self.replayed.held.iter().map(|held| {
            json!({
                "at": held.moment.wall.to_string(),
                "rule": held.rule,
                "explanation": held.explanation,
                "recorded": self.was_held(held),
            })
        });
        let count = |flips: usize, outage: Duration| json!({"flips": flips, "outage_ms": milliseconds(outage)});
        let (recorded, replayed) = (self.recorded_flips, self.replayed.flips.len());
        json!({
            "files": files.collect::<Vec<_>>(),
            "from": from.to_string(),
            "to": to.to_string(),
            "seconds": lived.as_secs_f64(),
            "spans": spans.collect::<Vec<_>>(),
            "recorded": count(recorded, self.replayed.recorded_outage),
            "replayed": count(replayed, self.replayed.outage),
            "flips": self.pairs.iter().map(|pair| self.pair(pair)).collect::<Vec<_>>(),
            "held": held.collect::<Vec<_>>(),
            "remarks": remarks::remarks(self),
        })
    }

    fn pair(&self, pair: &Pair) -> Value {
        let flip = |flip: &FlipAt| {
            json!({
                "at": flip.at.wall.to_string(),
                "epoch": flip.epoch,
                "from": &*flip.from,
                "to": &*flip.to,
                "cause": journal::cause(flip.cause),
            })
        };
        let flips = &self.replayed.flips;
        let replayed = pair.replayed().map(|replayed| {
            let mut line = flip(replayed);
            if let Some((_, flip)) = flips.iter().find(|(_, f)| f.epoch == replayed.epoch) {
                line["rule"] = flip.rule.as_str().into();
                line["reasons"] = json!(flip.reasons);
            }
            line
        });
        let moved = pair.moved();
        json!({
            "result": match pair {
                Pair::Both(..) if is_same(pair) => "same",
                Pair::Both(..) => "moved",
                Pair::Recorded(_) => "only_recorded",
                Pair::Replayed(_) => "only_replayed",
            },
            "moved_ms": moved.map(|moved| (moved.as_secs_f64() * 1_000_000.0).round() / 1000.0),
            "recorded": pair.recorded().map(flip),
            "replayed": replayed,
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
