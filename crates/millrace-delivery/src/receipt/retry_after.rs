//! The `Retry-After` header: seconds, or a date.

use std::time::Duration;

use millrace_model::time::UnixMillis;

/// The longest span that a `Retry-After` can ask for. Mixpanel's limits are per minute
/// (`reference/mixpanel-api.md` 9); a longer wish is a mistake, and would look like a standstill.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// The span that the header asks for, seen from now.
pub(super) fn read(text: &str, now: UnixMillis) -> Option<Duration> {
    let text = text.trim();
    let span = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        date(text)?.since(now)
    };
    Some(span.min(MAX_RETRY_AFTER))
}

/// The one form of date that may still be sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<UnixMillis> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_weekday, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    if zone != "GMT" || words.next().is_some() {
        return None;
    }
    UnixMillis::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        let now = UnixMillis::parse("1994-11-06T08:49:30Z").unwrap();
        let rows: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("601", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (text, wanted) in rows {
            assert_eq!(read(text, now), wanted.map(Duration::from_secs), "{text:?}");
        }
    }
}
