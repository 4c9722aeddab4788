//! A response's body as it comes from a backend, whatever it comes over.

use http_body::{Body as _, SizeHint};
use hyper::body::Incoming;

use super::multiplex;

/// What a backend sends after a head. Read through [`super::connections::Connection::poll_frame`].
pub(crate) enum Inflow {
    /// There is none, not even an empty one: a tunnel follows.
    None,
    /// Over HTTP/1.1.
    Exclusive(Incoming),
    /// Over HTTP/2. Boxed, since a response moves several times on its way, and those of HTTP/1.1 would carry the room for it.
    Shared(Box<multiplex::Inflow>),
}

impl Inflow {
    /// Whether nothing more will come.
    #[inline]
    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Exclusive(incoming) => incoming.is_end_stream(),
            Self::Shared(inflow) => inflow.is_end_stream(),
        }
    }

    /// How much will come, as far as that is known.
    #[inline]
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Exclusive(incoming) => incoming.size_hint(),
            Self::Shared(inflow) => inflow.size_hint(),
        }
    }
}
