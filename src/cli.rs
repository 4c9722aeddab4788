//! The command line: what an operator types, and what comes back on the terminal.

mod check;
mod client;
mod events;
mod explain;
mod health;
mod journal;
mod order;
mod plan;
mod replay;
mod serve;
mod status;
mod table;
mod terminal;
mod top;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::demo;
use crate::telemetry::log;
use client::{Address, Client};
use terminal::Color;
pub(crate) use terminal::coloured;

/// Everything was fine.
pub(crate) const FINE: u8 = 0;
/// It failed while running.
pub(crate) const FAILED: u8 = 1;
/// The command line isn't right.
pub(crate) const USAGE: u8 = 2;
/// The configuration isn't valid.
pub(crate) const INVALID: u8 = 3;
/// A listener's address can't be bound.
pub(crate) const UNBOUND: u8 = 4;

/// A reverse proxy for systems that are run twice: when any component of a zone fails, all requests go to the standby zone.
#[derive(Debug, Parser)]
#[command(name = "firedoor", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 failed while running, 2 usage, 3 invalid configuration, 4 could not bind.
Signals: HUP reloads, TERM and INT stop gracefully (twice: at once), USR1 reopens logs.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Serve(serve::Serve),
    /// Check configuration files and report every problem of each
    #[command(visible_alias = "validate")]
    Check(check::Check),
    /// Try firedoor: two zones with app servers and databases in this process, to break and heal
    Demo(demo::Demo),
    /// Show zones, components and the decision
    Status(ClientArgs),
    /// Watch zones, components, traffic and the journal in this terminal, and steer
    #[command(mut_arg("json", |json| json.hide(true)))]
    Top(ClientArgs),
    /// Ask whether anything can serve: exit 0 for pass and warn, 1 for fail
    Health(ClientArgs),
    /// Why the active zone is active
    Explain(ClientArgs),
    /// What would happen if components went down, or came up
    Plan(plan::Plan),
    /// Which flips of a recorded journal would have differed under another configuration
    Replay(replay::Replay),
    /// Show flips and transitions
    Journal(journal::Journal),
    /// Make a zone active, pin it, unpin it
    #[command(subcommand)]
    Zone(order::Zone),
    /// Make the preferred zone active again
    Failback(order::Planned),
    /// Send the traffic to a standby for a while, as if a zone had failed; it returns by itself, early if errors rise
    Drill(order::Drill),
    /// Take a backend or dependency out, put it back
    #[command(subcommand)]
    Backend(order::Backend),
    /// Read the configuration file again, all or nothing
    Reload(ClientArgs),
    /// Print a completion script
    Completion {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page: `firedoor man | man -l -`
    Man {
        /// Of which command; by default of firedoor itself
        #[arg(value_name = "COMMAND")]
        of: Vec<String>,
    },
}

/// Which firedoor is meant, and how its answer is shown.
#[derive(Args, Clone, Debug)]
struct ClientArgs {
    /// Its admin listener: "127.0.0.1:9900" or "unix:/run/firedoor/admin.sock"
    #[arg(
        long,
        value_name = "ADDR",
        env = "FIREDOOR_ADMIN",
        default_value = "127.0.0.1:9900"
    )]
    admin: Address,
    /// A file with the admin token; the token itself may stand in FIREDOOR_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// When to use colours; JSON has none
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Color,
}

/// How the log looks.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// How log lines (stderr) look
    #[arg(long, value_enum, default_value_t)]
    log_format: log::Format,
    /// From which level on: error, warn, info, debug, trace, or a filter in RUST_LOG's syntax
    #[arg(long, value_name = "LEVEL", env = "RUST_LOG", default_value = "info")]
    log_level: log::Filter,
}

impl LogArgs {
    /// Starts the log. The lines that wait are written out when the guard is dropped.
    pub(crate) fn start(&self) -> log::Guard {
        log::start(self.log_format, &self.log_level)
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One of the codes above.
    pub(crate) code: u8,
    /// What went wrong, and the remedy. Empty: all has been said.
    pub(crate) message: String,
}

impl Failure {
    /// Something failed while running.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            message: message.into(),
        }
    }

    /// With another exit code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

/// Does what the process's arguments say.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that is gone (`firedoor --help | head -1`) is no failure.
            let _gone = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { FINE });
        }
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                terminal::complain(&failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Demo(demo) => demo.run(),
        Command::Replay(replay) => replay.run(),
        Command::Status(args) => ask(args, status::run),
        Command::Top(args) => ask(args, top::run),
        Command::Health(args) => ask(args, health::run),
        Command::Explain(args) => ask(args, explain::run),
        Command::Reload(args) => ask(args, order::reload),
        Command::Journal(journal) => ask(journal.client.clone(), async |client| {
            journal.run(client).await
        }),
        Command::Plan(plan) => ask(plan.client.clone(), async |client| plan.run(client).await),
        Command::Zone(zone) => ask(zone.client(), async |client| zone.run(client).await),
        Command::Failback(planned) => ask(planned.client.clone(), async |client| {
            planned.run(client, "/v1/failback").await
        }),
        Command::Drill(drill) => ask(drill.client.clone(), async |client| drill.run(client).await),
        Command::Backend(backend) => {
            ask(backend.client(), async |client| backend.run(client).await)
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "firedoor", &mut script);
            terminal::print_bytes(&script)
        }
        Command::Man { of } => manual_page(&of),
    }
}

fn manual_page(of: &[String]) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    let command = of
        .iter()
        .try_fold(&command, |command, name| command.find_subcommand(name))
        .ok_or_else(|| {
            Failure::new(format!("there is no command {:?}", of.join(" "))).with_code(USAGE)
        })?;
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::new(format!("no manual page: {error}")))?;
    terminal::print_bytes(&page)
}

/// Runs `command` against the firedoor that `args` name.
fn ask(
    args: ClientArgs,
    command: impl AsyncFnOnce(Client) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    terminal::choose(args.color);
    let client = Client::new(args)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no runtime: {error}")))?
        .block_on(command(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
