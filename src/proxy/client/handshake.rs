//! A client's TLS handshake, before its first request. The deadline of the first head covers both, so that nobody gets twice the
//! time for saying nothing.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::ClientCertificate;
use super::challenge;
use super::downstream::Downstream;
use super::farewell::Farewell;
use super::session;
use super::site::Site;
use super::stream::{ClientStream, Secured};
use crate::config::TlsServer;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::record::Record;
use crate::telemetry::mask::shown;
use crate::worker::{self, Turn};

/// How many a worker has under way at once; the others wait for a place. A client may make us keep 64 KiB of its handshake, so this
/// bounds what all of them cost. Silent connections don't count.
pub(crate) const MOST: usize = 1000;

/// Serves one connection to its end.
pub(crate) async fn serve(state: Rc<Downstream>, mut stream: TcpStream, tls: TlsServer) {
    match in_time(&state, first_byte(&stream)).await {
        // The first byte of a handshake is 22 (RFC 8446 5.1), that of a request's method is a letter.
        Some(Ok(Some(b'A'..=b'Z' | b'a'..=b'z'))) => {
            let farewell = Farewell::new::<TcpStream>(Refusal::Cleartext, &state);
            stream.bid_farewell(farewell.rest());
            Record::parted(&state, *farewell).finish();
            complain(&state, "it speaks HTTP without TLS");
            // Boxed as in a session: these futures are large, and a connection that is silent or well-behaved never needs them.
            return Box::pin(session::linger(stream)).await;
        }
        Some(Ok(Some(_))) => {}
        // Whoever comes without a word, as health checks do, needs none.
        Some(Ok(None) | Err(_)) | None => return,
    }
    let Some(Ok(place)) = in_time(&state, state.worker.handshakes().acquire()).await else {
        return complain(&state, "too many others are under way");
    };
    let mut turn = Turn::default();
    let its_turn = poll_fn(|cx| turn.poll(state.worker.turnstile(), cx));
    if in_time(&state, its_turn).await.is_none() {
        return complain(&state, "too many others are under way");
    }
    state.set_handshake(true);
    let challenges = state.worker.challenges();
    let accepted = if challenges.expect_handshakes() {
        Box::pin(in_time(&state, challenges.accept(stream, tls.config()))).await
    } else {
        let accept = TlsAcceptor::from(tls.config())
            .accept(stream)
            .into_fallible();
        let accepted = Box::pin(in_time(&state, accept)).await;
        accepted.map(|done| done.map_err(|(error, stream)| (error, Some(stream))))
    };
    state.set_handshake(false);
    drop(place);
    match accepted {
        Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(challenge::ALPN) => {
            Box::pin(in_time(&state, challenge::leave(stream))).await;
        }
        Some(Ok(stream)) => {
            let (_, tls_session) = stream.get_ref();
            let shown = tls_session.peer_certificates();
            if let Some(certificate) =
                shown.and_then(|chain| ClientCertificate::new(chain.first()?))
            {
                let _first = state.certificate.set(Box::new(certificate));
            }
            if let Some(site) = tls_session
                .server_name()
                .and_then(|name| Site::new(name, tls))
            {
                let _first = state.site.set(Box::new(site));
            }
            let http2 = tls_session.alpn_protocol() == Some(b"h2");
            let stream = Secured::new(stream);
            if http2 {
                Box::pin(session::http2::serve(state, stream)).await;
            } else {
                Box::pin(session::http1::serve(state, stream)).await;
            }
        }
        Some(Err((error, stream))) => {
            complain(&state, &error.to_string());
            // rustls has said what is wrong, and a reset could overtake it.
            if let Some(stream) = stream {
                Box::pin(session::linger(stream)).await;
            }
        }
        None => complain(&state, "it took too long"),
    }
}

/// `None`: its time is over before.
async fn in_time<T>(state: &Downstream, act: impl Future<Output = T>) -> Option<T> {
    let mut act = pin!(act);
    poll_fn(|cx| {
        state.register(cx);
        if state.is_cut().is_some() {
            return Poll::Ready(None);
        }
        let polled = act.as_mut().poll(cx);
        // Signatures and key exchanges are long for what else happens in one turn.
        worker::new_turn();
        polled.map(Some)
    })
    .await
}

/// What comes first, left where it is. `None`: the client closes without a word.
async fn first_byte(stream: &TcpStream) -> io::Result<Option<u8>> {
    poll_fn(|cx| {
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        ready!(stream.poll_peek(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().first().copied()))
    })
    .await
}

/// Not a warning: anybody can make as many of these as they like.
fn complain(state: &Downstream, reason: &str) {
    let how = state.worker.view().snapshot.config.access_log.client_ip;
    tracing::debug!(
        client = shown(state.peer.ip(), how),
        "no TLS handshake: {reason}"
    );
}
