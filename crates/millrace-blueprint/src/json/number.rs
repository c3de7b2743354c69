//! Numbers as their senders wrote them. A number is passed on as text, digit for digit; what is
//! checked is that it is one and that it is not infinite as a 64-bit float.

/// Where the JSON number that begins at `start` ends; none when there is no number.
pub(crate) fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let begin = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > begin).then_some(at)
    };
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    Some(at)
}

/// True when a number that is valid JSON is finite as a 64-bit float.
pub(crate) fn is_finite(number: &[u8]) -> bool {
    // Below 300 characters only an exponent can take it out of range.
    if number.len() < 300 && !number.iter().any(|b| matches!(b, b'e' | b'E')) {
        return true;
    }
    parse(number).is_some_and(f64::is_finite)
}

/// True when the text is a JSON number as a whole, and finite.
pub(crate) fn is_finite_number(text: &[u8]) -> bool {
    end(text, 0) == Some(text.len()) && is_finite(text)
}

/// The value of a JSON number.
pub(crate) fn parse(number: &[u8]) -> Option<f64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Writes a float as JSON: without a fraction when it is a whole number below 2^53.
pub(crate) fn write(number: f64, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _ = if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        write!(out, "{number:.0}")
    } else {
        write!(out, "{number}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_and_nothing_else() {
        for text in ["0", "-0", "12", "1.5", "-1.5e10", "1E+2", "123456789012345678901234567890"] {
            assert!(is_finite_number(text.as_bytes()), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "+1", "1e400", "-1e999", "NaN", "1 ", "0x1"] {
            assert!(!is_finite_number(text.as_bytes()), "{text}");
        }
        assert!(!is_finite(&vec![b'9'; 400]));
    }
}
