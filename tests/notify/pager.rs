//! Whom events are posted to, from the tests' side.

use std::ops::Deref;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::wait::{PATIENCE, eventually_some};
use crate::support::{Proxy, Receiver};

pub const SECRET: &str = "hunter2";

/// A receiver that looks at signatures.
pub struct Pager(Receiver);

impl Deref for Pager {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.0
    }
}

impl Pager {
    pub fn start() -> Self {
        Self::with(TempDir::new().unwrap(), &[])
    }

    /// `--tls` needs `server.pem` and `server.key` in `directory`.
    pub fn with(directory: TempDir, options: &[&str]) -> Self {
        let variables = [("SECRET", SECRET)];
        Self(Receiver::start(
            "notify/pager.py",
            directory,
            options,
            &variables,
        ))
    }

    /// `[[notify]]` for it.
    pub fn terms(&self, lines: &str) -> String {
        let address = self.server.address;
        format!(
            "[[notify]]\nname = \"pager\"\nurl = \"http://{address}/events?key=1\"\nsecret = \"{SECRET}\"\n{lines}\n"
        )
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
