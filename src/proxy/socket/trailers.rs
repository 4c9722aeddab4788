//! How a message that goes out over HTTP/2 ends in trailers.

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

/// Ends the stream with `trailers`, or where none of them were left, with its content. `false`: HTTP/2 can't say them, and the stream is
/// reset for `fault`; without an end, and without anything else, its recipient might wait, or take what it has for all.
pub(crate) fn end_with(to: &mut SendStream<Bytes>, trailers: HeaderMap, fault: Reason) -> bool {
    let sent = if trailers.is_empty() {
        to.send_data(Bytes::new(), true)
    } else {
        to.send_trailers(trailers)
    };
    if sent.is_err() {
        to.send_reset(fault);
    }
    sent.is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use h2::RecvStream;
    use http::{Request, Response};
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What is taken off trailers before they come here, since h2 refuses it.
    fn unsayable() -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", 42.into());
        trailers.insert("connection", "close".parse().unwrap());
        trailers
    }

    /// How the part that has come goes on, once its sender is told that it has.
    async fn end(body: &mut RecvStream, come: &Notify) -> Option<Reason> {
        assert_eq!(body.data().await.unwrap().unwrap(), "part");
        come.notify_one();
        loop {
            match body.data().await {
                Some(Ok(more)) => assert!(more.is_empty()),
                Some(Err(error)) => return error.reason(),
                None => return None,
            }
        }
    }

    async fn send(to: &mut SendStream<Bytes>, come: &Notify, trailers: &HeaderMap, fault: Reason) {
        to.send_data(Bytes::from_static(b"part"), false).unwrap();
        // A reset takes back what hasn't been written.
        come.notified().await;
        assert_eq!(
            end_with(to, trailers.clone(), fault),
            *trailers != unsayable()
        );
    }

    /// In both directions, each on a stream of its own: of a request, and of a response.
    async fn ends(trailers: &HeaderMap) -> [Option<Reason>; 2] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (asked, answered) = (&Notify::new(), &Notify::new());
        let there = async {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            let (mut request, _unanswered) = connection.accept().await.unwrap().unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let both = async {
                let answer = send(&mut out, answered, trailers, Reason::INTERNAL_ERROR);
                tokio::join!(end(request.body_mut(), asked), answer).0
            };
            // Polls the connection until the other side has gone.
            let over = async { while connection.accept().await.is_some() {} };
            tokio::join!(both, over).0
        };
        let here = async {
            let (mut sender, connection) = h2::client::handshake(ours).await.unwrap();
            let both = async move {
                let (_unanswered, mut out) = sender.send_request(Request::new(()), false).unwrap();
                let (response, _) = sender.send_request(Request::new(()), true).unwrap();
                let answer = async { end(response.await.unwrap().body_mut(), answered).await };
                tokio::join!(answer, send(&mut out, asked, trailers, Reason::CANCEL)).0
            };
            tokio::join!(both, connection).0
        };
        let both = timeout(PATIENCE, async { tokio::join!(there, here) });
        both.await.expect("both streams have an end").into()
    }

    #[tokio::test]
    async fn what_can_not_be_said_ends_in_a_reset_and_the_rest_as_it_should() {
        let reset = [Reason::CANCEL, Reason::INTERNAL_ERROR].map(Some);
        assert_eq!(ends(&unsayable()).await, reset);
        let mut fine = unsayable();
        fine.remove("connection");
        assert_eq!(ends(&fine).await, [None, None]);
        assert_eq!(ends(&HeaderMap::new()).await, [None, None]);
    }
}
