//! Sizes and spans of time as people write them: `10MiB`, `5d`.
//!
//! A whole number and a unit, nothing between them. `10MB` is refused rather than guessed at.

use std::time::Duration;

/// Why a text is no quantity, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoQuantity {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// In milliseconds.
const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What people write where a unit belongs, and the unit that is meant.
const ALIASES: [(&str, &str); 16] = [
    ("byte", "B"),
    ("bytes", "B"),
    ("kb", "KiB"),
    ("k", "KiB"),
    ("mb", "MiB"),
    ("gb", "GiB"),
    ("g", "GiB"),
    ("tb", "TiB"),
    ("sec", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("minutes", "m"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
];

/// Bytes.
pub(super) fn size(text: &str) -> Result<u64, NoQuantity> {
    read(text, "a size", "64MiB", &SIZES)
}

/// A span of time.
pub(super) fn span(text: &str) -> Result<Duration, NoQuantity> {
    read(text, "a span of time", "24h", &SPANS).map(Duration::from_millis)
}

/// A size in the largest unit that it is a whole number of.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

/// A span in the largest unit that it is a whole number of.
pub(super) fn show_span(span: Duration) -> String {
    show(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), &SPANS)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().rev().find(|(_, worth)| amount > 0 && amount.is_multiple_of(*worth));
    let (unit, worth) = fitting.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{unit}", amount / worth)
}

fn read(text: &str, what: &str, example: &str, units: &[(&str, u64)]) -> Result<u64, NoQuantity> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let names = || units.iter().map(|(name, _)| *name);
    let Some((_, worth)) = units.iter().find(|(name, _)| *name == unit && !number.is_empty())
    else {
        let meant = meant_unit(unit.trim(), units);
        return Err(NoQuantity {
            message: format!(
                "`{text}` is not {what}: write a whole number and one of {}",
                names().collect::<Vec<_>>().join(", ")
            ),
            suggestion: Some(match meant {
                Some(meant) if !number.is_empty() => format!("write \"{number}{meant}\""),
                _ => format!("write for example \"{example}\""),
            }),
        });
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*worth)).ok_or_else(|| {
        NoQuantity { message: format!("`{text}` is too large for {what}"), suggestion: None }
    })
}

/// The unit that was probably meant.
fn meant_unit<'a>(written: &str, units: &[(&'a str, u64)]) -> Option<&'a str> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(written));
    let wanted = alias.map_or(written, |(_, unit)| *unit);
    units.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("10MiB", 10 << 20), ("1TiB", 1 << 40), ("007KiB", 7 << 10)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, millis) in
            [("500ms", 500), ("90s", 90_000), ("24h", 86_400_000), ("2m", 120_000)]
        {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_says_what_to_write() {
        for (text, words) in [
            ("10MB", "\"10MiB\""),
            ("10mib", "\"10MiB\""),
            ("10 MiB", "\"10MiB\""),
            ("1024", "\"64MiB\""),
            ("", "\"64MiB\""),
            ("MiB", "\"64MiB\""),
            ("-1MiB", "\"64MiB\""),
            ("1.5GiB", "\"64MiB\""),
        ] {
            let wrong = size(text).expect_err(text);
            assert!(wrong.suggestion.as_deref().unwrap_or("").contains(words), "{text}: {wrong:?}");
        }
        for (text, words) in [("7 days", "\"7d\""), ("5D", "\"5d\""), ("60sec", "\"60s\"")] {
            let wrong = span(text).expect_err(text);
            assert!(wrong.suggestion.as_deref().unwrap_or("").contains(words), "{text}: {wrong:?}");
        }
        assert!(size("99999999999TiB").is_err());
        assert!(size("99999999999999999999999B").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(amount in any::<u64>()) {
            prop_assert_eq!(size(&show_size(amount)), Ok(amount));
            let time = Duration::from_millis(amount);
            prop_assert_eq!(span(&show_span(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = size(&text);
            let _ = span(&text);
        }
    }
}
