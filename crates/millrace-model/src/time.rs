//! Time: the [`Clock`] seam, milliseconds since 1970, and the ISO 8601 text that SDKs send.

use std::fmt::{self, Debug};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z; negative before.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// The first moment of the year 1 and the last of the year 9999, in milliseconds: what
/// [`UnixMillis::parse`] reads and `Display` prints as RFC 3339.
const TEXT_RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

impl UnixMillis {
    /// This moment plus a span (saturating).
    #[must_use]
    pub fn plus(self, span: Duration) -> UnixMillis {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        UnixMillis(self.0.saturating_add(millis))
    }

    /// The span since an earlier moment; zero when that is in the future.
    #[must_use]
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The number of the minute since 1970 that this moment lies in.
    #[must_use]
    pub fn minute(self) -> i64 {
        self.0.div_euclid(60_000)
    }

    /// Reads an ISO 8601 date and time as SDKs write it.
    ///
    /// Taken: `YYYY-MM-DD`, with `T` or a space `HH:MM[:SS[.fraction]]`, then nothing (UTC), `Z`,
    /// or an offset `+HH:MM`, `+HHMM`, `+HH`. Fractions are cut to milliseconds. A day that the
    /// month does not have and a second of 60 are refused rather than rolled over. Years 1 to 9999.
    ///
    /// Also taken, because scripts write them: `/` in place of both `-`, and the dates of
    /// mail and HTTP (`Fri, 20 Nov 2026 10:20:30 GMT` or `+0000`).
    #[must_use]
    pub fn parse(text: &str) -> Option<UnixMillis> {
        let text = text.trim();
        match text.as_bytes().first() {
            Some(b'A'..=b'Z') => UnixMillis::parse_mail_date(text),
            _ => UnixMillis::parse_iso(text),
        }
    }

    /// Reads `11/20/2026`, with or without a time behind it, as scripts do: the month first. Only
    /// for where that is known to be meant, because half of the world writes the day first.
    #[must_use]
    pub fn parse_month_first(text: &str) -> Option<UnixMillis> {
        let (month, rest) = text.trim().split_once('/')?;
        let (day, rest) = rest.split_once('/')?;
        let (year, time) = rest.split_at_checked(4)?;
        UnixMillis::parse_iso(&format!("{year}/{month:0>2}/{day:0>2}{time}"))
    }

    /// `Fri, 20 Nov 2026 10:20:30 GMT`, in the form of ISO 8601. The name of the day is not checked.
    fn parse_mail_date(text: &str) -> Option<UnixMillis> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_, date) = text.split_once(", ")?;
        let mut parts = date.split(' ');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let (time, zone) = (parts.next()?, parts.next()?);
        let month = MONTHS.iter().position(|known| *known == month)? + 1;
        let zone = if matches!(zone, "GMT" | "UTC") { "Z" } else { zone };
        let iso = format!("{year}-{month:02}-{day:0>2}T{time}{zone}");
        parts.next().is_none().then(|| UnixMillis::parse_iso(&iso))?
    }

    fn parse_iso(text: &str) -> Option<UnixMillis> {
        let mut digits = Digits(text.as_bytes());
        let year = digits.take(4)?;
        let separator = if digits.0.first() == Some(&b'/') { b'/' } else { b'-' };
        let (month, day) = (digits.after(separator)?.take(2)?, digits.after(separator)?.take(2)?);
        if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let mut millis = days_from_civil(year, month, day) * 86_400_000;
        if digits.0.is_empty() {
            return Some(UnixMillis(millis));
        }
        if !matches!(digits.next()?, b'T' | b't' | b' ') {
            return None;
        }
        let (hour, minute) = (digits.take(2)?, digits.after(b':')?.take(2)?);
        let mut second = 0;
        let mut fraction = 0;
        if digits.0.first() == Some(&b':') {
            second = digits.after(b':')?.take(2)?;
            if matches!(digits.0.first(), Some(b'.' | b',')) {
                digits.next();
                fraction = digits.fraction()?;
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        millis += ((hour * 60 + minute) * 60 + second) * 1000 + fraction;
        millis -= digits.offset()? * 60_000;
        (digits.0.is_empty() && TEXT_RANGE.contains(&millis)).then_some(UnixMillis(millis))
    }
}

/// What is left of a text to read, from the front.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn after(&mut self, wanted: u8) -> Option<&mut Self> {
        (self.next()? == wanted).then_some(self)
    }

    fn take(&mut self, count: usize) -> Option<i64> {
        (0..count).try_fold(0_i64, |number, _| match self.next()? {
            digit @ b'0'..=b'9' => Some(number * 10 + i64::from(digit - b'0')),
            _ => None,
        })
    }

    /// The milliseconds of a fraction of any length; at least one digit.
    fn fraction(&mut self) -> Option<i64> {
        let mut scale = 100;
        let mut millis = self.take(1)? * scale;
        while let Some(digit @ b'0'..=b'9') = self.0.first().copied() {
            self.next();
            scale /= 10;
            millis += i64::from(digit - b'0') * scale;
        }
        Some(millis)
    }

    /// The minutes of a UTC offset; zero when the text ends here.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.0.first() {
            None => return Some(0),
            Some(b'Z' | b'z') => {
                self.next();
                return Some(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.next();
        let hours = self.take(2)?;
        if self.0.first() == Some(&b':') {
            self.next();
        }
        let minutes = if self.0.is_empty() { 0 } else { self.take(2)? };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (the well-known era formula).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for UnixMillis {
    /// `2026-11-22T12:00:00.000Z`; the plain number outside the years 1 to 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !TEXT_RANGE.contains(&self.0) {
            return write!(f, "{}", self.0);
        }
        let (days, rest) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, milli) = (rest / 1000 % 60, rest % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The seam for time. Production takes the system's clock, tests one that they move by hand.
pub trait Clock: Send + Sync + Debug {
    /// The wall clock. May jump.
    fn now(&self) -> UnixMillis;

    /// Time since some fixed start. Never goes back; for spans, limits and back-off.
    fn elapsed(&self) -> Duration;
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam itself")]
    fn default() -> SystemClock {
        SystemClock { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam itself")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    start: i64,
    now: std::sync::atomic::AtomicI64,
}

impl ManualClock {
    /// A clock that shows this moment.
    #[must_use]
    pub fn at(now: UnixMillis) -> ManualClock {
        ManualClock { start: now.0, now: std::sync::atomic::AtomicI64::new(now.0) }
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.now.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.now.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        self.now().since(UnixMillis(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sdk_forms_are_read() {
        let at = Some(UnixMillis(1_763_633_472_345));
        for text in [
            "2025-11-20T10:11:12.345Z",
            "2025-11-20T10:11:12.345678+00:00",
            "2025-11-20 10:11:12.345",
            "2025-11-20T12:11:12.345+02:00",
            "2025-11-20T05:11:12,345-0500",
            " 2025-11-20T10:11:12.345z ",
        ] {
            assert_eq!(UnixMillis::parse(text), at, "{text}");
        }
        for text in [
            "2026/11/20 10:20:30",
            "Fri, 20 Nov 2026 10:20:30 GMT",
            "Fri, 20 Nov 2026 12:20:30 +0200",
        ] {
            assert_eq!(UnixMillis::parse(text), Some(UnixMillis(1_795_170_030_000)), "{text}");
        }
        assert_eq!(UnixMillis::parse("1970-01-02"), Some(UnixMillis(86_400_000)));
        assert_eq!(UnixMillis::parse("1970-01-01T00:01"), Some(UnixMillis(60_000)));
        assert_eq!(
            UnixMillis::parse("0001-01-01T00:00:00Z"),
            Some(UnixMillis(-62_135_596_800_000))
        );
        assert_eq!(
            UnixMillis::parse("9999-12-31T23:59:59.999Z"),
            Some(UnixMillis(253_402_300_799_999))
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2025",
            "2025/11-20",
            "Fri, 31 Feb 2026 10:20:30 GMT",
            "Fri, 20 Nov 2026",
            "Fri, 20 Nox 2026 10:20:30 GMT",
            "Fri, 20 Nov 2026 10:20:30 GMT GMT",
            "2025-13-01",
            "2025-02-30",
            "2025-00-01",
            "0000-01-01",
            "2025-11-20T24:00:00Z",
            "2025-11-20T10:60",
            "2025-11-20T10:11:60Z",
            "2025-11-20T10:11:12.Z",
            "2025-11-20T10:11:12Z!",
            "2025-11-20T10:11:12+25:00",
            "1763633472",
            "20251120T101112Z",
            "0001-01-01T00:00:00+10:00",
            "２０２５-11-20",
        ] {
            assert_eq!(UnixMillis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_month_comes_first_where_that_is_meant() {
        let day = UnixMillis::parse("2026-01-05");
        assert_eq!(UnixMillis::parse_month_first("1/5/2026"), day);
        assert_eq!(UnixMillis::parse_month_first(" 01/05/2026 "), day);
        let at = UnixMillis::parse_month_first("11/20/2026 10:20:30");
        assert_eq!(at, Some(UnixMillis(1_795_170_030_000)));
        for text in ["", "1/5", "20/11/2026", "2026/11/20", "2/30/2026", "1/5/26", "1//2026"] {
            assert_eq!(UnixMillis::parse_month_first(text), None, "{text}");
        }
        assert_eq!(UnixMillis::parse("1/5/2026"), None);
    }

    proptest! {
        #[test]
        fn text_and_number_are_inverse(millis in TEXT_RANGE) {
            let at = UnixMillis(millis);
            prop_assert_eq!(UnixMillis::parse(&at.to_string()), Some(at));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = UnixMillis::parse(&text);
            let _ = UnixMillis::parse_month_first(&text);
        }
    }
}
