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

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::downstream::Downstream;
use super::stream::ClientStream;
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

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    let _set = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
