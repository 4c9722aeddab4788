//! A body that is passed on as it comes, and can be passed on once more as long as little of it has come: a backend may refuse a
//! request before it looks at it (RFC 9113 8.7), when the first of its body is on the way already.

use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::{Cut, Streamed};

/// See the module's promise.
pub(crate) struct Rewindable {
    body: Box<Streamed>,
    /// What was taken back comes first.
    again: Bytes,
    /// All that has been given out, copied: a piece of a buffer would hold the whole of it. `None`: not all of it is here.
    given: Option<BytesMut>,
}

impl Rewindable {
    pub(super) fn new(body: Box<Streamed>) -> Self {
        Self {
            body,
            again: Bytes::new(),
            given: Some(BytesMut::new()),
        }
    }

    /// The same from its beginning, if that is still here.
    pub(super) fn rewound(mut self) -> Option<Self> {
        let given = self.given.take()?;
        if self.again.is_empty() {
            self.again = given.freeze();
        }
        self.given = Some(BytesMut::new());
        // Nobody waits for the client while the request is on its way to another backend.
        self.body.state.body_end();
        Some(self)
    }

    pub(super) fn poll(&mut self) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let polled = if self.again.is_empty() {
            self.body.poll()
        } else {
            let again = std::mem::take(&mut self.again);
            Poll::Ready(Some(Ok(Frame::data(again))))
        };
        if let Poll::Ready(Some(frame)) = &polled {
            self.given = self.given.take().and_then(|mut given| {
                // Trailers and a bad end come once.
                let data = frame.as_ref().ok()?.data_ref()?;
                (given.len() + data.len() <= self.most()).then(|| {
                    given.extend_from_slice(data);
                    given
                })
            });
        }
        polled
    }

    fn most(&self) -> usize {
        let view = self.body.state.worker.view();
        view.snapshot.config.upstream.replay_buffer
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.again.is_empty() && self.body.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let rest = self.body.incoming.size_hint();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + self.again.len() as u64),
            None => rest,
        }
    }
}
