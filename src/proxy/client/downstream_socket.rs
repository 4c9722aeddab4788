//! A client's socket, as hyper and h2 read and write it: it counts bytes, notes stalls, sees when the client leaves, and has better words
//! for what hyper would answer by itself.
//!
//! It passes vectored writes on. Forgetting that would work, and would silently make hyper copy every body.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::downstream::Downstream;
use super::farewell::Farewell;
use super::stream::ClientStream;
use crate::proxy::socket::doorbell::Doorbell;
use crate::proxy::socket::reading::Reading;

/// The client's socket. Tells its [`Downstream`] of every read, write and stall.
pub(crate) struct DownstreamSocket<S> {
    stream: S,
    state: Rc<Downstream>,
    reading: Reading,
    /// hyper writes here, not h2.
    hyper: bool,
    /// What the client has sent while it waited for its response, and hyper has not read yet. It came before all that is in `stream`.
    ahead: Vec<u8>,
    /// What it was not left to hyper to say.
    farewell: Option<Box<Farewell>>,
}

impl<S: ClientStream> DownstreamSocket<S> {
    /// It must only ever be polled with `doorbell` as the waker.
    pub(crate) fn new(stream: S, state: Rc<Downstream>, doorbell: Arc<Doorbell>) -> Self {
        Self {
            stream,
            state,
            reading: Reading::new(doorbell),
            hyper: false,
            ahead: Vec::new(),
            farewell: None,
        }
    }

    /// Answers in hyper's place what hyper would answer by itself, without a body, a name or a way to forbid it.
    ///
    /// `ahead` has been read already, and comes before all that is in the stream.
    pub(crate) fn for_hyper(self, ahead: Vec<u8>) -> Self {
        Self {
            hyper: true,
            ahead,
            ..self
        }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// With what comes before all that is in it, and what was said last by it, if nobody had asked for that.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>, Option<Box<Farewell>>) {
        (self.stream, self.ahead, self.farewell)
    }

    /// Ends in an error if the client has left while its request is being answered. That includes one that has closed its half only: it
    /// can't be told from one that is gone before there is something to write.
    ///
    /// hyper would look for that by itself, and make a buffer ready for it while the request still holds on to the last one: 8 KiB for
    /// each request, in memory that is cold. After the response it reads into the same one again.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.state.is_request_whole() || self.reading.is_quiet() || !self.ahead.is_empty() {
            return Ok(());
        }
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        if self
            .reading
            .poll(&mut self.stream, cx, &mut buf)?
            .is_ready()
        {
            let next = buf.filled().first();
            self.ahead
                .push(*next.ok_or(io::ErrorKind::ConnectionAborted)?);
        }
        Ok(())
    }

    /// Hands out as much as there is room for of what comes before all that is in the stream.
    #[cold]
    fn read_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let some = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..some]);
        self.ahead.drain(..some);
        self.state.has_read();
    }

    /// Sends interim responses, which must stand before whatever hyper sends next.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut out) = self.state.interim_out() {
            let sent = Pin::new(&mut self.stream).poll_write(cx, &out);
            // What hyper has behind it is not out either.
            self.state.has_written(&sent);
            out.drain(..ready!(sent)?);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what hyper has to say without any request, in better words: hyper learns that its own are out once ours are.
    ///
    /// A response that is complete may still lie in hyper's buffer when hyper can't read what follows: its client doesn't read, and has
    /// sent the rest of the request's body with something that is no request. Then hyper's bare words go out with the response, in a write
    /// where they can't be told apart.
    fn poll_farewell(
        &mut self,
        cx: &mut Context<'_>,
        words: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.farewell.is_none() {
            let begin = words.first().map_or(&[][..], |words| words);
            self.farewell = Farewell::instead_of::<S>(begin, &self.state);
        }
        let Some(farewell) = &mut self.farewell else {
            return self.poll_pass(cx, words);
        };
        while !farewell.rest().is_empty() {
            let rest = [IoSlice::new(farewell.rest())];
            let sent = self.stream.poll_write_together(cx, &rest);
            self.state.has_written(&sent);
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => farewell.advance(sent),
            }
        }
        Poll::Ready(Ok(words.iter().map(|words| words.len()).sum()))
    }

    fn poll_pass(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = self.stream.poll_write_together(cx, bufs);
        self.state.has_written(&result);
        result
    }
}

impl<S: ClientStream> AsyncRead for DownstreamSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.ahead.is_empty() {
            this.read_ahead(buf);
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let ahead = buf.filled().len() > before;
        let result = this.reading.poll(&mut this.stream, cx, buf);
        if buf.filled().len() > before {
            this.state.has_read();
        }
        if ahead {
            // What follows it, or its end, comes with the next read.
            return Poll::Ready(Ok(()));
        }
        result
    }
}

impl<S: ClientStream> AsyncWrite for DownstreamSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(cx)?;
        ready!(self.poll_interim(cx))?;
        if !self.state.owes_response() && self.hyper {
            return self.poll_farewell(cx, bufs);
        }
        self.poll_pass(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only once its own buffer is empty: with what TLS still has, the client has taken everything.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx)?;
        ready!(self.poll_interim(cx))?;
        loop {
            let taken = self.stream.poll_leftover(cx);
            if matches!(taken, Poll::Ready(Ok(0))) {
                break;
            }
            self.state.has_written(&taken);
            ready!(taken)?;
        }
        self.state.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
