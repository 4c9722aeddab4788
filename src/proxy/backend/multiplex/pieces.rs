//! In how small pieces data comes from a backend, told by the heads of its frames. Pure.

use crate::proxy::socket::intake::SMALL;

const HEAD: usize = 9;
const DATA: u8 = 0;

/// Follows the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Of the current frame's head, as far as it has come (RFC 9113 4.1).
    head: [u8; HEAD],
    length: usize,
    /// Bytes of the current frame's payload that are still to come.
    payload: u64,
}

impl Pieces {
    /// These bytes have come: how many small DATA frames have begun in them.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> usize {
        let mut small = 0;
        while !bytes.is_empty() {
            let skipped =
                usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.payload -= skipped as u64;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEAD - self.length);
            self.head[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
            self.length += taken;
            bytes = &bytes[taken..];
            if self.length == HEAD {
                self.length = 0;
                let [a, b, c, kind, ..] = self.head;
                self.payload = u64::from(u32::from_be_bytes([0, a, b, c]));
                small += usize::from(kind == DATA && self.payload < SMALL);
            }
        }
        small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_is_counted_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for (kind, payload) in [
            (4, 6),
            (DATA, 5),
            (1, 100),
            (DATA, 4095),
            (DATA, 4096),
            (DATA, 0),
        ] {
            let length = u32::try_from(payload).unwrap().to_be_bytes();
            bytes.extend([length[1], length[2], length[3], kind, 0, 0, 0, 0, 1]);
            bytes.resize(bytes.len() + payload, 0);
        }
        for step in 1..bytes.len() {
            let mut pieces = Pieces::default();
            let small: usize = bytes.chunks(step).map(|part| pieces.pass(part)).sum();
            assert_eq!(small, 3, "in pieces of {step}");
        }
    }
}
