//! A response's body as it comes over HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Frame, SizeHint};

use super::Life;
use crate::outcome::Trouble;
use crate::proxy::socket::intake::Intake;

/// One response's body. Dropping it before its end resets the stream.
pub(crate) struct Inflow {
    source: Rc<Intake>,
    life: Rc<Life>,
    /// Bytes that are still to come; `None`: nobody has said.
    left: Option<u64>,
    /// Only trailers can still come.
    data_done: bool,
}

impl Inflow {
    /// `length`: what the head says, if that is about this body (it is not after HEAD).
    pub(super) fn new(source: RecvStream, life: Rc<Life>, length: Option<u64>) -> Self {
        let left = if source.is_end_stream() {
            Some(0)
        } else {
            length
        };
        Self {
            source: Intake::new(source, &life.intakes),
            life,
            left,
            data_done: false,
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }

    /// Whatever ends the stream before its end is an error, RST_STREAM with NO_ERROR or CANCEL too: a client that is told otherwise takes
    /// half a body for all of it. h2 itself holds the length against what comes.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        if !self.data_done {
            match ready!(self.source.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.life.answered.set(true);
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(trouble(&error, &self.life)))),
                None => self.data_done = true,
            }
        }
        match ready!(self.source.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(trouble(&error, &self.life)))),
        }
    }
}

/// What it says of the backend.
pub(super) fn trouble(error: &h2::Error, life: &Life) -> Trouble {
    // A stream's own end is a reset, or a GOAWAY that says it was not looked at.
    let own_end = error.is_reset() || (error.is_go_away() && error.is_remote());
    if !own_end {
        life.lost.set(true);
    }
    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        // h2 has ended the connection since something was more than it wants to have, such as empty frames in all of its life. None
        // of that is against the protocol, and it hits whoever is on the connection.
        life.ended_by_us.set(true);
        Trouble::Reset
    } else if error.is_library() && !error.is_go_away() {
        Trouble::Protocol
    } else {
        // Also where h2 has ended the connection for one stream's nonsense, as it does for a field that is none: nobody can tell which of
        // them it was. Who is to blame meets it again.
        Trouble::Reset
    }
}
