//! A real server of a test's own: its process, port and files begin and end with it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use tempfile::TempDir;

use super::wait::{PATIENCE, eventually_some};
use super::{port, process};

/// The file by which a server says that it listens.
pub const READY: &str = "ready.pid";

/// A running server. Dropping it kills it.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Server {
    /// Starts what `command` makes of a free address and a directory. It must write [`READY`] there once it listens, and end
    /// if it can't.
    pub fn start(directory: TempDir, command: impl Fn(SocketAddr, &Path) -> Command) -> Self {
        for _ in 0..10 {
            let address = port::free();
            let output = fs::File::create(directory.path().join("output")).unwrap();
            let mut command = command(address, directory.path());
            command
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output);
            let mut child = command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
            let listens = eventually_some(PATIENCE, "the server listens, or ends", || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                directory.path().join(READY).exists().then_some(true)
            });
            if listens {
                return Self {
                    address,
                    child,
                    directory,
                };
            }
        }
        let output = fs::read_to_string(directory.path().join("output"));
        panic!("the server does not start: {output:?}");
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The kernel still accepts for it.
    pub fn freeze(&self) {
        process::freeze(Pid::from_child(&self.child));
    }

    pub fn thaw(&self) {
        process::thaw(Pid::from_child(&self.child));
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
