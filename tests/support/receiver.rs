//! Somebody whom the proxy posts to, and who fails as told: `receiver.py`, with what a test's own script makes of what comes.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::server::Server;
use super::{RawClient, client};

/// See the module's promise.
pub struct Receiver {
    pub server: Server,
}

impl Receiver {
    /// Runs `script`, a path in `tests`. `--tls` among `options` needs `server.pem` and `server.key` in `directory`.
    pub fn start(
        script: &str,
        directory: TempDir,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let server = Server::start(directory, |address, _| {
            // tests/run makes this environment.
            let mut command = Command::new(root.join("target/venv/bin/python"));
            command
                .arg(root.join("tests").join(script))
                .arg(address.to_string())
                .args(options)
                .env("PYTHONPATH", root.join("tests/support"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .envs(variables.iter().copied());
            command
        });
        Self { server }
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
        self.list("/requests")
    }

    pub fn list(&self, path: &str) -> Vec<Value> {
        let answer = client::get(self.server.address, path);
        answer.json().as_array().unwrap().clone()
    }
}
