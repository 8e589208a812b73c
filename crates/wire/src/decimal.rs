//! Integers as decimal text, without the formatting machinery: every header writes several.

/// The longest text: a sign and the nineteen digits of `i64::MIN`.
pub(crate) const MAX_LEN: usize = 20;

/// Writes `value` into `buffer` and returns the text.
pub(crate) fn text(value: i64, buffer: &mut [u8; MAX_LEN]) -> &str {
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).expect("decimal digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_the_standard_formatter_writes() {
        for value in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            1_700_000_000_000,
            i64::MAX,
            i64::MIN,
            i64::from(i32::MIN),
        ] {
            assert_eq!(text(value, &mut [0; MAX_LEN]), value.to_string());
        }
    }
}
