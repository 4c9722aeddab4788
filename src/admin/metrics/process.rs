//! What the process itself uses, by the names that all Prometheus clients have for it (`process_…`).

use std::fs;

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// As of now. What can't be found out is `None`, and isn't shown.
#[derive(Debug)]
pub(super) struct Process {
    /// User and system time of all threads.
    pub(super) cpu_seconds: f64,
    /// Bytes.
    pub(super) memory: Option<Memory>,
    pub(super) open_fds: Option<u64>,
    /// `None` also where there is no limit.
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
}

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) resident: u64,
    pub(super) mapped: u64,
}

impl Process {
    pub(super) fn now() -> Self {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds")]
        let cpu_seconds = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
        Self {
            cpu_seconds,
            memory: memory(),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
            threads: threads(),
        }
    }
}

/// proc_pid_statm(5): the size of the address space, then what of it is in memory, in pages.
fn memory() -> Option<Memory> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').map(str::parse::<u64>);
    let mut bytes = || Some(pages.next()?.ok()? * page_size() as u64);
    let mapped = bytes()?;
    Some(Memory {
        mapped,
        resident: bytes()?,
    })
}

/// Linux tells it by the directory's size since 6.2 (proc_pid_fd(5)), so that nobody has to count; before, the size is 0.
fn open_fds() -> Option<u64> {
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return Some(known);
    }
    // The one that reads the directory is none of ours.
    let counted = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((counted as u64).saturating_sub(1))
}

fn threads() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("Threads:"))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_found_out_and_follows_what_it_does() {
        let before = Process::now();
        let memory = before.memory.unwrap();
        assert!(memory.resident > 0 && memory.mapped > memory.resident);
        assert!(before.threads.unwrap() >= 1 && before.max_fds.unwrap() > 0);
        let files: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        let after = Process::now();
        // Other tests run beside this one, and have files of their own.
        assert!(after.open_fds.unwrap() + 25 > before.open_fds.unwrap() + 50);
        assert!(after.cpu_seconds >= before.cpu_seconds && before.cpu_seconds > 0.0);
        drop(files);
    }
}
