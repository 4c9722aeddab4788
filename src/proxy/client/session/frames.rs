//! What can be told of an HTTP/2 client by the frames that come from it, without a look inside them: whether a header block is on its
//! way, and whether it makes work and means nothing by it. Pure.

use std::mem;

use crate::proxy::socket::frame_heads::{
    self, ACK, CONTINUATION, DATA, END_HEADERS, FrameHead, FrameHeads, HEADERS, Mark, SETTINGS,
};

/// The first bytes of a connection (RFC 9113 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that may come without any use to anybody, beside seven times those that are of use. A PING takes 17 and a SETTINGS 9, so that is
/// some ten thousand of them; a window update for each frame of a response doesn't come near it. (nginx has the same rule.)
const USELESS: i64 = 256 * 1024;
/// Such bytes that are forgiven in each millisecond: hundreds of pings a second.
const FORGIVEN: u64 = 8;

/// Follows one connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the preface that have come.
    preface: usize,
    heads: FrameHeads,
    seen: Seen,
    least_waste: i64,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Seen {
    /// A header block has begun; with that many blocks before it.
    in_block: bool,
    blocks: u64,
    /// The current frame is the last of its header block.
    ends_block: bool,
    /// Another frame than SETTINGS was the first.
    misbegun: bool,
    /// All of the first frame has come.
    begun: bool,
    total: u64,
    useful: u64,
    /// Frames with data, and how much.
    pieces: u64,
    data: u64,
    /// Small ones of them that nobody has asked for yet.
    small: usize,
}

impl Frames {
    /// These bytes have come.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let preface = bytes.len().min(PREFACE.len() - self.preface);
        self.preface += preface;
        let seen = &mut self.seen;
        self.heads.pass(&bytes[preface..], |mark| match mark {
            Mark::Begin(head) => seen.begin(head),
            Mark::End => seen.end(),
        });
    }

    /// The header block that is on its way, by a number of its own.
    pub(super) fn block(&self) -> Option<u64> {
        self.seen.in_block.then_some(self.seen.blocks)
    }

    /// Whether the client has begun with another frame than its SETTINGS (RFC 9113 3.4), which h2 lets pass.
    pub(super) fn is_misbegun(&self) -> bool {
        self.seen.misbegun
    }

    /// Whether the client has said all that a connection begins with: the preface and its SETTINGS.
    pub(super) fn is_begun(&self) -> bool {
        self.seen.begun && !self.seen.misbegun
    }

    /// Whether the client sends much, and in large frames: more than a megabyte, in pieces of a few KiB.
    pub(super) fn is_upload(&self) -> bool {
        self.seen.data > 1024 * 1024 && self.seen.data / 4096 > self.seen.pieces
    }

    /// How many small frames with data have come since it was asked last.
    pub(super) fn take_small(&mut self) -> usize {
        mem::take(&mut self.seen.small)
    }

    /// Whether the client makes work and means nothing by it, at worker time `now`. `relayed`: bytes of bodies that it has been sent, for
    /// which it may well say that it has room for more.
    pub(super) fn is_flood(&mut self, relayed: u64, now: u64) -> bool {
        let earned = 8 * (self.seen.useful + relayed) + FORGIVEN * now;
        let waste = self.seen.total.cast_signed() - earned.cast_signed();
        // Nothing is saved up for later.
        self.least_waste = self.least_waste.min(waste);
        waste - self.least_waste > USELESS
    }
}

impl Seen {
    fn begin(&mut self, head: FrameHead) {
        if self.total == 0 {
            self.misbegun = head.kind != SETTINGS || head.flags & ACK != 0;
        }
        self.total += frame_heads::LENGTH as u64 + head.payload;
        match head.kind {
            DATA => {
                self.useful += head.payload;
                self.pieces += 1;
                self.data += head.payload;
                self.small += usize::from(head.is_small_data());
            }
            HEADERS | CONTINUATION => {
                self.useful += head.payload;
                if head.kind == HEADERS {
                    self.in_block = true;
                    self.blocks += 1;
                }
                self.ends_block = head.flags & END_HEADERS != 0;
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        self.begun = true;
        if self.ends_block {
            self.ends_block = false;
            self.in_block = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(9 + payload, 0xff);
        frame
    }

    fn after(bytes: &[u8]) -> Frames {
        let mut frames = Frames::default();
        frames.pass(PREFACE);
        frames.pass(bytes);
        frames
    }

    #[test]
    fn a_header_block_lasts_to_the_end_of_its_last_frame_however_it_is_cut() {
        let mut bytes = frame(4, 0, 18);
        let begin = bytes.len() + 9;
        bytes.extend(frame(HEADERS, 1, 5));
        bytes.extend(frame(CONTINUATION, 0, 0));
        bytes.extend(frame(CONTINUATION, END_HEADERS, 7));
        let end = bytes.len();
        bytes.extend(frame(DATA, 1, 100));
        for cut in 0..bytes.len() {
            let mut frames = after(&bytes[..cut]);
            let block = (begin..end).contains(&cut).then_some(1);
            assert_eq!(frames.block(), block, "cut at {cut}");
            frames.pass(&bytes[cut..]);
            assert_eq!(frames.block(), None);
        }
        bytes.extend(frame(HEADERS, 0, 0));
        assert_eq!(after(&bytes).block(), Some(2));
    }

    #[test]
    fn settings_come_first() {
        assert!(!after(&frame(4, 0, 0)).is_misbegun());
        assert!(!after(&[frame(4, 0, 6), frame(6, 0, 8)].concat()).is_misbegun());
        assert!(after(&frame(4, 1, 0)).is_misbegun());
        assert!(after(&frame(6, 0, 8)).is_misbegun());
    }

    #[test]
    fn a_connection_has_begun_with_the_end_of_its_settings() {
        for payload in [0, 6] {
            let bytes = frame(SETTINGS, 0, payload);
            for cut in 0..bytes.len() {
                let mut frames = after(&bytes[..cut]);
                assert!(!frames.is_begun(), "{cut} of {}", bytes.len());
                frames.pass(&bytes[cut..]);
                assert!(frames.is_begun());
            }
        }
        assert!(!after(&frame(6, 0, 8)).is_begun());
    }

    #[test]
    fn an_upload_is_much_in_large_pieces() {
        let upload =
            |payload, count: usize| after(&frame(DATA, 0, payload).repeat(count)).is_upload();
        assert!(upload(16_384, 100));
        assert!(!upload(16_384, 10));
        assert!(!upload(1000, 10_000));
    }

    #[test]
    fn what_is_of_no_use_is_a_flood_and_what_is_of_use_is_not() {
        let flood = |frame: &[u8], count, relayed| {
            let mut frames = Frames::default();
            frames.pass(PREFACE);
            // As it comes: a little of this, a little of that.
            (1..=count as u64).any(|at| {
                frames.pass(frame);
                frames.is_flood(relayed * at / count as u64, 1000)
            })
        };
        assert!(flood(&frame(6, 0, 8), 20_000, 0), "PING");
        assert!(flood(&frame(4, 0, 0), 40_000, 0), "SETTINGS");
        assert!(flood(&frame(8, 0, 4), 30_000, 0), "WINDOW_UPDATE");
        assert!(
            !flood(&frame(8, 0, 4), 30_000, 30_000 * 16_384),
            "for what was sent"
        );
        assert!(
            !flood(&frame(DATA, 0, 5), 100_000, 0),
            "the smallest message of gRPC"
        );
        assert!(!flood(&frame(HEADERS, 4, 20), 100_000, 0));
        assert!(
            !flood(&frame(6, 0, 8), 1000, 0),
            "a client that likes to ping"
        );
    }
}
