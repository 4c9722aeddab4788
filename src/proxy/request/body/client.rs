//! A request's body as it comes from the client, whichever version of HTTP that speaks.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::proxy::socket::intake::Intake;

/// See the module's promise.
pub(crate) enum ClientBody {
    /// There is none.
    None,
    Http1(Incoming),
    Http2(StreamBody),
}

/// A body that comes as a stream of HTTP/2.
pub(crate) struct StreamBody {
    /// Shared with whoever takes in what is left when nobody wants the body any more.
    stream: Rc<Intake>,
    /// Bytes still to come, where the request says how many.
    left: Option<u64>,
    /// What may follow now is the trailer section.
    data_ended: bool,
}

/// Why a client's body ended before its end.
pub(crate) struct Broken;

impl ClientBody {
    /// The body of a request with these header fields.
    pub(crate) fn of_stream(stream: Rc<Intake>, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Self::Http2(StreamBody {
            stream,
            left,
            data_ended: false,
        })
    }
}

impl From<Incoming> for ClientBody {
    fn from(incoming: Incoming) -> Self {
        Self::Http1(incoming)
    }
}

impl StreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            // It is asked for more only where there is room for it.
            if let Some(data) = ready!(self.stream.poll_data(cx)) {
                let data = data?;
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(data.len() as u64);
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.data_ended = true;
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::None => Poll::Ready(None),
            Self::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(|_| Broken),
            Self::Http2(body) => body.poll(cx).map_err(|_| Broken),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(body) if body.stream.is_end_stream() => SizeHint::with_exact(0),
            Self::Http2(body) => body
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
