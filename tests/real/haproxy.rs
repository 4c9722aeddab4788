//! HAProxy in firedoor's place, as its users build whole-zone failover today, so that the rig itself can be judged and the
//! figures compared: `FIREDOOR_TEST_PEER=haproxy cargo test --test real_zones`. For developers; nothing is asserted about it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::wait::PATIENCE;
use crate::support::{RawClient, eventually, port};
use crate::zones::{Zone, Zones};

/// A running HAProxy; killed when dropped.
pub struct Haproxy {
    pub address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Haproxy {
    /// With checks as fast as `[check]` of the same run.
    pub fn start(zones: &Zones, interval: &str, timeout: &str) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let address = port::free();
        let mut text = format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 75s\n timeout server 60s\n timeout check {timeout}\n \
             timeout http-keep-alive 75s\n retries 2\n option redispatch 1\n \
             default-server inter {interval} fastinter 50ms fall 2 rise 3 observe layer4 error-limit 1 on-error fail-check on-marked-down shutdown-sessions\n\
             frontend f\n bind {address}\n \
             use_backend fz-2 if {{ nbsrv(fz-1) lt 2 }} || {{ nbsrv(fz-1-database) lt 1 }}\n default_backend fz-1\n"
        );
        for zone in [&zones.preferred, &zones.standby] {
            text += &backends(zone);
        }
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("the configuration is written");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy starts");
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

fn backends(zone: &Zone) -> String {
    let mut text = format!("backend {}\n option httpchk GET /healthz\n", zone.name);
    for server in &zone.servers {
        writeln!(text, " server {} {} check", server.name(), server.address())
            .expect("a string takes it");
    }
    writeln!(
        text,
        "backend {}-database\n mode tcp\n server database {} check",
        zone.name,
        zone.database.address()
    )
    .expect("a string takes it");
    text
}
