//! The configuration of a binary under test.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::support::origin::Origin;

/// What goes into the configuration file. Everything has a default that suits tests; see `text`.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    server: String,
    listener: String,
    admin: String,
    access_log: Option<String>,
    check: Option<String>,
    sections: String,
    zones: String,
    pub(super) environment: Vec<(String, String)>,
    pub(super) small_disk: Option<&'static str>,
    pub(super) in_memory: bool,
}

impl Builder {
    /// Another zone, with a backend `app-1`, `app-2`, … in pool `default` for each origin.
    pub fn zone(self, name: &str, origins: &[&Origin]) -> Self {
        let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address()).collect();
        self.zone_at(name, &addresses)
    }

    /// As `zone`, by addresses.
    pub fn zone_at(mut self, name: &str, addresses: &[SocketAddr]) -> Self {
        writeln!(self.zones, "\n[[zone]]\nname = \"{name}\"").unwrap();
        for (at, address) in addresses.iter().enumerate() {
            self = self.backend(&format!("app-{}", at + 1), *address, "");
        }
        self
    }

    /// Another backend of the latest zone; `extra` holds further lines of its table.
    pub fn backend(self, name: &str, address: SocketAddr, extra: &str) -> Self {
        self.backend_at(name, &address.to_string(), extra)
    }

    /// As `backend`, at an address that may have a scheme or a name.
    pub fn backend_at(mut self, name: &str, address: &str, extra: &str) -> Self {
        writeln!(
            self.zones,
            "\n[[zone.backend]]\nname = \"{name}\"\naddress = \"{address}\"\n{extra}"
        )
        .unwrap();
        self
    }

    /// Another dependency of the latest zone, checked by TCP unless `extra` says otherwise; `extra` holds further lines.
    pub fn dependency(mut self, name: &str, address: SocketAddr, extra: &str) -> Self {
        let check = if extra.contains("check") {
            String::new()
        } else {
            format!("check = {{ kind = \"tcp\", address = \"{address}\" }}")
        };
        writeln!(
            self.zones,
            "\n[[zone.dependency]]\nname = \"{name}\"\n{check}\n{extra}"
        )
        .unwrap();
        self
    }

    /// More top-level sections: `[limits]`, `[upstream]`, `[failover]`, `[[pool]]`, `[[route]]` …
    pub fn toml(mut self, text: &str) -> Self {
        writeln!(self.sections, "\n{text}").unwrap();
        self
    }

    /// More lines of `[server]`; `workers` and `state_dir` have values already.
    pub fn server(mut self, lines: &str) -> Self {
        writeln!(self.server, "{lines}").unwrap();
        self
    }

    /// More lines of `[[listener]]`.
    pub fn listener(mut self, lines: &str) -> Self {
        writeln!(self.listener, "{lines}").unwrap();
        self
    }

    /// More lines of `[admin]`; `bind` has a value already.
    pub fn admin(mut self, lines: &str) -> Self {
        writeln!(self.admin, "{lines}").unwrap();
        self
    }

    /// The lines of `[check]`, instead of the patient default that no busy machine fails.
    pub fn check(mut self, lines: &str) -> Self {
        self.check = Some(lines.to_owned());
        self
    }

    /// The lines of `[access_log]`, instead of JSON into a file.
    pub fn access_log(mut self, lines: &str) -> Self {
        self.access_log = Some(lines.to_owned());
        self
    }

    /// An environment variable of the process.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file system of its own under its state directory, of that size (`"128k"`), which others reach by
    /// [`Proxy::state_file`] and which ends with the process. Needs the right to mount, as root has it.
    pub fn small_disk(mut self, size: &'static str) -> Self {
        self.small_disk = Some(size);
        self
    }

    /// Its files lie in memory, where the system has a place for that: from a disk that takes longer than 250 ms for a moment, as that of a
    /// busy machine does, no flip is remembered over a crash.
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// The configuration file.
    pub fn text(&self, address: SocketAddr, admin: SocketAddr) -> String {
        let check = self.check.as_deref().unwrap_or(
            "path = \"/health\"\ninterval = \"100ms\"\ntimeout = \"5s\"\nconfirm_interval = \"20ms\"",
        );
        let access_log = self
            .access_log
            .as_deref()
            .unwrap_or("path = \"access.log\"");
        let workers = if self.server.contains("workers") {
            ""
        } else {
            "workers = 2\n"
        };
        format!(
            "[server]\n{workers}state_dir = \"state\"\n{}\n[[listener]]\nbind = \"{address}\"\n{}\n\
             [admin]\nbind = \"{admin}\"\n{}\n[check]\n{check}\n\n[access_log]\n{access_log}\n{}{}",
            self.server, self.listener, self.admin, self.sections, self.zones
        )
    }
}
