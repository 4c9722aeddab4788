//! A request's body on its way to a backend.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::rewindable::Rewindable;
use super::{Cut, Streamed};

/// See the module's promise. Small: it moves several times with its request, and lies in a queue of hyper's whose memory is cold.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// Kept whole, so that it can be sent again.
    Kept(Option<Rc<Bytes>>),
    /// Straight from the client.
    Streamed(Box<Streamed>),
    /// The same, for who may be refused it.
    Rewindable(Box<Rewindable>),
}

impl RequestBody {
    /// So that it can be had again by [`Self::rewound`], if it is one that isn't kept anyhow.
    pub(crate) fn rewindable(self) -> Self {
        match self {
            Self::Streamed(body) => Self::Rewindable(Box::new(Rewindable::new(body))),
            other => other,
        }
    }

    /// From its beginning; `None` if that is gone.
    pub(crate) fn rewound(self) -> Option<Self> {
        match self {
            Self::Rewindable(body) => Some(Self::Rewindable(Box::new(body.rewound()?))),
            _ => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Kept(bytes) => {
                let bytes = bytes.take().map(Rc::unwrap_or_clone);
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Streamed(body) => body.poll(),
            Self::Rewindable(body) => body.poll(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Kept(bytes) => bytes.is_none(),
            Self::Streamed(body) => body.incoming.is_end_stream(),
            Self::Rewindable(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Kept(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Streamed(body) => body.incoming.size_hint(),
            Self::Rewindable(body) => body.size_hint(),
        }
    }
}
