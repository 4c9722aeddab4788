//! Which version of HTTP a client speaks on a cleartext listener with `h2c`, told by its first bytes, which stay where they are.

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use super::frames::PREFACE;
use crate::proxy::downstream::Downstream;

/// No method of HTTP/1.1 is called `PRI` (RFC 9113 11.6), so that much of the preface is enough.
const ENOUGH: usize = 4;

/// Whether the client begins with HTTP/2's preface (RFC 9113 3.3). If it says nothing in time, HTTP/1.1 has the words for that.
pub(super) async fn is_http2(state: &Downstream, stream: &TcpStream) -> bool {
    poll_fn(|cx| {
        state.register(cx);
        if state.is_cut().is_some() {
            return Poll::Ready(false);
        }
        loop {
            let mut bytes = [0; ENOUGH];
            let mut buf = ReadBuf::new(&mut bytes);
            match ready!(stream.poll_peek(cx, &mut buf)) {
                Err(_) | Ok(0) => return Poll::Ready(false),
                Ok(_) if !PREFACE.starts_with(buf.filled()) => return Poll::Ready(false),
                Ok(ENOUGH..) => return Poll::Ready(true),
                Ok(_) => {
                    state.has_read();
                    // What is there has been seen: the runtime shall wait for more, though nothing was taken.
                    let seen = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    let _waits = stream.try_io(Interest::READABLE, seen);
                }
            }
        }
    })
    .await
}
