//! One target: its queue, and the task that works it off in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify as Bell;
use tokio::task::JoinHandle;

use super::notice::Notice;
use super::post::{self, Failed};
use crate::config::{Means, Notify};
use crate::health::program;

/// Notices that wait for one target. Past that the oldest is given up: what is known last matters most.
const MOST: usize = 100;
/// Before the second attempt; twice as long before each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// At most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A target at work.
#[derive(Debug)]
pub(super) struct Target {
    terms: Notify,
    queue: Arc<Queue>,
    work: Work,
}

/// Ends the task when it is dropped: a target that a reload removes is told nothing more.
#[derive(Debug)]
struct Work(JoinHandle<()>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What has become of all notices so far.
#[derive(Debug)]
pub struct Progress {
    /// The target's name.
    pub name: String,
    delivered: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicU64,
    trouble: Mutex<Option<(Timestamp, String)>>,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<State>,
    bell: Bell,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct State {
    notices: VecDeque<(Instant, Notice)>,
    ending: bool,
}

impl Target {
    /// Must be called within a `LocalSet`.
    pub(super) fn start(terms: Notify) -> Self {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            bell: Bell::new(),
            progress: Arc::new(Progress {
                name: terms.name.clone(),
                delivered: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
                trouble: Mutex::new(None),
            }),
        });
        let work = tokio::task::spawn_local(work(terms.clone(), Arc::clone(&queue)));
        Self {
            terms,
            queue,
            work: Work(work),
        }
    }

    pub(super) fn terms(&self) -> &Notify {
        &self.terms
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.queue.progress
    }

    /// Never waits.
    pub(super) fn tell(&self, notice: &Notice) {
        if !self.terms.on.contains(&notice.occasion) {
            return;
        }
        let mut state = self.queue.lock();
        if state.notices.len() == MOST {
            state.notices.pop_front();
            let progress = self.progress();
            progress.waiting.fetch_sub(1, Ordering::Relaxed);
            progress.fail(format!("{MOST} events wait, so the oldest was given up"));
            tracing::error!(
                "notify {}: {MOST} events wait, the oldest is given up",
                self.terms.name
            );
        }
        self.progress().waiting.fetch_add(1, Ordering::Relaxed);
        state.notices.push_back((Instant::now(), notice.clone()));
        drop(state);
        self.queue.bell.notify_one();
    }

    /// What there is to tell is told, and nothing tried again.
    pub(super) fn wind_up(&self) {
        self.queue.lock().ending = true;
        self.queue.bell.notify_one();
    }

    /// Waits until all is told, after [`Self::wind_up`].
    pub(super) async fn ended(mut self) {
        let _ended = (&mut self.work.0).await;
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one; `None`: there will be no more.
    async fn next(&self) -> Option<(Instant, Notice)> {
        loop {
            {
                let mut state = self.lock();
                if let Some(next) = state.notices.pop_front() {
                    return Some(next);
                }
                if state.ending {
                    return None;
                }
            }
            self.bell.notified().await;
        }
    }

    fn is_ending(&self) -> bool {
        self.lock().ending
    }
}

impl Progress {
    /// Notices that were taken.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Notices that were given up.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notices that are not told yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// What went wrong last, and when; `None` once something has gone well again.
    pub fn trouble(&self) -> Option<(Timestamp, String)> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, trouble: Option<String>) {
        let trouble = trouble.map(|text| (Timestamp::now(), text));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn fail(&self, trouble: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.note(Some(trouble));
    }
}

async fn work(terms: Notify, queue: Arc<Queue>) {
    let progress = &queue.progress;
    while let Some((since, notice)) = queue.next().await {
        let told = match &terms.by {
            Means::Webhook { .. } => post_until_taken(&terms, &queue, since, &notice).await,
            Means::Command(argv) => execute(&terms, argv, &notice).await,
        };
        progress.waiting.fetch_sub(1, Ordering::Relaxed);
        match told {
            Ok(()) => {
                progress.delivered.fetch_add(1, Ordering::Relaxed);
                progress.note(None);
            }
            Err(problem) => {
                let (name, event) = (&terms.name, notice.occasion.as_str());
                tracing::error!("notify {name}: it is not told of {event}: {problem}");
                progress.fail(problem);
            }
        }
    }
}

/// Tries until it is taken, refused for good, or too old.
async fn post_until_taken(
    terms: &Notify,
    queue: &Queue,
    since: Instant,
    notice: &Notice,
) -> Result<(), String> {
    let Means::Webhook {
        endpoint,
        secret,
        retry_for,
    } = &terms.by
    else {
        return Ok(());
    };
    let id = format!("{:032x}", fastrand::u128(..));
    let until = since + *retry_for;
    let mut pause = FIRST_PAUSE;
    loop {
        let posted = post::post(endpoint, secret.as_ref(), notice, &id, terms.timeout).await;
        let (problem, wait) = match posted {
            Ok(()) => return Ok(()),
            Err(Failed::ForGood(problem)) => return Err(problem),
            Err(Failed::ForNow(problem, wait)) => (problem, wait),
        };
        let jittered = pause.mul_f64(0.5 + fastrand::f64());
        let next = Instant::now() + wait.unwrap_or(jittered);
        if next >= until || queue.is_ending() {
            return Err(problem);
        }
        let name = &terms.name;
        tracing::warn!("notify {name}: {problem}; it is tried again");
        queue.progress.note(Some(problem));
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            // Another notice, or the end: only the latter is worth a last attempt.
            () = until_ending(queue) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn until_ending(queue: &Queue) {
    while !queue.is_ending() {
        queue.bell.notified().await;
    }
}

/// The event is on its standard input, and by name and sentence in its environment.
async fn execute(terms: &Notify, argv: &[String], notice: &Notice) -> Result<(), String> {
    let environment = [
        ("FIREDOOR_EVENT", notice.occasion.as_str().to_owned()),
        ("FIREDOOR_MESSAGE", notice.message.clone()),
    ];
    let ended = program::run(argv, &environment, &notice.body, terms.timeout).await;
    let name = &terms.name;
    // A log line is one line.
    let said: Vec<&str> = ended
        .output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join("; ");
    if ended.succeeded() {
        if !said.is_empty() {
            tracing::info!("notify {name}: its command said: {said}");
        }
        return Ok(());
    }
    Err(match said.as_str() {
        "" => ended.how.to_string(),
        said => format!("{}; it said: {said}", ended.how),
    })
}
