//! HAProxy, in front of firedoor or behind it.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::wait::PATIENCE;
use crate::support::{RawClient, eventually, port};

/// A running HAProxy. Dropping it kills it.
pub struct Haproxy {
    pub address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Haproxy {
    /// As a balancer that looks at bytes only; `introduces` is how it introduces its clients to `server`: `send-proxy`.
    pub fn in_front_of(server: SocketAddr, introduces: &str) -> Self {
        Self::start(|address| {
            format!(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 75s\n timeout server 75s\n\
                 listen l\n bind {address}\n server s {server} {introduces}\n"
            )
        })
    }

    /// As a server that must be told who its clients are, in front of `app`.
    pub fn accepting(app: SocketAddr) -> Self {
        Self::start(|address| {
            format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 75s\n timeout server 75s\n\
                 frontend f\n bind {address} accept-proxy\n http-request set-header X-Seen %[src]:%[src_port]\n default_backend b\n\
                 backend b\n server s {app}\n"
            )
        })
    }

    fn start(config: impl Fn(SocketAddr) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = port::free();
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, config(address)).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/run installs HAProxy");
        let haproxy = Self {
            address,
            child,
            _directory: directory,
        };
        eventually(PATIENCE, "HAProxy listens", || {
            RawClient::try_connect(address).is_ok()
        });
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
