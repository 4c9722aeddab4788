//! Reading the fields of a packet. Pure; whatever isn't there is `None`, never a panic.

/// What is left of a packet.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Self(packet)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Up to a NUL, which there must be.
    pub(super) fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let taken = self.take(end)?;
        self.take(1)?;
        Some(taken)
    }

    /// A number of one to nine bytes ("length-encoded integer").
    pub(super) fn number(&mut self) -> Option<u64> {
        let size = match self.byte()? {
            small @ 0..=0xfa => return Some(small.into()),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        let bytes = self.take(size)?.iter().rev();
        Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Bytes that such a number announces.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(usize::try_from(count).ok()?)
    }

    /// The same, or NULL.
    pub(super) fn cell(&mut self) -> Option<Option<&'a [u8]>> {
        if let [0xfb, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(None);
        }
        self.counted().map(Some)
    }

    /// All of it.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        for (bytes, number) in [
            (&b"\x00"[..], 0),
            (b"\xfa", 250),
            (b"\xfc\x01\x02", 0x0201),
            (b"\xfd\x01\x02\x03", 0x03_0201),
            (
                b"\xfe\x01\x00\x00\x00\x00\x00\x00\xff",
                0xff00_0000_0000_0001,
            ),
        ] {
            assert_eq!(Fields::new(bytes).number(), Some(number), "{bytes:?}");
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Fields::new(cut).number(), None, "{cut:?}");
        }
        assert_eq!(Fields::new(b"\xfb").number(), None);
        assert_eq!(Fields::new(b"\xff").number(), None);
    }

    #[test]
    fn a_length_beyond_the_packet_is_nothing() {
        assert_eq!(Fields::new(b"\x05four").counted(), None);
        let huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffx";
        assert_eq!(Fields::new(huge).counted(), None);
        assert_eq!(Fields::new(b"\xfbx").cell(), Some(None));
        assert_eq!(Fields::new(b"\x01x").cell(), Some(Some(&b"x"[..])));
        assert_eq!(Fields::new(b"no end").until_nul(), None);
    }
}
