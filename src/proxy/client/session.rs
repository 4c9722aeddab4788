//! The task that serves one client connection, from the accept to its end, whatever kind of end that is.

mod alarm;
pub(crate) mod attendant;
mod frames;
pub(crate) mod http1;
pub(crate) mod http2;
mod outlet;
mod preface;
mod respond;
mod wire;

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::downstream::Downstream;
use super::stream::ClientStream;
use super::window::Window;
use crate::proxy::request::error::Refusal;
use crate::proxy::request::record::Record;
use preface::Version;

/// Serves a client that says by its first bytes which version of HTTP it speaks.
pub(crate) async fn serve_either(state: Rc<Downstream>, stream: TcpStream) {
    match preface::version(&state, &stream).await {
        Version::Http1 => http1::serve(state, stream).await,
        // Boxed: connections of HTTP/1.1 would carry the room for it.
        Version::Http2 => Box::pin(http2::serve(state, stream)).await,
        Version::Neither => {
            Record::unread(&state, Refusal::Cleartext).finish();
            Box::pin(linger(stream)).await;
        }
    }
}

/// RFC 9112 9.6: closing while the client still sends would reset the connection, and the reset could overtake our last
/// response. So: half-close, and read on for a moment.
///
/// Under TLS too, what comes now is of no interest. Whether the client has been told that we have ended, or sees a cut, was decided before.
pub(in crate::proxy) async fn linger<S: ClientStream>(stream: S) {
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

/// For how long a client that has its last response may go on sending the rest of its request, if it does.
const REST: Duration = Duration::from_secs(30);
/// How long it may pause in that: little, until something of it has come.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// As [`linger`], for who has its last response and is in the midst of its request: few clients read before they have sent all of it.
///
/// What comes is held to `body_timeout` as it would be if somebody wanted it, so that a connection is kept by this no longer than by an
/// upload; and once the drain begins, no longer than a moment.
async fn see_off<S: ClientStream>(state: &Downstream, stream: S) {
    let stream = stream.socket();
    let _half_closed = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    let limit = state.worker.limit(|limits| limits.body_timeout);
    let window = Window::default();
    let mut end = Instant::now() + REST;
    let [mut pause, longer] = PAUSES;
    let mut hurries = false;
    while Instant::now() < end {
        window.wait(state.worker.now(), limit);
        let more = poll_fn(|cx| {
            state.register(cx);
            if !hurries && state.worker.is_draining() {
                return Poll::Ready(Ok(false));
            }
            stream.poll_read_ready(cx).map_ok(|()| true)
        });
        let more = tokio::time::timeout_at(end.min(Instant::now() + pause), more).await;
        if window.is_over(state.worker.now()) {
            return;
        }
        match more {
            Ok(Ok(true)) => match throw_away(stream) {
                Ok(0) => return,
                Ok(bytes) => {
                    window.progress(state.worker.now(), bytes as u64);
                    pause = longer.min(limit);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            },
            Ok(Ok(false)) => {
                hurries = true;
                end = end.min(Instant::now() + PAUSES[0]);
            }
            Ok(Err(_)) | Err(_) => return,
        }
        tokio::task::yield_now().await;
    }
}

/// Takes some of what has come. How much; 0: nothing more will come. Not in [`see_off`], which would carry the room for it all the time.
fn throw_away(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; 16 * 1024])
}

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    let _set = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
