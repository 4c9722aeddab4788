//! TOML text → [`Config`], or every problem at once. Pure: files and variables come in through [`Environment`].

mod address;
mod check;
mod endpoint;
mod failover;
mod notify;
mod page;
mod path;
mod pool;
mod rate;
mod route;
mod server;
mod tls;
mod traffic;
mod values;
mod zone;

use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::Config;
use super::error::{ConfigError, Problem};
pub use super::expand::Environment;
use super::raw::{Reader, Section};
pub(crate) use path::normalise;

impl Config {
    /// Parses `text`, which was read from `file` (relative paths in it are relative to that).
    pub fn parse(
        text: &str,
        file: &Path,
        environment: &dyn Environment,
    ) -> Result<Self, ConfigError> {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let (tree, errors) = DeTable::parse_recoverable(text);
        let reader = Reader::new(environment, folder, errors.is_empty());
        let config = read(&reader.root(tree.get_ref()));
        let mut problems: Vec<Problem> = errors.iter().map(syntax_problem).collect();
        // What stands on the line of a syntax error is what the recovery made of it, not what the author wrote.
        let broken: Vec<usize> = problems.iter().map(|problem| problem.line(text)).collect();
        let sound = |problem: &Problem| !broken.contains(&problem.line(text));
        problems.extend(reader.into_problems().into_iter().filter(sound));
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Err(ConfigError {
            file: file.to_owned(),
            text: text.to_owned(),
            problems,
        })
    }
}

/// A duration in the file's notation, from elsewhere: `"10m"`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    values::PERIOD.read(text)
}

/// Reads all of it whatever the problems: where a value is unusable, its default stands in, and nobody gets to see it.
fn read(root: &Section<'_>) -> Config {
    let default_check = Arc::new(check::overlay(
        &mut root.section("check"),
        &check::builtin(),
    ));
    let listeners = server::listeners(root);
    let mut pools = pool::Pools::read(root, Arc::clone(&default_check));
    let zones = zone::zones(root, &mut pools, &default_check);
    let routes = route::routes(root, &pools);
    Config {
        server: server::server(&root.section("server")),
        admin: server::admin(&root.section("admin"), &listeners),
        listeners,
        limits: traffic::limits(&root.section("limits"), root.any_has("route", "rate")),
        upstream: traffic::upstream(&root.section("upstream")),
        failover: failover::failover(&root.section("failover")),
        access_log: traffic::access_log(&root.section("access_log")),
        journal: server::journal(&root.section("journal")),
        traces: endpoint::traces(&root.section("tracing")),
        notify: notify::notify(root),
        pools: pools.into_vec(),
        routes,
        zones,
    }
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let hint = match error.message() {
        "duplicate key" => Some("it is set further up already: remove one of the two"),
        message
            if message.starts_with("string values must be quoted")
                || message.starts_with("invalid float") =>
        {
            Some("put it in quotes: \"…\"")
        }
        _ => None,
    };
    Problem {
        key: String::new(),
        message: error.message().to_owned(),
        hint: hint.map(str::to_owned),
        span: error.span(),
    }
}
