//! What is left of a request's body when its answer is known, over HTTP/1.1: the next request comes behind it.
//!
//! hyper looks for it after the response, and ends the connection unless all of it happens to be there. By then its client has been told
//! that the connection goes on.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;

use crate::proxy::message::survey::Survey;
use crate::proxy::request::body::ClientBody;
use crate::proxy::request::exchange::Exchange;

/// Bytes that are taken in, rather than have the client make another connection.
const MOST: u64 = 64 * 1024;
/// Milliseconds that they may take: clients send them right behind the head.
const PATIENCE: u64 = 100;

/// Takes in a small `rest` of a request that is refused, whose head was `found` to be so, if it is here or comes at once.
pub(super) async fn take_in(state: &Exchange, mut rest: ClientBody, found: &Survey) {
    // Whoever waits to be asked for it would be asked; and chunks may have trailers, which nobody would look at.
    let small = rest.size_hint().exact().is_some_and(|left| left <= MOST);
    if found.expect || !small {
        return;
    }
    let due = state.worker.awake() + PATIENCE;
    state.wait_until(due);
    poll_fn(|cx| {
        while let Poll::Ready(next) = Pin::new(&mut rest).poll_frame(cx) {
            match next {
                Some(Ok(_)) if !rest.is_end_stream() => {}
                Some(Err(_)) => return Poll::Ready(()),
                Some(Ok(_)) | None => {
                    state.body_complete();
                    return Poll::Ready(());
                }
            }
        }
        if state.worker.awake() < due {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    state.wait_no_more();
}

/// Tells the client that the connection ends with `response` (RFC 9112 9.6), since nobody will take in the rest.
pub(super) fn part<B>(response: &mut Response<B>) {
    let goes_on = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let mut options = headers.get_all(CONNECTION).iter();
    if !goes_on && !options.any(|option| option == "close") {
        // Beside the option `upgrade`, which a 426 has.
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
}
