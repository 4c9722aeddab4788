//! The control thread's end: batches spans, sends them, and tries again where that makes sense.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout, timeout_at};

use super::Progress;
use super::otlp::{
    ExportRequest, ExportResponse, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span,
};
use crate::config::Endpoint;
use crate::errand;
use crate::snapshot::Subscriber;

/// Spans that are sent together.
const BATCH: usize = 512;
/// How long the first one of a batch waits for others.
const PAUSE: Duration = Duration::from_secs(1);
/// For one request to the collector.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a batch, with all attempts.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// Before the second attempt; twice as long before each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// At most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Of an answer.
const ANSWER: usize = 64 * 1024;
/// For all that is left when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// See the module's promise.
#[derive(Debug)]
pub struct Exporter {
    inbox: mpsc::UnboundedReceiver<Vec<Span>>,
    progress: Arc<Progress>,
    /// What waits to be encoded.
    batch: Vec<Span>,
    /// Why the last batch was lost, as it was told.
    trouble: Option<String>,
    /// The collector has asked to be left alone until then.
    resume: Option<Instant>,
}

/// A batch that is encoded.
#[derive(Clone)]
struct Parcel {
    body: Bytes,
    spans: usize,
}

/// How a batch was not taken.
enum Refused {
    /// It may be another time, at the earliest after so long.
    Later(String, Option<Duration>),
    Never(String),
}

impl Exporter {
    pub(super) fn new(inbox: mpsc::UnboundedReceiver<Vec<Span>>, progress: Arc<Progress>) -> Self {
        Self {
            inbox,
            progress,
            batch: Vec::new(),
            trouble: None,
            resume: None,
        }
    }

    /// Exports to the collector of the configuration in force until `stop` is ready; what there is then gets a short last chance.
    /// Must run in a tokio runtime with IO and time.
    pub async fn run(mut self, snapshot: Subscriber, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut open = None;
        loop {
            tokio::select! {
                () = &mut stop => break,
                more = self.fill() => if !more { break },
            }
            let collector = snapshot.current().config.traces.collector.clone();
            let Some(collector) = collector else {
                // It was taken out of the configuration meanwhile.
                let spans = std::mem::take(&mut self.batch).len();
                self.progress.settle(spans, 0);
                continue;
            };
            let parcel = Parcel::of(std::mem::take(&mut self.batch));
            let delivered = tokio::select! {
                () = &mut stop => None,
                delivered = self.deliver(&collector, &parcel) => Some(delivered),
            };
            match delivered {
                Some(result) => self.conclude(parcel.spans, result),
                None => {
                    open = Some(parcel);
                    break;
                }
            }
        }
        self.end(open, &snapshot).await;
    }

    /// Waits until there is a batch to send. `false`: there will be no more.
    ///
    /// # Cancel safety
    /// What has come is kept.
    async fn fill(&mut self) -> bool {
        if self.batch.is_empty() {
            match self.inbox.recv().await {
                Some(spans) => self.batch.extend(spans),
                None => return false,
            }
        }
        let until = Instant::now() + PAUSE;
        while self.batch.len() < BATCH {
            match timeout_at(until.into(), self.inbox.recv()).await {
                Ok(Some(spans)) => self.batch.extend(spans),
                Ok(None) | Err(_) => break,
            }
        }
        true
    }

    /// How many spans were rejected, if the others were taken.
    async fn deliver(&mut self, collector: &Endpoint, parcel: &Parcel) -> Result<usize, String> {
        if let Some(resume) = self.resume {
            sleep_until(resume.into()).await;
            self.resume = None;
        }
        let until = Instant::now() + PERSISTENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let (problem, wait) = match send(collector, parcel.body.clone()).await {
                Ok(rejected) => return Ok(rejected),
                Err(Refused::Never(problem)) => return Err(problem),
                Err(Refused::Later(problem, wait)) => (problem, wait),
            };
            // Jitter, so that several proxies don't come back at once.
            let jittered = pause.mul_f64(0.5 + fastrand::f64());
            let next = Instant::now() + wait.unwrap_or(jittered);
            if next >= until {
                self.resume = Some(next);
                return Err(problem);
            }
            sleep_until(next.into()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn conclude(&mut self, spans: usize, result: Result<usize, String>) {
        let taken = match &result {
            Ok(rejected) => spans.saturating_sub(*rejected),
            Err(_) => 0,
        };
        self.progress.settle(spans, taken);
        match result {
            Ok(_) => {
                if self.trouble.take().is_some() {
                    let dropped = self.progress.dropped();
                    tracing::info!(dropped, "the collector takes spans again");
                }
            }
            Err(problem) if self.trouble.as_ref() != Some(&problem) => {
                tracing::warn!("spans are lost, the collector doesn't take them: {problem}");
                self.trouble = Some(problem);
            }
            Err(_) => {}
        }
    }

    /// One attempt with what is left, within bounds. `open`: a batch that was being sent.
    async fn end(mut self, open: Option<Parcel>, snapshot: &Subscriber) {
        self.inbox.close();
        while let Ok(spans) = self.inbox.try_recv() {
            self.batch.extend(spans);
        }
        let rest = std::mem::take(&mut self.batch);
        let rest = (!rest.is_empty()).then(|| Parcel::of(rest));
        let Some(collector) = snapshot.current().config.traces.collector.clone() else {
            return;
        };
        let until = Instant::now() + LAST_WORDS;
        for parcel in open.into_iter().chain(rest) {
            let sent = timeout_at(until.into(), send(&collector, parcel.body)).await;
            let result = match sent {
                Ok(Ok(rejected)) => Ok(rejected),
                Ok(Err(Refused::Later(problem, _) | Refused::Never(problem))) => Err(problem),
                Err(_) => Err(format!("no answer within {LAST_WORDS:?}")),
            };
            self.conclude(parcel.spans, result);
        }
    }
}

impl Parcel {
    fn of(spans: Vec<Span>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let count = spans.len();
        let request = ExportRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![
                        KeyValue::text("service.name", "firedoor"),
                        KeyValue::text("service.version", version),
                    ],
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(Scope {
                        name: "firedoor".to_owned(),
                        version: version.to_owned(),
                    }),
                    spans,
                }],
            }],
        };
        Self {
            body: request.encode_to_vec().into(),
            spans: count,
        }
    }
}

/// One attempt. OTLP 1.7, "OTLP/HTTP": 429, 502, 503 and 504 are worth another one, and so is what didn't get through.
async fn send(collector: &Endpoint, body: Bytes) -> Result<usize, Refused> {
    let mut request = Request::post(&collector.url);
    if let Some(headers) = request.headers_mut() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("firedoor/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in &collector.headers {
            headers.insert(name, value.clone());
        }
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| Refused::Never(error.to_string()))?;
    let answer = timeout(
        PATIENCE,
        errand::run(collector.tls.as_ref(), request, Some(ANSWER)),
    )
    .await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => return Err(Refused::Later(problem, None)),
        Err(_) => {
            return Err(Refused::Later(
                format!("no answer within {PATIENCE:?}"),
                None,
            ));
        }
    };
    judge(&answer)
}

fn judge(answer: &Response<Bytes>) -> Result<usize, Refused> {
    let status = answer.status();
    if status.is_success() {
        let partly = ExportResponse::decode(answer.body().clone()).ok();
        let partly = partly.and_then(|answer| answer.partial_success);
        let Some(partly) = partly else { return Ok(0) };
        if partly.rejected_spans > 0 {
            tracing::warn!(
                spans = partly.rejected_spans,
                "the collector has rejected spans: {}",
                partly.error_message
            );
        }
        return Ok(usize::try_from(partly.rejected_spans).unwrap_or(0));
    }
    let problem = format!("it answers {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let wait = errand::retry_after(answer.headers(), Timestamp::now());
            Err(Refused::Later(problem, wait))
        }
        _ => Err(Refused::Never(problem)),
    }
}
