//! Which texts stand in a line as they are.

/// Nothing in it has to be escaped: it is printable ASCII without quotes and backslashes. Eight bytes at a time.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().all(|&byte| odd([byte; 8]) == 0);
    };
    // The last eight are looked at twice, in part; that is less than what doesn't fill eight byte by byte.
    let (chunks, _rest) = text.as_chunks();
    chunks
        .iter()
        .fold(odd(*last), |found, &chunk| found | odd(chunk))
        == 0
}

/// Not 0 if one of the bytes is a control character, a quote, a backslash or no ASCII. "Determine if a word has a byte less than n" and "has
/// a zero byte" in Anderson's Bit Twiddling Hacks; exact as long as one doesn't ask which byte it is.
fn odd(chunk: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(chunk);
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let has = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (word | below(word, b' ') | has(b'"') | has(b'\\') | has(0x7f)) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_found_at_each_place() {
        for byte in 0..=u8::MAX {
            let plain = matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
            for length in 1..=25 {
                for at in 0..length {
                    for around in *b" !#[]~" {
                        let mut text = vec![around; length];
                        text[at] = byte;
                        assert_eq!(is_plain(&text), plain, "{text:?}");
                    }
                }
            }
        }
        assert!(is_plain(b""));
    }
}
