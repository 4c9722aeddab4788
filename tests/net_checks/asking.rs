//! One probe, configured as a user configures it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use firedoor::config::{Config, Dependency};
use firedoor::health::probe::{Prober, Subject};
use firedoor::outcome::Outcome;

/// Long enough that only silence can reach it.
pub const AMPLE: &str = "timeout = \"20s\"";
/// For those who keep silent.
pub const SHORT: &str = "timeout = \"150ms\"";

/// Probes `address` once, as a dependency whose check has these further keys, written in a file of `directory`.
pub async fn ask(directory: &Path, address: SocketAddr, keys: &str) -> Outcome {
    let keys = if keys.contains("timeout") {
        keys.to_owned()
    } else {
        format!("{keys}, {AMPLE}")
    };
    let dependency = dependency(directory, address, &keys);
    let subject = Subject {
        component: &dependency.key,
        address,
        authority: &address.to_string(),
    };
    Prober::default().probe(subject, &dependency.check).await
}

/// The dependency, read from a file in `directory`.
pub fn dependency(directory: &Path, address: SocketAddr, keys: &str) -> Dependency {
    let file = directory.join("firedoor.toml");
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:8080\"\n[[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"127.0.0.1:1\" }}]\n\
         [[zone.dependency]]\nname = \"thing\"\ncheck = {{ address = \"{address}\", {keys} }}\n"
    );
    fs::write(&file, text).unwrap();
    let config: Config = firedoor::config::load(&file).unwrap_or_else(|error| panic!("{error}"));
    config.zones[0].dependencies[0].clone()
}
