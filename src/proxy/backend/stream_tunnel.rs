//! A stream of HTTP/2 that has become a tunnel (RFC 8441 5): bytes both ways, of which either may end first.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::SendStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::request::upgrade::TunnelEnd;
use crate::proxy::socket::intake::Intake;

/// One side of a tunnel, the client's or the backend's.
pub(crate) struct StreamTunnel {
    incoming: Rc<Intake>,
    outgoing: SendStream<Bytes>,
    /// What has come and not been read yet.
    rest: Bytes,
}

impl StreamTunnel {
    pub(crate) fn new(incoming: Rc<Intake>, outgoing: SendStream<Bytes>) -> Self {
        Self {
            incoming,
            outgoing,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let Some(data) = ready!(self.incoming.poll_data(cx)) else {
                return Poll::Ready(Ok(()));
            };
            self.rest = data.map_err(io::Error::other)?;
        }
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamTunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.outgoing.reserve_capacity(bytes.len());
        while self.outgoing.capacity() == 0 {
            match ready!(self.outgoing.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = self.outgoing.capacity().min(bytes.len());
        self.outgoing
            .send_data(Bytes::copy_from_slice(&bytes[..count]), false)
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.outgoing.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}

impl TunnelEnd for StreamTunnel {
    /// A few bytes more than the client may have given leave for: they wait with h2, as long as the connection lasts.
    async fn part(mut self, words: &[u8]) {
        let _told = self.outgoing.send_data(Bytes::copy_from_slice(words), true);
    }
}
