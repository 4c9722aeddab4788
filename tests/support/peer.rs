//! Other proxies in firedoor's place, so that a battery can be judged by running it against them:
//! `FIREDOOR_TEST_PEER=nginx|haproxy cargo test --test framing`. For developers; nothing is asserted about a peer.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::client::RawClient;
use super::origin::Origin;
use super::port;
use super::proxy::{Builder, Proxy};
use super::wait::{PATIENCE, eventually};

/// What stands in front of the origins: firedoor, or the peer that the environment names.
pub enum Front {
    Firedoor(Box<Proxy>),
    Peer(Peer),
}

/// A running peer. Dropping it kills it.
pub struct Peer {
    name: String,
    address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Front {
    /// `builder` without zones is for firedoor; a peer takes the backends in turn.
    #[track_caller]
    pub fn start(builder: Builder, origins: &[&Origin]) -> Self {
        match std::env::var("FIREDOOR_TEST_PEER") {
            Ok(name) => Self::Peer(Peer::start(&name, origins)),
            Err(_) => Self::Firedoor(Box::new(builder.zone("fz-1", origins).start())),
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Firedoor(proxy) => proxy.address,
            Self::Peer(peer) => peer.address,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Firedoor(_) => "firedoor",
            Self::Peer(peer) => &peer.name,
        }
    }

    /// Whether this is what the project's promises are about.
    pub fn is_firedoor(&self) -> bool {
        matches!(self, Self::Firedoor(_))
    }

    #[track_caller]
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.address())
    }
}

impl Peer {
    #[track_caller]
    pub fn start(name: &str, origins: &[&Origin]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = port::free();
        let origins: Vec<SocketAddr> = origins.iter().map(|origin| origin.address()).collect();
        let file = directory.path().join("config");
        let path = directory.path().display().to_string();
        let mut command = match name {
            "nginx" => {
                std::fs::write(&file, nginx(address, &origins, &path)).unwrap();
                let mut command = Command::new("nginx");
                command.arg("-p").arg(&path).arg("-c").arg(&file);
                command
            }
            "haproxy" => {
                std::fs::write(&file, haproxy(address, &origins)).unwrap();
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(&file);
                command
            }
            other => panic!("unknown peer {other}"),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually(PATIENCE, "the peer listens", || {
            RawClient::try_connect(address).is_ok()
        });
        Self {
            name: name.to_owned(),
            address,
            child,
            _directory: directory,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nginx(address: SocketAddr, origins: &[SocketAddr], path: &str) -> String {
    let servers: String = origins
        .iter()
        .map(|origin| format!("server {origin};"))
        .collect();
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log /dev/null;
events {{ worker_connections 1000; }}
http {{ access_log off; client_header_timeout 1s; client_body_timeout 1s;
 client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
 upstream b {{ {servers} keepalive 64; }}
 map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
 server {{ listen {address};
  location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
   proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
   proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}
"
    )
}

fn haproxy(address: SocketAddr, origins: &[SocketAddr]) -> String {
    let servers: String = (1..)
        .zip(origins)
        .map(|(at, origin)| format!("  server s{at} {origin}\n"))
        .collect();
    format!(
        "global
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 1s
  timeout http-request 1s
  timeout server 5s
  option forwardfor
  http-reuse always
frontend f
  bind {address}
  default_backend b
backend b
{servers}"
    )
}
