//! How a socket is read: only when there may be something in it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::doorbell::Doorbell;

/// The reading side of a socket: what was found empty is looked at again only when its doorbell has rung.
pub(in crate::proxy) struct Reading {
    doorbell: Arc<Doorbell>,
    empty: bool,
}

impl Reading {
    pub(in crate::proxy) fn new(doorbell: Arc<Doorbell>) -> Self {
        Self {
            doorbell,
            empty: false,
        }
    }

    /// Whether there is nothing in it: nobody has rung since it was found empty.
    pub(in crate::proxy) fn is_quiet(&self) -> bool {
        self.empty && !self.doorbell.has_rung()
    }

    pub(in crate::proxy) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_quiet() {
            return Poll::Pending;
        }
        self.doorbell.listen();
        let result = Pin::new(stream).poll_read(cx, buf);
        self.empty = result.is_pending();
        result
    }
}
