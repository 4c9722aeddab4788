//! The HTTP client towards an authority: https only, a connection for each request, and everything bounded.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::config::TlsClient;
use crate::errand;

/// For one request, from the look-up of the host to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of an answer.
const LIMIT: usize = 1 << 20;

/// Asks one authority. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    tls: TlsClient,
    told_to_wait: Arc<Mutex<Option<Duration>>>,
}

impl Agent {
    pub(super) fn new(tls: TlsClient) -> Self {
        Self {
            tls,
            told_to_wait: Arc::default(),
        }
    }

    /// How long the last refusal said to wait.
    pub(super) fn told_to_wait(&self) -> Option<Duration> {
        *self
            .told_to_wait
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let told = |problem: String| Error::Other(format!("{host}: {problem}").into());
        let asks = request.method() == Method::POST;
        let mut response = match timeout(PATIENCE, exchange(&self.tls, request)).await {
            Ok(response) => response.map_err(told)?,
            Err(_) => return Err(told(format!("no answer within {PATIENCE:?}"))),
        };
        let status = response.status();
        // The library adds any number of seconds to the clock, and panics where that is beyond its end.
        let wait = errand::retry_after(response.headers(), Timestamp::now());
        match wait {
            Some(wait) => response
                .headers_mut()
                .insert(RETRY_AFTER, wait.as_secs().into()),
            None => response.headers_mut().remove(RETRY_AFTER),
        };
        if status.is_client_error() || status.is_server_error() {
            *self
                .told_to_wait
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = wait;
            // Anything but a problem document doesn't come from the authority itself, but from what stands before it; and only for the
            // answer to a POST does the library look for one.
            if !asks || !is_problem(response.headers()) {
                return Err(told(format!("it answers {status}")));
            }
        }
        Ok(BytesResponse::from(response))
    }
}

impl HttpClient for Agent {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}

/// The error is in words.
async fn exchange(
    tls: &TlsClient,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, String> {
    if request.uri().scheme_str() != Some("https") {
        return Err(format!("{} is not https", request.uri()));
    }
    let answer = errand::run(Some(tls), request, Some(LIMIT)).await;
    answer.map(|answer| answer.map(Full::new))
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.contains("json"))
}
