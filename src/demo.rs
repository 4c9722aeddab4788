//! `firedoor demo`: two zones of tiny app servers and stand-in databases in this process, behind a real firedoor, to break
//! and heal.
//!
//! The zones live on a thread and runtime of their own: the proxy in front of them is the one of `serve`, with nothing changed.

mod app;
mod component;
mod control;
mod database;
mod guide;
mod stage;
mod zones;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::{Failure, LogArgs, UNBOUND};
use crate::config::Config;
use crate::config::parse::Environment;
pub(crate) use component::Condition;
pub(crate) use stage::Stage;
use zones::Zones;

/// `firedoor demo`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    #[command(subcommand)]
    act: Option<Act>,
    /// Where the proxy listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    bind: SocketAddr,
    /// Where the admin listener is
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    admin: SocketAddr,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// What can be done to a running demo, from another terminal.
#[derive(Debug, Subcommand)]
enum Act {
    /// Break a component: it refuses connections, and those it has are cut
    Break(Target),
    /// Hang a component: it accepts, but never answers
    Hang(Target),
    /// Heal a component
    Heal(Target),
}

#[derive(Args, Debug)]
struct Target {
    /// A component like "fz-1:database", or a whole zone like "fz-1"
    #[arg(value_name = "COMPONENT")]
    name: String,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Args, Clone, Debug)]
struct ControlArgs {
    /// Where components are broken and healed
    #[arg(
        long,
        value_name = "ADDR",
        env = "FIREDOOR_DEMO",
        default_value = "127.0.0.1:9901"
    )]
    control: SocketAddr,
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            None => self.play(),
            Some(Act::Break(target)) => control::order(&target, Condition::Broken),
            Some(Act::Hang(target)) => control::order(&target, Condition::Hung),
            Some(Act::Heal(target)) => control::order(&target, Condition::Well),
        }
    }

    fn play(self) -> Result<ExitCode, Failure> {
        let control = bind(self.control.control, "--control")?;
        // The proxy shares its port among its workers (SO_REUSEPORT), so a second demo would quietly get half of the first
        // one's requests. Asking for each port alone first finds out.
        drop(bind(self.bind, "--bind")?);
        drop(bind(self.admin, "--admin")?);
        let state = StateDirectory::create()
            .map_err(|error| Failure::new(format!("no state directory: {error}")))?;
        let zones = Zones::bind()
            .map_err(|error| Failure::new(format!("no ports for the zones: {error}")))?;
        let config = configuration(&self, &state.0, &zones)?;
        let _log = self.log.start();
        let guide = guide::Guide {
            proxy: self.bind,
            admin: self.admin,
            control: self.control.control,
        };
        let stage = zones.stage();
        let _zones = zones
            .start(control, stage.clone(), guide)
            .map_err(|error| Failure::new(format!("the zones can't start: {error}")))?;
        Ok(crate::serve::run(config, None, Some(stage)))
    }
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        Failure::new(format!(
            "{address} can't be bound: {error}; choose another one with {flag}"
        ))
        .with_code(UNBOUND)
    })
}

fn configuration(demo: &Demo, state: &Path, zones: &Zones) -> Result<Config, Failure> {
    let text = format!(
        r#"
        [server]
        state_dir = {state:?}
        drain_timeout = "5s"

        [[listener]]
        bind = "{proxy}"

        [admin]
        bind = "{admin}"

        [check]
        kind = "http"
        path = "/healthz"
        interval = "1s"
        timeout = "500ms"

        [failover]
        min_stay = "5s"
        max_flips_per_hour = 1000

        [access_log]
        path = "off"
        {zones}"#,
        state = state.display().to_string(),
        proxy = demo.bind,
        admin = demo.admin,
        zones = zones.configuration(),
    );
    Config::parse(&text, Path::new("demo.toml"), &Nothing)
        .map_err(|error| Failure::new(format!("the demo's own configuration: {error}")))
}

/// The demo's configuration refers to nothing outside.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("the demo has no files".into())
    }
}

/// Gone with the demo: each one starts anew.
struct StateDirectory(PathBuf);

impl StateDirectory {
    fn create() -> io::Result<Self> {
        let name = format!(
            "firedoor-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let path = std::env::temp_dir().join(name);
        // Fails if it is there already, so nobody can have prepared it.
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "{} can't be removed", self.0.display());
        }
    }
}
