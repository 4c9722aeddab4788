//! A backend's response body, compressed on its way to the client.
//!
//! Nothing is held back: when the backend pauses, all that it has sent goes out. Nothing is hurried either: as long as the
//! client doesn't read, the backend isn't read. A response that breaks off still does, and its coding has no end.

use std::io::{self, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use zstd::zstd_safe::CParameter;

use super::{Cut, Relay, ResponseBody, Source};
use crate::config::Coding;
use crate::proxy::message::coding;
use crate::proxy::request::exchange::Exchange;
use crate::worker::Turn;

/// Bytes that are compressed in one go, which takes a tenth of a millisecond. Then it is the turn of others.
const PIECE: usize = 16 * 1024;

/// Bodies that are compressed at once, whichever worker does it: each takes memory for as long as its client likes. More of them go as
/// they are.
const AT_ONCE: usize = 256;

/// Of these, those of one client connection: who leaves all its streams unread must not have all the places.
const OF_ONE_CLIENT: usize = 16;

/// Bodies that are compressed now.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// One of the places for them.
struct Place(Rc<Exchange>);

impl Place {
    fn take(state: Rc<Exchange>) -> Option<Self> {
        if state.compressed_bodies() >= OF_ONE_CLIENT {
            return None;
        }
        if UNDER_WAY.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
            UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        state.begin_compressed_body();
        Some(Self(state))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.end_compressed_body();
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What it takes to compress one body.
pub(crate) struct Compressor {
    /// `None` after its end.
    encoder: Option<Encoder>,
    _place: Place,
}

impl Compressor {
    /// For a response to the request of `state`. `None`: there is no room for another one.
    pub(crate) fn new(coding: Coding, state: Rc<Exchange>) -> Option<Self> {
        let place = Place::take(state)?;
        Some(Self {
            encoder: Some(Encoder::new(coding).ok()?),
            _place: place,
        })
    }
}

/// See the module's promise.
pub(super) struct Compressed {
    pub(super) relay: Box<Relay>,
    compressor: Compressor,
    /// What has come and is not compressed yet.
    input: Bytes,
    /// Something has been compressed that has not come out yet.
    inside: bool,
    turn: Turn,
    trailers: Option<HeaderMap>,
}

impl ResponseBody {
    /// A backend's body, compressed.
    pub(crate) fn compressed(mut self, compressor: Compressor) -> Self {
        self.source = match std::mem::replace(&mut self.source, Source::Empty) {
            Source::Relayed(relay) => Source::Compressed(Box::new(Compressed {
                relay,
                compressor,
                input: Bytes::new(),
                inside: false,
                turn: Turn::default(),
                trailers: None,
            })),
            other => other,
        };
        self
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Cut>>>;

impl Compressed {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            let Some(encoder) = &mut self.compressor.encoder else {
                return Poll::Ready(self.trailers.take().map(|t| Ok(Frame::trailers(t))));
            };
            if !self.input.is_empty() {
                ready!(self.turn.poll(self.relay.state.worker.turnstile(), cx));
                let piece = self.input.split_to(self.input.len().min(PIECE));
                self.inside = true;
                match encoder.write(&piece) {
                    Ok(out) if out.is_empty() => continue,
                    out => return frame(out),
                }
            }
            match self.relay.poll(cx) {
                Poll::Pending => {
                    if !std::mem::take(&mut self.inside) {
                        return Poll::Pending;
                    }
                    match encoder.flush() {
                        Ok(out) if out.is_empty() => return Poll::Pending,
                        out => return frame(out),
                    }
                }
                Poll::Ready(Some(Ok(next))) => match next.into_data() {
                    Ok(data) => self.input = data,
                    Err(next) => {
                        self.trailers = next.into_trailers().ok();
                        if let Some(trailers) = &mut self.trailers {
                            coding::drop_digests(trailers);
                        }
                        return self.end();
                    }
                },
                Poll::Ready(None) => return self.end(),
                Poll::Ready(Some(Err(cut))) => return Poll::Ready(Some(Err(cut))),
            }
        }
    }

    fn end(&mut self) -> Polled {
        match self.compressor.encoder.take() {
            Some(encoder) => frame(encoder.finish()),
            None => Poll::Ready(None),
        }
    }

    /// Whether all of it has been taken.
    pub(super) fn is_complete(&self) -> bool {
        self.compressor.encoder.is_none() && self.trailers.is_none()
    }
}

fn frame(out: io::Result<Vec<u8>>) -> Polled {
    let out = out.map_err(|_| Cut("the response could not be compressed"));
    Poll::Ready(Some(out.map(|out| Frame::data(Bytes::from(out)))))
}

/// The levels are those at which a piece takes a fraction of a millisecond. Measured on source code, one core: zstd 340 MB/s to 30 %,
/// br 115 MB/s to 30 %, gzip 160 MB/s to 29 %.
enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<Brotli>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

/// Bytes after which what `br` has gathered goes out. By itself it gathers up to twice its window, and takes twice as much room for what
/// comes out, anew whenever there is more: 850 KiB for a client instead of 660, to save one byte in two hundred.
const BROTLI_BLOCK: usize = 32 * 1024;

/// An encoder that gathers no more than [`BROTLI_BLOCK`].
struct Brotli {
    writer: brotli::CompressorWriter<Vec<u8>>,
    gathered: usize,
}

impl Write for Brotli {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let taken = self.writer.write(piece)?;
        self.gathered += taken;
        if self.gathered >= BROTLI_BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gathered = 0;
        self.writer.flush()
    }
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                // Level 3 looks back 2 MiB, which it keeps for each client.
                encoder.window_log(17)?;
                encoder.set_parameter(CParameter::HashLog(15))?;
                encoder.set_parameter(CParameter::ChainLog(15))?;
                Self::Zstd(encoder)
            }
            Coding::Brotli => Self::Brotli(Box::new(Brotli {
                writer: brotli::CompressorWriter::new(Vec::new(), 4096, 3, 16),
                gathered: 0,
            })),
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(3),
            )),
        })
    }

    /// Takes `piece`, and gives what is ready.
    fn write(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        self.writer().write_all(piece)?;
        Ok(self.take())
    }

    /// Gives all that a decoder needs for what was taken so far.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        self.writer().flush()?;
        Ok(self.take())
    }

    /// Gives the rest.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.writer.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Zstd(encoder) => encoder,
            Self::Brotli(encoder) => encoder.as_mut(),
            Self::Gzip(encoder) => encoder,
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.writer.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// What comes out of `bytes`, and whether they have an end.
    fn decoded(coding: Coding, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut text = Vec::new();
        let read = match coding {
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes)
                .unwrap()
                .read_to_end(&mut text),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut text),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text),
        };
        (text, read.is_ok())
    }

    /// Pieces of text and of noise, and whether there is a pause after each.
    fn pieces() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
        let text = prop::collection::vec(prop::sample::select(b"abcd <>".to_vec()), 0..PIECE);
        let noise = prop::collection::vec(any::<u8>(), 0..3000);
        prop::collection::vec((prop_oneof![text, noise], any::<bool>()), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn all_of_it_comes_out_whatever_the_pieces(pieces in pieces()) {
            for coding in Coding::ALL {
                let mut encoder = Encoder::new(coding).unwrap();
                let mut sent = Vec::new();
                let mut text: Vec<u8> = Vec::new();
                for (piece, pause) in &pieces {
                    text.extend(piece);
                    sent.extend(encoder.write(piece).unwrap());
                    if *pause {
                        sent.extend(encoder.flush().unwrap());
                        // Nothing is held back, and what is cut here looks cut.
                        let (there, ended) = decoded(coding, &sent);
                        prop_assert!(there == text && (!ended || sent.is_empty()), "{coding:?} after a pause");
                    }
                }
                sent.extend(encoder.finish().unwrap());
                prop_assert!(decoded(coding, &sent) == (text, true), "{coding:?}");
            }
        }
    }

    /// What a client that reads slowly may hold.
    #[test]
    fn brotli_gives_out_what_it_has_gathered_before_that_is_much() {
        let mut encoder = Encoder::new(Coding::Brotli).unwrap();
        for _ in 0..4 {
            let mut out = Vec::new();
            for _ in 0..BROTLI_BLOCK / PIECE {
                out.extend(encoder.write(&[b'a'; PIECE]).unwrap());
            }
            assert!(!out.is_empty());
        }
    }
}
