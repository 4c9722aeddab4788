//! `firedoor top`: which zone is active, why, and what can be done, live in a terminal.
//!
//! One task: the stream of events, the keys, the answers to what was asked, and the clock wake it; it takes what came into the
//! [`State`], which is pure, and draws that anew.

mod dialog;
mod draw;
mod errand;
mod key;
mod link;
mod order;
mod picture;
mod state;
mod story;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::{IsTerminal, stdin, stdout};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream};
use crossterm::execute;
use futures_core::Stream;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::client::Client;
use super::{FINE, Failure, USAGE};
use draw::Look;
use errand::Answer;
use link::Link;
use state::{Effect, State};

/// Between two looks at the clock: ages are told in whole seconds.
const TICK: Duration = Duration::from_secs(1);
/// News that wait to be drawn.
const QUEUE: usize = 64;

/// Runs until the operator leaves.
pub(super) async fn run(client: Client) -> Result<ExitCode, Failure> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if client.json || dumb || !stdout().is_terminal() || !stdin().is_terminal() {
        return Err(Failure::new(
            "top draws on a terminal with a cursor (TERM isn't \"dumb\"), and reads keys from it: use \"firedoor status --json\" in scripts",
        )
        .with_code(USAGE));
    }
    // Before the terminal is taken, so that a wrong address or token is told like everywhere else.
    let (link, journal) = Link::open(&client).await?;
    let mut state = State::new(client.address().to_string(), journal);
    let screen = Screen::take()?;
    watch(&client, link, &mut state, screen).await?;
    Ok(ExitCode::from(FINE))
}

/// The terminal, which is given back when this is dropped, and before a panic is told.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> Result<Self, Failure> {
        match ratatui::try_init() {
            Ok(terminal) => {
                let screen = Self(terminal);
                // So that a pasted line break and letter give no order.
                execute!(stdout(), EnableBracketedPaste).map_err(|error| lost(&error))?;
                Ok(screen)
            }
            Err(error) => {
                ratatui::restore();
                Err(lost(&error))
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone itself.
        let _gone = execute!(stdout(), DisableBracketedPaste);
        let _gone = self.0.show_cursor();
        // Before a panic was told: once more, and the shell would write over it.
        if !std::thread::panicking() {
            let _gone = ratatui::try_restore();
        }
    }
}

async fn watch(
    client: &Client,
    link: Link,
    state: &mut State,
    mut screen: Screen,
) -> Result<(), Failure> {
    let look = Look::of_this_terminal();
    let (told, mut news) = mpsc::channel(QUEUE);
    let mut link = pin!(link.follow(client, told));
    let mut keys = EventStream::new();
    let mut errand: Option<Pin<Box<dyn Future<Output = Answer> + '_>>> = None;
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ends = [
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::interrupt(),
    ]
    .map(signal)
    .into_iter()
    .collect::<Result<Vec<_>, _>>()
    .map_err(|error| Failure::new(format!("signals can't be waited for: {error}")))?;
    loop {
        let drawn = screen
            .0
            .draw(|frame| draw::draw(frame, state, look, Instant::now()));
        drawn.map_err(|error| lost(&error))?;
        let effect = tokio::select! {
            () = &mut link => None,
            Some(first) = news.recv() => {
                state.hear(first, Instant::now());
                while let Ok(more) = news.try_recv() {
                    state.hear(more, Instant::now());
                }
                None
            }
            event = poll_fn(|context| Pin::new(&mut keys).poll_next(context)) => match event {
                Some(Ok(Event::Key(key))) => key::press(key).and_then(|press| state.press(press)),
                Some(Ok(Event::Paste(text))) => {
                    state.paste(&text);
                    None
                }
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(lost(&error)),
                None => return Ok(()),
            },
            answer = done(&mut errand) => {
                errand = None;
                state.answered(answer, Instant::now());
                None
            }
            () = any(&mut ends) => return Ok(()),
            _ = clock.tick() => None,
        };
        match effect {
            None => {}
            Some(Effect::Quit) => return Ok(()),
            Some(Effect::Run(wanted)) => errand = Some(Box::pin(errand::run(client, wanted))),
        }
    }
}

/// The errand's answer; never ready without one.
async fn done<F: Future + Unpin>(errand: &mut Option<F>) -> F::Output {
    match errand {
        Some(errand) => errand.await,
        None => std::future::pending().await,
    }
}

/// One of the signals.
async fn any(signals: &mut [tokio::signal::unix::Signal]) {
    poll_fn(|context| {
        let came = signals
            .iter_mut()
            .any(|one| one.poll_recv(context).is_ready());
        if came {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

fn lost(error: &std::io::Error) -> Failure {
    Failure::new(format!("the terminal can't be used: {error}"))
}
