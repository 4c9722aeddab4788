//! What is known of firedoor, how fresh that is, and what time it is there. Time comes in as a parameter.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::status::{clock, duration, text};
use super::link::News;

/// Entries of the journal that are kept: more than any screen shows.
const KEPT: usize = 200;
/// Traffic comes every second: whoever has said nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(3);

/// See the module's promise.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// `/v1/status`; null before the first one has come.
    pub(super) status: Value,
    /// `/v1/traffic`, once some has come.
    pub(super) traffic: Option<Value>,
    /// Newest last.
    pub(super) journal: VecDeque<Value>,
    /// Why there is no stream now.
    pub(super) lost: Option<String>,
    /// When the status came.
    seen: Option<Instant>,
    /// When anything came.
    heard: Option<Instant>,
}

impl Picture {
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Live => self.lost = None,
            News::Lost(why) => {
                self.lost = Some(why);
                return;
            }
            News::Event(event) => match event.name.as_str() {
                "status" => self.see(event.data, now),
                "traffic" => self.traffic = Some(event.data),
                "journal" => self.enter(event.data),
                _ => {}
            },
        }
        self.heard = Some(now);
    }

    /// Takes a status.
    pub(super) fn see(&mut self, status: Value, now: Instant) {
        self.status = status;
        self.seen = Some(now);
    }

    /// Takes an entry of the journal.
    pub(super) fn enter(&mut self, entry: Value) {
        let number = |entry: &Value| entry["number"].as_u64();
        // A journal that counts from the beginning again is another one.
        if self
            .journal
            .back()
            .is_some_and(|last| number(last) >= number(&entry))
        {
            self.journal.clear();
        }
        self.journal.push_back(entry);
        if self.journal.len() > KEPT {
            self.journal.pop_front();
        }
    }

    pub(super) fn zones(&self) -> &[Value] {
        list(&self.status["zones"])
    }

    /// What flows in a zone.
    pub(super) fn flow(&self, zone: &Value) -> Option<&Value> {
        let zones = list(&self.traffic.as_ref()?["zones"]);
        zones.iter().find(|flow| flow["name"] == zone["name"])
    }

    /// For how long nothing has come, if that is longer than it may be.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let silent = now.duration_since(self.heard?);
        let hangs = self.traffic.is_some() && silent > SILENCE;
        (self.lost.is_some() || hangs).then_some(silent)
    }

    /// How long something has been so, by firedoor's own clock: the one here may differ. It stands still while nothing is heard.
    pub(super) fn age(&self, since: &Value, now: Instant) -> String {
        let since: Option<Timestamp> = since.as_str().and_then(|since| since.parse().ok());
        match (since, self.time(now)) {
            (Some(since), Some(there)) => duration(there.as_second() - since.as_second()),
            _ => "?".to_owned(),
        }
    }

    /// The time of day here, with the date unless it is that of the status.
    pub(super) fn clock(&self, value: &Value) -> String {
        let told = clock(value);
        let today = clock(&self.status["at"]);
        let (date, time) = told.split_once(' ').unwrap_or(("", &told));
        let time = time.split('.').next().unwrap_or("");
        if today.starts_with(date) {
            time.to_owned()
        } else {
            format!("{date} {time}")
        }
    }

    /// What time it is there.
    fn time(&self, now: Instant) -> Option<Timestamp> {
        let at: Timestamp = self.status["at"].as_str()?.parse().ok()?;
        let until = match self.silence(now) {
            Some(_) => self.heard?,
            None => now,
        };
        let since = SignedDuration::try_from(until.saturating_duration_since(self.seen?)).ok()?;
        at.checked_add(since).ok()
    }

    /// The flip that made the active zone active, if the journal still has it.
    pub(super) fn last_flip(&self) -> Option<&Value> {
        let mut flips = self
            .journal
            .iter()
            .rev()
            .filter(|entry| entry["kind"] == "flip");
        flips.find(|flip| {
            flip["epoch"] == self.status["epoch"] && flip["to"] == self.status["active_zone"]
        })
    }
}

/// A list of the answer; what is none is empty.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `zone:name`
pub(super) fn full_name(zone: &Value, component: &Value) -> String {
    format!("{}:{}", text(&zone["name"]), text(&component["name"]))
}
