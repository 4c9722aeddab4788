//! Which version of HTTP a client speaks on a cleartext listener with `h2c`, told by its first bytes, which stay where they are.

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use super::frames::PREFACE;
use crate::proxy::client::downstream::Downstream;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Or nothing, in time: HTTP/1.1 has the words for that.
    Http1,
    Http2,
    /// Its first line is of neither. Which of them it would have understood can't be told, so that it gets no answer: that of
    /// HTTP/1.1 would be a broken frame to a client of HTTP/2.
    Neither,
}

/// Waits for as much as tells it.
pub(super) async fn version(state: &Downstream, stream: &TcpStream) -> Version {
    poll_fn(|cx| {
        state.register(cx);
        if state.is_cut().is_some() {
            return Poll::Ready(Version::Http1);
        }
        loop {
            let mut bytes = [0; 64];
            let mut buf = ReadBuf::new(&mut bytes);
            match ready!(stream.poll_peek(cx, &mut buf)) {
                Err(_) | Ok(0) => return Poll::Ready(Version::Http1),
                Ok(_) => {}
            }
            if let Some(version) = tell(buf.filled()) {
                return Poll::Ready(version);
            }
            state.has_read();
            // What is there has been seen: the runtime shall wait for more, though nothing was taken.
            let seen = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _waits = stream.try_io(Interest::READABLE, seen);
        }
    })
    .await
}

/// `None`: it takes more to tell.
fn tell(begin: &[u8]) -> Option<Version> {
    // No method of HTTP/1.1 is called `PRI` (RFC 9113 11.6), so that much of the preface is enough (3.3).
    const ENOUGH: usize = 4;
    if begin.starts_with(&PREFACE[..ENOUGH]) {
        return Some(Version::Http2);
    }
    if PREFACE.starts_with(begin) {
        return None;
    }
    let line = begin.split(|&byte| byte == b'\n').next()?.trim_ascii();
    let complete = begin.contains(&b'\n') && !line.is_empty();
    let named = line.windows(8).any(|part| part == b" HTTP/1.");
    Some(if complete && !named {
        Version::Neither
    } else {
        Version::Http1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (begin, version) in [
            (&b"P"[..], None),
            (b"PR", None),
            (b"PRI", None),
            (b"PRI ", Some(Version::Http2)),
            (PREFACE, Some(Version::Http2)),
            (b"PRI / HTTP/1.1\r\n", Some(Version::Http2)),
            (b"PRINT / HTTP/1.1\r\n", Some(Version::Http1)),
            (b"PO", Some(Version::Http1)),
            (b"GET / HTTP/1.0\r\n\r\n", Some(Version::Http1)),
            (b"\r\nGET / HTTP/1.1\r\n", Some(Version::Http1)),
            (b"GET /a/path/without/its/line's/end", Some(Version::Http1)),
            (b"GET /\r\n", Some(Version::Neither)),
            (
                b"INVALID CONNECTION PREFACE\r\n\r\n",
                Some(Version::Neither),
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(Version::Neither)),
        ] {
            assert_eq!(tell(begin), version, "{}", begin.escape_ascii());
        }
    }
}
