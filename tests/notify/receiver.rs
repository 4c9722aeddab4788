//! The receiver, from the tests' side.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::Server;
use crate::support::wait::{PATIENCE, eventually_some};
use crate::support::{Proxy, RawClient, client};

pub const SECRET: &str = "hunter2";

/// Somebody whom events are posted to.
pub struct Receiver {
    pub server: Server,
}

impl Receiver {
    pub fn start() -> Self {
        Self::with(TempDir::new().unwrap(), &[])
    }

    /// `--tls` needs `server.pem` and `server.key` in `directory`.
    pub fn with(directory: TempDir, options: &[&str]) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let server = Server::start(directory, |address, _| {
            // tests/run makes this environment.
            let mut command = Command::new(root.join("target/venv/bin/python"));
            command
                .arg(root.join("tests/notify/receiver.py"))
                .arg(address.to_string())
                .args(options)
                .env("SECRET", SECRET);
            command
        });
        Self { server }
    }

    /// `[[notify]]` for it.
    pub fn terms(&self, lines: &str) -> String {
        let address = self.server.address;
        format!(
            "[[notify]]\nname = \"pager\"\nurl = \"http://{address}/events?key=1\"\nsecret = \"{SECRET}\"\n{lines}\n"
        )
    }

    /// How it answers from now on.
    pub fn mood(&self, mood: &Value) {
        let mood = mood.to_string();
        let answer = RawClient::connect(self.server.address).exchange(format!(
            "PUT /mood HTTP/1.1\r\nHost: receiver\r\nContent-Length: {}\r\n\r\n{mood}",
            mood.len()
        ));
        assert_eq!(answer.status, 204);
    }

    /// All that came, taken or not.
    pub fn requests(&self) -> Vec<Value> {
        let answer = client::get(self.server.address, "/taken");
        answer.json().as_array().unwrap().clone()
    }

    /// The first so many requests that were answered with 200, once there are as many.
    #[track_caller]
    pub fn taken(&self, count: usize) -> Vec<Value> {
        eventually_some(PATIENCE, &format!("{count} events are taken"), || {
            let requests = self.requests().into_iter();
            let taken: Vec<Value> = requests
                .filter(|request| request["answer"] == 200)
                .collect();
            (taken.len() >= count).then_some(taken)
        })
    }
}

/// What the proxy says of its first target.
pub fn progress(proxy: &Proxy, what: &str) -> u64 {
    proxy.status()["notify"][0][what].as_u64().unwrap()
}

pub fn events(requests: &[Value]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request["body"]["event"].as_str().unwrap())
        .collect()
}
