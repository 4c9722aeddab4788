//! The collector, from the tests' side.

use std::ops::Deref;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::proxy::Builder;
use crate::support::wait::{PATIENCE, eventually_some};
use crate::support::{Proxy, Receiver};

/// A collector of spans, and the spans that it has.
pub struct Collector(Receiver);

impl Deref for Collector {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.0
    }
}

impl Collector {
    pub fn start() -> Self {
        Self::with(TempDir::new().unwrap(), &[])
    }

    /// `--tls` needs `server.pem` and `server.key` in `directory`.
    pub fn with(directory: TempDir, options: &[&str]) -> Self {
        Self(Receiver::start(
            "tracing/collector.py",
            directory,
            options,
            &[],
        ))
    }

    /// `[tracing]` for it, with every request traced unless `lines` say otherwise.
    pub fn terms(&self, lines: &str) -> String {
        let sample = if lines.contains("sample") {
            ""
        } else {
            "sample = \"100%\"\n"
        };
        let address = self.server.address;
        format!("[tracing]\notlp_endpoint = \"http://{address}\"\n{sample}{lines}\n")
    }

    /// A proxy whose spans it gets.
    pub fn builder(&self) -> Builder {
        Proxy::builder().toml(&self.terms(""))
    }

    pub fn spans(&self) -> Vec<Value> {
        self.list("/spans")
    }

    /// The span of the request for `path`, and those under it in the order of their beginning, once they are there.
    #[track_caller]
    pub fn trace(&self, path: &str) -> (Value, Vec<Value>) {
        eventually_some(PATIENCE, &format!("the spans of {path}"), || {
            let spans = self.spans();
            let whole = spans
                .iter()
                .find(|span| span["kind"] == "server" && span["attributes"]["url.path"] == path)?;
            let under = spans.iter().filter(|span| span["parent"] == whole["id"]);
            let mut under: Vec<Value> = under.cloned().collect();
            under.sort_by_key(|span| span["start"].as_u64());
            Some((whole.clone(), under))
        })
    }
}

/// A proxy that holds nobody any more because it knows nothing yet: a hold is a span of its own.
pub trait AtWork {
    fn at_work(self) -> Proxy;
}

impl AtWork for Builder {
    #[track_caller]
    fn at_work(self) -> Proxy {
        let proxy = self.start();
        proxy.until_all_up();
        proxy
    }
}

/// Of the proxy's own count.
pub fn tracing(proxy: &Proxy, what: &str) -> u64 {
    proxy.status()["tracing"][what].as_u64().unwrap()
}
