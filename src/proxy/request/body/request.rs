//! A request's body on its way to a backend.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::rewindable::Rewindable;
use super::{Cut, Streamed};

/// See the module's promise. Small: it moves several times with its request, and lies in a queue of hyper's whose memory is cold.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// Kept whole, so that it can be sent again.
    Kept(Option<Rc<Kept>>),
    /// What is left of that once the data have been read.
    Trailers(Box<HeaderMap>),
    /// Straight from the client.
    Streamed(Box<Streamed>),
    /// The same, for who may be refused it.
    Rewindable(Box<Rewindable>),
}

/// All of a body.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
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

    /// The next frame of what is here already.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        match std::mem::replace(self, Self::Empty) {
            Self::Kept(kept) => {
                let Kept { data, trailers } = Rc::unwrap_or_clone(kept?);
                if let Some(trailers) = trailers {
                    *self = Self::Trailers(Box::new(trailers));
                }
                Some(Frame::data(data))
            }
            Self::Trailers(trailers) => Some(Frame::trailers(*trailers)),
            Self::Empty | Self::Streamed(_) | Self::Rewindable(_) => None,
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
            Self::Streamed(body) => body.poll(),
            Self::Rewindable(body) => body.poll(),
            whole => Poll::Ready(whole.next().map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Kept(kept) => kept.is_none(),
            Self::Trailers(_) => false,
            Self::Streamed(body) => body.incoming.is_end_stream(),
            Self::Rewindable(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Trailers(_) => SizeHint::with_exact(0),
            Self::Kept(kept) => {
                SizeHint::with_exact(kept.as_ref().map_or(0, |kept| kept.data.len() as u64))
            }
            Self::Streamed(body) => body.incoming.size_hint(),
            Self::Rewindable(body) => body.size_hint(),
        }
    }
}
