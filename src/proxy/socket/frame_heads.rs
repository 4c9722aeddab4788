//! Where the frames of HTTP/2 begin and end in what comes over a connection, without a look inside them. Pure.

use super::intake::SMALL;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const CONTINUATION: u8 = 9;
/// A flag of SETTINGS.
pub(crate) const ACK: u8 = 1;
/// A flag of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 4;

/// Bytes of a frame's head (RFC 9113 4.1).
pub(crate) const LENGTH: usize = 9;

/// Follows the frames of one connection.
#[derive(Debug, Default)]
pub(crate) struct FrameHeads {
    /// Of the current frame's head, as far as it has come.
    head: [u8; LENGTH],
    length: usize,
    /// Bytes of the current frame's payload that are still to come.
    payload: u64,
}

/// What a frame's head says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Bytes that follow the head.
    pub(crate) payload: u64,
}

/// A place in what has come.
#[derive(Debug)]
pub(crate) enum Mark {
    /// Right behind a frame's head.
    Begin(FrameHead),
    /// Right behind a frame.
    End,
}

impl FrameHeads {
    /// These bytes have come. Tells `mark` of each place that they reach, in their order.
    #[inline]
    pub(crate) fn pass(&mut self, mut bytes: &[u8], mut mark: impl FnMut(Mark)) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let taken =
                    usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload -= taken as u64;
                bytes = &bytes[taken..];
            } else {
                let taken = bytes.len().min(LENGTH - self.length);
                self.head[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
                self.length += taken;
                bytes = &bytes[taken..];
                if self.length < LENGTH {
                    return;
                }
                self.length = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.payload = u64::from(u32::from_be_bytes([0, a, b, c]));
                mark(Mark::Begin(FrameHead {
                    kind,
                    flags,
                    payload: self.payload,
                }));
            }
            if self.payload == 0 {
                mark(Mark::End);
            }
        }
    }
}

impl FrameHead {
    /// Whether it costs more than its data, while nobody takes that.
    pub(crate) fn is_small_data(self) -> bool {
        self.kind == DATA && self.payload < SMALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_frames_are_told_however_the_bytes_are_cut() {
        let frames = [(SETTINGS, 6), (DATA, 0), (HEADERS, 100), (DATA, 5000)];
        let mut bytes = Vec::new();
        for (kind, payload) in frames {
            let length = u32::try_from(payload).unwrap().to_be_bytes();
            bytes.extend([length[1], length[2], length[3], kind, 3, 0, 0, 0, 1]);
            bytes.resize(bytes.len() + payload, 0xff);
        }
        for step in 1..bytes.len() {
            let (mut heads, mut seen, mut open) = (FrameHeads::default(), Vec::new(), false);
            for part in bytes.chunks(step) {
                heads.pass(part, |mark| match mark {
                    Mark::Begin(head) => {
                        assert!(!open && head.flags == 3);
                        open = true;
                        seen.push((head.kind, usize::try_from(head.payload).unwrap()));
                    }
                    Mark::End => assert!(std::mem::take(&mut open)),
                });
            }
            assert!(!open);
            assert_eq!(seen, frames, "in pieces of {step}");
        }
    }

    #[test]
    fn small_data_is_told_from_large_and_from_other_frames() {
        let is_small = |kind, payload| {
            let flags = 0;
            FrameHead {
                kind,
                flags,
                payload,
            }
            .is_small_data()
        };
        assert!(is_small(DATA, 0) && is_small(DATA, SMALL - 1));
        assert!(!is_small(DATA, SMALL) && !is_small(HEADERS, 5));
    }
}
