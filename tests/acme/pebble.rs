//! Pebble, the test authority of Let's Encrypt, with a DNS of its own in which every name is this machine.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::support::port;
use crate::support::wait::{PATIENCE, eventually};

/// The key of the external account `kid-1`.
pub const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A place for an authority, and the ports that it asks its questions at. The authority itself comes and goes.
pub struct Pebble {
    pub directory: TempDir,
    pub http: SocketAddr,
    pub tls: SocketAddr,
    pub address: SocketAddr,
    management: SocketAddr,
    dns: SocketAddr,
    names: SocketAddr,
    settings: Vec<(&'static str, &'static str)>,
    external: bool,
    running: Vec<Child>,
}

impl Pebble {
    /// Not running yet.
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("pebble's own authority");
        authority.write(directory.path());
        authority.sign_for(directory.path(), "pebble", &["127.0.0.1"], 100);
        Self {
            directory,
            http: port::free(),
            tls: port::free(),
            address: port::free(),
            management: port::free(),
            dns: port::free(),
            names: port::free(),
            settings: vec![("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")],
            external: false,
            running: Vec::new(),
        }
    }

    pub fn running() -> Self {
        let mut pebble = Self::new();
        pebble.start();
        pebble
    }

    /// A variable of its environment, from its next start on.
    pub fn set(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value));
        self
    }

    /// From its next start on, only those get an account who have one elsewhere.
    pub fn with_external_accounts(mut self) -> Self {
        self.external = true;
        self
    }

    /// Starts it: a new authority each time, that knows nobody.
    pub fn start(&mut self) {
        let file = |name: &str| self.directory.path().join(name);
        let config = json!({"pebble": {
            "listenAddress": self.address.to_string(),
            "managementListenAddress": self.management.to_string(),
            "certificate": file("pebble.pem"),
            "privateKey": file("pebble.key"),
            "httpPort": self.http.port(),
            "tlsPort": self.tls.port(),
            "externalAccountBindingRequired": self.external,
            "externalAccountMACKeys": {"kid-1": EXTERNAL_KEY},
        }});
        fs::write(file("pebble.json"), config.to_string()).unwrap();
        let output = || {
            fs::File::options()
                .create(true)
                .append(true)
                .open(file("output"))
                .unwrap()
        };
        let mut names = Command::new("pebble-challtestsrv");
        names
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &self.dns.to_string()])
            .args(["-management", &self.names.to_string()]);
        let mut authority = Command::new("pebble");
        authority
            .arg("-config")
            .arg(file("pebble.json"))
            .args(["-dnsserver", &self.dns.to_string()])
            .envs(self.settings.iter().copied());
        self.running = [names, authority]
            .iter_mut()
            .map(|command| {
                let command = command
                    .stdin(Stdio::null())
                    .stdout(output())
                    .stderr(output());
                let child = command.spawn();
                child.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"))
            })
            .collect();
        eventually(PATIENCE, "pebble answers", || {
            self.get("/roots/0").is_some()
        });
    }

    pub fn stop(&mut self) {
        for mut child in self.running.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `[listener.tls.acme]` for these names; `extra` holds further lines.
    pub fn terms(&self, names: &[&str], extra: &str) -> String {
        format!(
            "[listener.tls.acme]\ndirectory = \"https://{}/dir\"\nca = \"{}\"\nnames = {names:?}\n{extra}",
            self.address,
            self.file("ca.pem").display()
        )
    }

    /// `[[listener]]` at the port where it asks by TLS.
    pub fn listener(&self, names: &[&str], extra: &str) -> String {
        format!(
            "[[listener]]\nbind = \"{}\"\n{}",
            self.tls,
            self.terms(names, extra)
        )
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Clients that trust it, as it is now.
    pub fn trust(&self) -> Arc<ClientConfig> {
        let root = self.get("/roots/0").expect("it answers");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// Lets a name lead to another machine.
    pub fn redirect(&self, name: &str, address: &str) {
        let body = json!({"host": format!("{name}."), "addresses": [address]}).to_string();
        let url = format!("http://{}/add-a", self.names);
        assert!(curl(&["--data", &body, &url]).is_some());
    }

    pub fn output(&self) -> String {
        fs::read_to_string(self.file("output")).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Option<String> {
        let ca = self.file("ca.pem").display().to_string();
        curl(&[
            "--cacert",
            &ca,
            &format!("https://{}{path}", self.management),
        ])
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

fn curl(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    let command = command
        .args(["--silent", "--fail", "--max-time", "10"])
        .args(arguments);
    let output = command.output().unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

/// Of `/v1/status`, what is said about the certificate for a name.
pub fn entry<'s>(status: &'s Value, name: &str) -> Option<&'s Value> {
    let entries = status["acme"].as_array()?;
    entries.iter().find(|entry| entry["name"] == name)
}
