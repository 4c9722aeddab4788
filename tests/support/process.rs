//! Stopping somebody else's process, and letting it go on.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{PATIENCE, eventually};

/// SIGSTOP: it does nothing any more, but the kernel still accepts connections for it.
pub fn freeze(process: Pid) {
    kill_process(process, Signal::STOP).unwrap();
    // Each thread stops when it gets there; until then it may still answer.
    let tasks = format!("/proc/{}/task", process.as_raw_nonzero());
    eventually(PATIENCE, "all threads are stopped", || {
        fs::read_dir(&tasks).unwrap().all(|task| {
            let stat = fs::read_to_string(task.unwrap().path().join("stat"));
            stat.is_ok_and(|stat| stat.rsplit(") ").next().unwrap().starts_with('T'))
        })
    });
}

/// SIGCONT.
pub fn thaw(process: Pid) {
    kill_process(process, Signal::CONT).unwrap();
}
