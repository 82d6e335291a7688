//! The canonical form of a UUID: hyphenated and in lower case.

use std::array;

use uuid::Uuid;

/// All digits at once, without an early end and without branches: that is what the compiler turns into a few
/// vector instructions. The reader of `uuid` takes one digit after the other, and capitals as well.
#[inline]
pub(super) fn read(text: &[u8; 36]) -> Option<Uuid> {
    let hyphens = [text[8], text[13], text[18], text[23]];
    let mut odd = hyphens.iter().fold(0, |odd, byte| odd | (byte ^ b'-'));
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(&text[..8]);
    digits[8..12].copy_from_slice(&text[9..13]);
    digits[12..16].copy_from_slice(&text[14..18]);
    digits[16..20].copy_from_slice(&text[19..23]);
    digits[20..].copy_from_slice(&text[24..]);
    let values = digits.map(|digit| {
        let is_letter = digit > b'9';
        let value = digit.wrapping_sub(if is_letter { b'a' - 10 } else { b'0' });
        // Too large for a digit, or too small for a letter.
        odd |= (value & 0xF0) | (u8::from(is_letter) & u8::from(value < 10));
        value
    });
    let bytes = array::from_fn(|at| values[2 * at] << 4 | values[2 * at + 1]);
    (odd == 0).then_some(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the reader of `uuid` has it, but for the case.
    fn expected(text: &[u8; 36]) -> Option<Uuid> {
        let uuid = Uuid::try_parse_ascii(text).ok()?;
        (uuid.to_string().as_bytes() == text).then_some(uuid)
    }

    #[test]
    fn no_other_byte_is_a_digit_or_a_hyphen() {
        let text = *b"807efe44-d63e-4a24-88f5-dbe96112830a";
        assert!(read(&text).is_some());
        for at in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut text = text;
                text[at] = byte;
                assert_eq!(read(&text), expected(&text), "{}", text.escape_ascii());
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 16]) {
            let uuid = Uuid::from_bytes(bytes);
            let text = uuid.to_string();
            prop_assert_eq!(read(text.as_bytes().try_into().unwrap()), Some(uuid));
        }
    }
}
