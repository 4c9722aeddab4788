//! A program of the operators' own, run to its end: bounded in time and output, killed with all that it has started, and
//! never left behind as a zombie.
//!
//! It gets a process group of its own. Killing only the process itself would leave a shell's children to run on, which hold
//! its output open and go on changing the very database that was given up waiting for.

use std::fmt;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Bytes of output that are kept: the last ones, since programs end with what went wrong.
const OUTPUT: usize = 4096;
/// How long what a program has written last is waited for after its end. It is there already, unless something that the
/// program left behind holds the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long the kernel may take to end what it was told to kill.
const REAPING: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// In which way.
    pub(crate) how: How,
    /// What it wrote to standard output and standard error, in the order of writing: at most the last 4 KiB, trimmed.
    pub(crate) output: String,
    /// From its start to its end.
    pub(crate) took: Duration,
}

/// In which way a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// With this code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed,
    /// Not in time: it was killed.
    TimedOut(Duration),
    /// It could not be started, in words.
    NotStarted(String),
}

impl Ended {
    /// With code 0, and in time.
    pub(crate) fn succeeded(&self) -> bool {
        self.how == How::Exited(0)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed => f.write_str("killed by a signal"),
            Self::TimedOut(limit) => write!(f, "still running after {limit:?}, killed"),
            Self::NotStarted(problem) => write!(f, "can't be started: {problem}"),
        }
    }
}

/// Runs `argv` (program and arguments, no shell) with `environment` added to our own and `input` on its standard input, for at most `limit`.
/// A program that doesn't read its input isn't waited for to do so.
///
/// What it has started in the background lives on if it ends in time; programs that start servers rely on that.
///
/// # Cancel safety
/// When dropped, the program is killed, with all of its process group.
pub(crate) async fn run(
    argv: &[String],
    environment: &[(&str, String)],
    input: &[u8],
    limit: Duration,
) -> Ended {
    let began = Instant::now();
    let (how, output) = match start(argv, environment, !input.is_empty()) {
        Ok((child, pipe)) => attend(child, pipe, input, limit).await,
        Err(error) => (How::NotStarted(error.to_string()), Vec::new()),
    };
    Ended {
        how,
        output: String::from_utf8_lossy(&output).trim().to_owned(),
        took: began.elapsed(),
    }
}

fn start(
    argv: &[String],
    environment: &[(&str, String)],
    fed: bool,
) -> io::Result<(Child, pipe::Receiver)> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))?;
    // One pipe for both, so that the order of what was written is kept.
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(if fed { Stdio::piped() } else { Stdio::null() })
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pipe = pipe::Receiver::from_owned_fd(reader.into())?;
    Ok((child, pipe))
}

async fn attend(
    mut child: Child,
    mut pipe: pipe::Receiver,
    input: &[u8],
    limit: Duration,
) -> (How, Vec<u8>) {
    let stdin = child.stdin.take();
    // It ends by closing; a program that has ended or doesn't read it is no error of ours.
    let mut feeding = pin!(async move {
        if let Some(mut stdin) = stdin {
            let _read_or_not = stdin.write_all(input).await;
        }
    });
    let mut group = Group(
        child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
    );
    let mut output = Vec::new();
    let ended = timeout(limit, async {
        let (mut open, mut hungry) = (true, true);
        loop {
            tokio::select! {
                () = &mut feeding, if hungry => hungry = false,
                ended = child.wait() => return ended,
                read = read(&mut pipe, &mut output), if open => open = read,
            }
        }
    })
    .await;
    let how = match ended {
        Ok(status) => {
            // From here on the number may be another process's.
            group.0 = None;
            let rest = async { while read(&mut pipe, &mut output).await {} };
            let _read = timeout(LAST_WORDS, rest).await;
            how(status)
        }
        Err(_) => {
            drop(group);
            // Should it take longer, tokio reaps it whenever it ends.
            let _reaped = timeout(REAPING, child.wait()).await;
            How::TimedOut(limit)
        }
    };
    (how, output)
}

fn how(status: io::Result<ExitStatus>) -> How {
    match status {
        Ok(status) => status.code().map_or(How::Killed, How::Exited),
        Err(error) => How::NotStarted(format!("and can't be waited for: {error}")),
    }
}

/// Reads on, keeping the last bytes. `false` at the end.
async fn read(pipe: &mut pipe::Receiver, output: &mut Vec<u8>) -> bool {
    let mut some = [0; 1024];
    match pipe.read(&mut some).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            output.extend_from_slice(&some[..count]);
            output.drain(..output.len().saturating_sub(OUTPUT));
            true
        }
    }
}

/// A process group that is killed when this is dropped. Only while its leader has not been waited for: until then nobody else
/// can have the number.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error means that all of it has ended already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn shell(script: &str, limit: Duration) -> Ended {
        let argv = ["sh", "-c", script].map(str::to_owned);
        run(&argv, &[("GREETING", "hello".to_owned())], b"", limit).await
    }

    /// Whether a process lives, zombies included.
    fn is_there(pid: &str) -> bool {
        Path::new("/proc").join(pid).exists()
    }

    async fn until_gone(pid: &str) {
        let gone = async {
            while is_there(pid) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, gone).await.expect("it lives on");
    }

    #[tokio::test]
    async fn code_and_output_come_back_in_the_order_of_writing() {
        let ended = shell("echo $GREETING; echo two >&2; echo three; exit 3", PATIENCE).await;
        assert_eq!(ended.how, How::Exited(3));
        assert_eq!(ended.output, "hello\ntwo\nthree");
        assert!(!ended.succeeded());
        assert!(shell("true", PATIENCE).await.succeeded());
    }

    #[tokio::test]
    async fn of_much_output_the_end_is_kept_and_the_program_never_blocks_on_it() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last";
        let ended = shell(script, PATIENCE).await;
        assert_eq!(ended.how, How::Exited(0));
        assert!(ended.output.ends_with("line 19999\nlast"));
        assert!(ended.output.len() <= OUTPUT);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_its_children_and_leaves_no_zombie() {
        let script = "echo $$; sleep 1000 & echo $!; wait";
        let ended = shell(script, Duration::from_secs(2)).await;
        assert_eq!(ended.how, How::TimedOut(Duration::from_secs(2)));
        let pids: Vec<&str> = ended.output.lines().collect();
        assert_eq!(pids.len(), 2, "{ended:?}");
        assert!(!is_there(pids[0]), "a zombie");
        // Its parent is gone too: the grandchild is reaped by init, in its own time.
        until_dead(pids[1]).await;
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_any_more_is_killed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("echo $$ > {}; sleep 1000", file.path().display());
        let mut running = Box::pin(shell(&script, PATIENCE));
        let pid = loop {
            tokio::select! {
                ended = &mut running => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
            let text = std::fs::read_to_string(file.path()).unwrap();
            if text.ends_with('\n') {
                break text.trim().to_owned();
            }
        };
        drop(running);
        until_gone(&pid).await;
    }

    #[tokio::test]
    async fn what_it_leaves_behind_neither_delays_its_end_nor_is_killed() {
        let ended = shell("sleep 1000 & echo $!", PATIENCE).await;
        assert_eq!(ended.how, How::Exited(0));
        assert!(is_there(&ended.output), "it was killed");
        let pid = Pid::from_raw(ended.output.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn its_input_reaches_its_end_and_whoever_does_not_read_it_is_not_waited_for() {
        let much = vec![b'x'; 1 << 20];
        let argv = ["sh", "-c", "wc -c"].map(str::to_owned);
        let ended = run(&argv, &[], &much, PATIENCE).await;
        assert_eq!(
            (ended.how, ended.output.trim()),
            (How::Exited(0), "1048576")
        );
        let argv = ["true".to_owned()];
        assert!(run(&argv, &[], &much, PATIENCE).await.succeeded());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_outcome() {
        let argv = ["/nowhere/promote".to_owned()];
        let ended = run(&argv, &[], b"", PATIENCE).await;
        assert!(matches!(ended.how, How::NotStarted(_)), "{ended:?}");
        assert!(!ended.succeeded());
    }

    /// Gone, or a zombie that its reaper has not got round to.
    async fn until_dead(pid: &str) {
        let dead = async {
            loop {
                let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
                match stat {
                    Ok(stat) if !stat.contains(") Z ") => tokio::task::yield_now().await,
                    _ => return,
                }
            }
        };
        timeout(PATIENCE, dead).await.expect("it lives on");
    }
}
