//! A command of the operator's: its exit code is the answer, and what it prints is the reason.
//!
//! It runs in a process group of its own, which is killed whatever happens: when it has ended (for what it may have left
//! behind), at the timeout, and when the probe is dropped. Only what leaves the group on purpose (`setsid`) escapes.

mod turns;

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::{Finding, Subject, plain};
use crate::config::CommandCheck;
use crate::outcome::{CheckCode, is_own_fault};

pub(super) use turns::Turns;

/// How much of the output is kept, in bytes.
const KEPT: usize = 1024;
/// How much of it is read. A command that prints for ever would otherwise keep this thread busy until its timeout.
const READ: usize = 64 * 1024;

/// Runs `command` for `subject`, after any earlier run for the same component.
pub(super) async fn run(
    subject: Subject<'_>,
    command: &CommandCheck,
    turns: &Turns,
    deadline: Instant,
) -> Result<Finding, Finding> {
    let late = |what| move |_| Finding::new(CheckCode::L7Timeout, what);
    let turn = turns.of(subject.component).lock_owned();
    let turn = timeout_at(deadline, turn)
        .await
        .map_err(late("an earlier run of the command has not ended"))?;
    let command = prepare(subject, command);
    // Starting waits for the disk that the program is on; this thread has other probes to look after.
    let start = tokio::task::spawn_blocking(|| Running::start(command, turn));
    let started = timeout_at(deadline, start)
        .await
        .map_err(late("the command did not start"))?;
    let (running, output) = started
        .unwrap_or_else(|panic| Err(io::Error::other(panic)))
        .map_err(|error| unstarted(&error))?;
    running.finish(output, deadline).await
}

/// Nothing of firedoor's own surroundings is handed on but `PATH`: what a secret in the environment is for, a check isn't.
fn prepare(subject: Subject<'_>, check: &CommandCheck) -> Command {
    let mut command = Command::new(&check.program);
    command
        .args(check.arguments.iter().map(|argument| argument.expose()))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("FIREDOOR_ZONE", &*subject.component.zone)
        .env("FIREDOOR_COMPONENT", &*subject.component.name)
        .env("FIREDOOR_ADDRESS", subject.authority)
        .stdin(Stdio::null())
        .process_group(0)
        // When this is dropped before its end, tokio sees to it that no zombie is left.
        .kill_on_drop(true);
    command
}

/// A command that was started, with the turn that is over only when it has ended.
struct Running {
    child: Child,
    group: Pid,
    _turn: OwnedMutexGuard<()>,
}

impl Running {
    /// Blocks until the program is loaded.
    fn start(mut command: Command, turn: OwnedMutexGuard<()>) -> io::Result<(Self, PipeReader)> {
        // One pipe for both, so that lines keep their order.
        let (output, input) = io::pipe()?;
        let child = command.stdout(input.try_clone()?).stderr(input).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        let running = Self {
            child,
            group,
            _turn: turn,
        };
        Ok((running, output))
    }

    async fn finish(mut self, output: PipeReader, deadline: Instant) -> Result<Finding, Finding> {
        let mut heard = Vec::new();
        let watched = timeout_at(deadline, watch(self.group, output, &mut heard)).await;
        // Before the leader is reaped: as long as it isn't, nobody else can have the group's number.
        self.kill();
        // Its turn goes on until it is really gone. A process that hangs in the kernel doesn't die even now; then the checker
        // gives this probe up, and the next ones say that there is an earlier run.
        let status = self.child.wait().await;
        heard.truncate(KEPT);
        let said = plain(&String::from_utf8_lossy(&heard), KEPT);
        match (watched, status) {
            (Err(_), _) if said.is_empty() => Err(Finding::new(
                CheckCode::L7Timeout,
                "the command did not end",
            )),
            (Err(_), _) => Err(Finding::new(
                CheckCode::L7Timeout,
                format!("the command said {said:?}, but did not end"),
            )),
            (Ok(Err(error)), _) | (_, Err(error)) => Err(broken("can't be watched", &error)),
            (Ok(Ok(Watched::Flooded)), _) => Err(Finding::new(
                CheckCode::L7Response,
                format!("the command printed more than {} KiB: {said}", READ / 1024),
            )),
            (Ok(Ok(Watched::Ended)), Ok(status)) => Ok(judge(status, &said)),
        }
    }

    fn kill(&self) {
        // An error means that nobody is left.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once the leader is reaped, its number may be somebody else's.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

enum Watched {
    Ended,
    /// It printed more than anybody reads.
    Flooded,
}

/// Reads what the command prints until it ends. That the pipe is closed says nothing: what the command left behind may hold it
/// open, and a command may close it long before its end.
async fn watch(process: Pid, output: PipeReader, heard: &mut Vec<u8>) -> io::Result<Watched> {
    let mut end = pin!(end(process));
    let mut output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
    let mut open = true;
    let mut chunk = [0; 4096];
    while heard.len() <= READ {
        tokio::select! {
            count = output.read(&mut chunk), if open => {
                let count = count?;
                open = count > 0;
                heard.extend_from_slice(&chunk[..count]);
            }
            ended = &mut end => {
                ended?;
                // The end may be known before the last words have been read.
                let mut rest = PipeReader::from(output.into_nonblocking_fd()?).take(KEPT as u64);
                return match rest.read_to_end(heard) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                    _ => Ok(Watched::Ended),
                };
            }
        }
    }
    Ok(Watched::Flooded)
}

/// Waits until `process`, a child, has ended, and leaves it to be reaped.
async fn end(process: Pid) -> io::Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // Before the first look, so that no end falls between the two.
    let mut children = signal(SignalKind::child())?;
    while waitid(WaitId::Pid(process), options)?.is_none() {
        children.recv().await;
    }
    Ok(())
}

/// HAProxy's external-check: the exit code is the status.
fn judge(status: ExitStatus, said: &str) -> Finding {
    let colon = if said.is_empty() { "" } else { ": " };
    let code = status.code().and_then(|code| u16::try_from(code).ok());
    match (code, status.signal()) {
        (Some(0), _) => Finding::new(CheckCode::L7Ok, said),
        (Some(code), _) => Finding::new(
            CheckCode::L7Status,
            format!("exit code {code}{colon}{said}"),
        )
        .with_status(code),
        (None, signal) => Finding::new(
            CheckCode::L7Status,
            format!(
                "ended by signal {}{colon}{said}",
                signal.unwrap_or_default()
            ),
        ),
    }
}

/// That we are short of descriptors or processes says nothing about the component.
fn unstarted(error: &io::Error) -> Finding {
    let finding = broken("can't be started", error);
    if is_own_fault(error) || Errno::from_io_error(error) == Some(Errno::AGAIN) {
        return Finding::new(CheckCode::SocketError, finding.detail);
    }
    finding
}

fn broken(what: &str, error: &io::Error) -> Finding {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such program".to_owned(),
        io::ErrorKind::PermissionDenied => "it is not executable for us".to_owned(),
        _ => error.to_string(),
    };
    Finding::new(CheckCode::L7Response, format!("the command {what}: {why}"))
}
