//! Spans on their way from the workers to a collector, by OTLP over HTTP. A collector that is slow, gone or refuses costs spans, which are
//! counted; it never holds up a request.

mod exporter;
pub mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use otlp::Span;

pub use exporter::Exporter;

/// Spans under way to the collector, those that are being sent included. Past that they are dropped.
const MOST: usize = 8192;

/// The workers' end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traces {
    batches: mpsc::UnboundedSender<Vec<Span>>,
    progress: Arc<Progress>,
}

/// What has become of all spans so far.
#[derive(Debug, Default)]
pub struct Progress {
    under_way: AtomicUsize,
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// Both ends.
pub fn channel() -> (Traces, Exporter) {
    // Bounded all the same, by `MOST`: in spans, and not in batches of whatever size.
    let (batches, inbox) = mpsc::unbounded_channel();
    let progress = Arc::<Progress>::default();
    let exporter = Exporter::new(inbox, Arc::clone(&progress));
    (Traces { batches, progress }, exporter)
}

impl Traces {
    /// Hands spans over. Never waits: what there is no room for is dropped and counted.
    pub(crate) fn send(&self, spans: Vec<Span>) {
        let count = spans.len();
        let before = self.progress.under_way.fetch_add(count, Ordering::AcqRel);
        if before + count > MOST || self.batches.send(spans).is_err() {
            self.progress.under_way.fetch_sub(count, Ordering::AcqRel);
            self.progress.lose(count);
        }
    }

    /// What has become of them.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Progress {
    /// Spans that the collector has taken.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that nobody will see.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Spans that are on their way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn lose(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// So many are no longer under way, as many of them taken.
    fn settle(&self, spans: usize, taken: usize) {
        self.under_way.fetch_sub(spans, Ordering::AcqRel);
        self.exported.fetch_add(taken as u64, Ordering::Relaxed);
        self.lose(spans - taken);
    }
}
