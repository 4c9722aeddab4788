//! The first and the last that a process tells: who reads the journal must see where one ended and the next began, and how.

use std::sync::Arc;

use super::Monitor;
use crate::health::checker::Checker;
use crate::health::report::{Event, LastEnd, Source, Start, What};
use crate::journal::Past;
use crate::memory::Memory;
use crate::moment::Moment;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is told of a start with this memory, which `checker` was made from.
pub(super) fn started(
    checker: &Checker,
    (memory, source): (&Memory, Option<Source>),
    past: &Past,
    now: Moment,
) -> Event {
    let zone = memory.active.as_deref().map(Arc::from);
    // Something was here, though its journal is gone.
    let traces = (*memory != Memory::default()).then_some(LastEnd::Unknown);
    let start = Start {
        version: VERSION,
        zone: zone.unwrap_or_else(|| active(checker, now)),
        epoch: memory.epoch.max(1),
        recalled: source,
        last_end: past.last_end().or(traces),
    };
    Event {
        at: now.wall,
        what: What::Started(start),
    }
}

impl Monitor {
    /// By this entry the next process knows that this one was not killed. Nothing may be told after it.
    pub(super) fn tell_stop(&mut self) {
        let now = Moment::now();
        let (version, zone) = (VERSION, active(&self.checker, now));
        let event = Event {
            at: now.wall,
            what: What::Stopped { version, zone },
        };
        let entry = self.chronicle.take(event, now.instant);
        self.recorder.append(&[entry]);
    }
}

fn active(checker: &Checker, now: Moment) -> Arc<str> {
    let report = checker.report(now);
    Arc::clone(&report.zones[report.active].name)
}
