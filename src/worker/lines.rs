//! Lines of the access log, collected until they are worth handing over.

use super::Worker;
use crate::config::LogTarget;
use crate::telemetry::access_log::{Line, Style};

/// Bytes that are handed over before the next tick. With each batch the writing thread wakes up.
const ENOUGH: usize = 64 * 1024;

impl Worker {
    pub(crate) fn is_logging(&self) -> bool {
        self.view.borrow().snapshot.config.access_log.target != LogTarget::Off
    }

    /// Writes an access-log line.
    pub(crate) fn log(&self, line: &Line<'_>) {
        let style = Style::of(&self.view.borrow().snapshot.config.access_log);
        let full = {
            let mut log = self.log.borrow_mut();
            log.push(line, style);
            log.len() >= ENOUGH
        };
        if full {
            self.flush_log();
        }
    }

    pub(super) fn flush_log(&self) {
        let batch = self.log.borrow_mut().take();
        if batch.is_empty() {
            return;
        }
        if let Err(lost) = self.parts.access_log.write(batch) {
            let lines = lost.iter().filter(|&&byte| byte == b'\n').count();
            self.counters().log_lines_dropped.add(lines as u64);
        }
    }
}
