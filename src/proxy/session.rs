//! The task that serves one client connection, from the accept to its end, whatever kind of end that is.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::doorbell::Doorbell;
use super::downstream::{Cut, Downstream};
use super::io::DownstreamSocket;
use super::record::Record;
use super::stream::ClientStream;
use super::{forward, upgrade};
use crate::config::Limits;

/// Serves one connection to its end.
pub(crate) async fn serve<S: ClientStream>(state: Rc<Downstream>, stream: S) {
    let doorbell = Arc::new(Doorbell::default());
    let waker = Waker::from(Arc::clone(&doorbell));
    let socket = DownstreamSocket::new(stream, Rc::clone(&state), Arc::clone(&doorbell));
    let service = {
        let state = Rc::clone(&state);
        // One copy for each kind of stream: a common one would no longer be compiled into the one place that calls it.
        service_fn(move |request| forward::request::<S>(Rc::clone(&state), request))
    };
    let mut connection =
        builder(state.worker.view().limits()).serve_connection(TokioIo::new(socket), service);
    let mut told_to_drain = false;
    let end = poll_fn(|cx| {
        state.register(cx);
        doorbell.call(cx.waker());
        let cx = &mut Context::from_waker(&waker);
        if let Some(cut) = state.is_cut() {
            return Poll::Ready(Err(cut));
        }
        // First what has come already: a request that is here, in part or whole, is still answered.
        let polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending()
            && state.worker.is_draining()
            && !told_to_drain
            && !state.is_expecting_head()
        {
            told_to_drain = true;
            Pin::new(&mut connection).graceful_shutdown();
            return Pin::new(&mut connection).poll(cx).map(Ok);
        }
        polled.map(Ok)
    })
    .await;

    // Taken whatever the end: a tunnel left behind would hold on to its own `Downstream`, and neither would ever go.
    let tunnel = state.tunnel.borrow_mut().take();
    match end {
        Ok(Ok(())) => {
            let parts = connection.into_parts();
            let stream = parts.io.into_inner().into_stream();
            match tunnel {
                Some(tunnel) => {
                    Box::pin(upgrade::relay(&state, stream, parts.read_buf, tunnel)).await;
                }
                None => Box::pin(linger(stream)).await,
            }
        }
        Ok(Err(error)) => {
            let stream = connection.into_parts().io.into_inner().into_stream();
            if error.is_parse() {
                Record::malformed(&state, &error).finish();
            }
            if state.reset.get() {
                reset(stream.socket());
            } else {
                Box::pin(linger(stream)).await;
            }
        }
        Err(cut) => {
            let mut stream = connection.into_parts().io.into_inner().into_stream();
            match cut {
                Cut::Head if state.has_begun_head() => {
                    Record::overdue_head(&state).finish();
                    stream.bid_farewell(
                        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                    );
                    Box::pin(linger(stream)).await;
                }
                Cut::Head | Cut::Idle => stream.bid_farewell(b""),
                // What the client has not read for so long must not stay in our buffers: it is thrown away with the connection.
                Cut::Write | Cut::Drain => reset(stream.socket()),
            }
        }
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        // More than a head may have: what is within this can still be told apart (414, 431) in step 2.
        .max_buf_size(limits.max_header_size + 256 * 1024);
    if limits.max_headers != 100 {
        // Another number than hyper's own moves its header table to the heap.
        builder.max_headers(limits.max_headers);
    }
    builder
}

/// RFC 9112 9.6: closing while the client still sends would reset the connection, and the reset could overtake our last
/// response. So: half-close, and read on for a moment.
///
/// Under TLS too, what comes now is of no interest. Whether the client has been told that we have ended, or sees a cut, was decided before.
pub(super) async fn linger<S: ClientStream>(stream: S) {
    let stream = stream.socket();
    let _half_closed = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    // Bounded by time alone: a client that sends megabytes before it reads would lose its 413 to a bound in bytes.
    let mut scrap = [0; 16 * 1024];
    let drained = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scrap) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let _drained_in_time = tokio::time::timeout(Duration::from_secs(1), drained).await;
}

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    let _set = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
