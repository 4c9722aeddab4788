//! Orders to a running firedoor: zones, operator states, reload.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::client::{Client, segment};
use super::status::texts;
use super::terminal::{plain_lines, print};
use super::{ClientArgs, Failure};
use crate::admin::length_of;

/// `firedoor zone …`
#[derive(Debug, Subcommand)]
pub(super) enum Zone {
    /// Make a zone active: new requests wait while running ones finish
    Activate {
        /// The zone
        name: String,
        #[command(flatten)]
        planned: Planned,
    },
    /// Keep a zone active, whatever happens
    Pin(NamedZone),
    /// Decide freely again
    Unpin(NamedZone),
}

/// A zone and why.
#[derive(Args, Debug)]
pub(super) struct NamedZone {
    /// The zone
    name: String,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    client: ClientArgs,
}

/// A flip by an operator.
#[derive(Args, Debug)]
pub(super) struct Planned {
    /// Flip at once: running requests are not waited for
    #[arg(long)]
    no_hold: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// `firedoor drill`
#[derive(Args, Debug)]
pub(super) struct Drill {
    /// The zone to leave: the active one
    #[arg(long, value_name = "NAME", required_unless_present = "abort")]
    zone: Option<String>,
    /// How long: "10m"
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = length,
        required_unless_present = "abort"
    )]
    length: Option<String>,
    /// Return from the drill under way, now
    #[arg(long, conflicts_with_all = ["zone", "length"])]
    abort: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// For the journal.
#[derive(Args, Debug)]
pub(super) struct Why {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `firedoor backend …`
#[derive(Debug, Subcommand)]
pub(super) enum Backend {
    /// Nothing new goes there, what runs may finish
    Drain(NamedComponent),
    /// It takes part again
    Ready(NamedComponent),
    /// Nothing goes there, and it isn't judged
    Maintenance(NamedComponent),
}

/// A component and why.
#[derive(Args, Debug)]
pub(super) struct NamedComponent {
    /// Zone and name: "fz-1:app-1"
    #[arg(value_name = "ZONE:NAME", value_parser = component)]
    component: (String, String),
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    client: ClientArgs,
}

impl Zone {
    pub(super) fn client(&self) -> ClientArgs {
        match self {
            Self::Activate { planned, .. } => planned.client.clone(),
            Self::Pin(zone) | Self::Unpin(zone) => zone.client.clone(),
        }
    }

    pub(super) async fn run(self, client: Client) -> Result<ExitCode, Failure> {
        match self {
            Self::Activate { name, planned } => {
                let path = format!("/v1/zones/{}/activate", segment(&name));
                planned.run(client, &path).await
            }
            Self::Pin(zone) => zone.run(client, "pin").await,
            Self::Unpin(zone) => zone.run(client, "unpin").await,
        }
    }
}

impl NamedZone {
    async fn run(self, client: Client, verb: &str) -> Result<ExitCode, Failure> {
        let path = format!("/v1/zones/{}/{verb}", segment(&self.name));
        order(client, &path, self.why.members()).await
    }
}

impl Planned {
    pub(super) async fn run(self, client: Client, path: &str) -> Result<ExitCode, Failure> {
        let mut members = self.why.members();
        members.insert("hold".into(), (!self.no_hold).into());
        order(client, path, members).await
    }
}

impl Drill {
    pub(super) async fn run(self, client: Client) -> Result<ExitCode, Failure> {
        let mut members = self.why.members();
        if self.abort {
            return order(client, "/v1/drill/abort", members).await;
        }
        let named = [("zone", self.zone), ("for", self.length)];
        for (name, value) in named {
            members.insert(name.into(), value.into());
        }
        order(client, "/v1/drill", members).await
    }
}

impl Why {
    fn members(self) -> Map<String, Value> {
        self.reason
            .map(|reason| ("reason".to_owned(), Value::from(reason)))
            .into_iter()
            .collect()
    }
}

impl Backend {
    pub(super) fn client(&self) -> ClientArgs {
        let (Self::Drain(named) | Self::Ready(named) | Self::Maintenance(named)) = self;
        named.client.clone()
    }

    pub(super) async fn run(self, client: Client) -> Result<ExitCode, Failure> {
        let (named, state) = match self {
            Self::Drain(named) => (named, "drain"),
            Self::Ready(named) => (named, "ready"),
            Self::Maintenance(named) => (named, "maintenance"),
        };
        let (zone, name) = &named.component;
        let path = format!(
            "/v1/zones/{}/backends/{}/{state}",
            segment(zone),
            segment(name)
        );
        order(client, &path, named.why.members()).await
    }
}

/// `firedoor reload`
pub(super) async fn reload(client: Client) -> Result<ExitCode, Failure> {
    let answer = client
        .post("/v1/reload", &Value::Object(Map::new()))
        .await?
        .body;
    if client.json {
        return print(&format!("{answer:#}\n"));
    }
    let mut said = format!("configuration {} is in force\n", answer["generation"]);
    for change in texts(&answer["changes"]) {
        said.push_str(&format!("  {change}\n"));
    }
    print(&said)
}

async fn order(
    client: Client,
    path: &str,
    members: Map<String, Value>,
) -> Result<ExitCode, Failure> {
    let answer = client.post(path, &Value::Object(members)).await?.body;
    if client.json {
        return print(&format!("{answer:#}\n"));
    }
    let message = answer["message"].as_str().unwrap_or("?");
    print(&format!("{}\n", plain_lines(message)))
}

/// Refused here, it is a usage error; firedoor itself reads it again.
fn length(text: &str) -> Result<String, String> {
    length_of(text).map(|_| text.to_owned())
}

/// A name may hold colons (it defaults to the address), a zone's can't.
fn component(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((zone, name)) if !zone.is_empty() && !name.is_empty() => {
            Ok((zone.to_owned(), name.to_owned()))
        }
        _ => Err("zone and name are needed, like fz-1:app-1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_its_zone_and_a_name_that_may_be_an_address() {
        assert_eq!(
            component("fz-1:10.0.0.1:80"),
            Ok(("fz-1".into(), "10.0.0.1:80".into()))
        );
        for text in ["fz-1", ":app", "fz-1:", ""] {
            assert!(component(text).is_err(), "{text}");
        }
    }
}
