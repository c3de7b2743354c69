//! When an event happened (DESIGN 9.6). It does not judge how far off a time is.

use millrace_model::event::TimeSource;
use millrace_model::time::UnixMillis;

/// How far a client's clock may be off before its times are corrected: five minutes.
pub const SKEW_LIMIT_MILLIS: i64 = 5 * 60_000;

const MINUTE_MILLIS: i64 = 60_000;

/// An event that happened more than a day after it was sent was not sent then.
const ODD_SENT_MILLIS: i64 = 24 * 60 * MINUTE_MILLIS;

/// 1971-01-01, the first moment that Mixpanel takes (`reference/mixpanel-api.md` 2.3).
const FIRST_MILLIS: i64 = 31_536_000_000;

/// Numbers below are seconds, others milliseconds (`reference/mixpanel-api.md` 2.1).
const FIRST_NUMBER_MILLIS: f64 = 1e11;

/// The time that a JSON number stands for: SDKs send text, but people who write the calls
/// themselves send what their language calls the time.
pub(crate) fn numeric_time(number: &[u8]) -> Option<UnixMillis> {
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let millis = if number.abs() < FIRST_NUMBER_MILLIS { number * 1000.0 } else { number };
    // A number before Mixpanel's calendar is no time but a count, or nothing at all. From 9e15 on
    // floats leave out whole numbers.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked beside it")]
    let whole = || UnixMillis(millis.round() as i64);
    (31_536_000_000.0..9e15).contains(&millis).then(whole)
}

/// Libraries whose `sentAt` is the moment at which a file of events was closed. The file may be sent
/// days later, unchanged (`EventsFileManager` of analytics-kotlin, `DirectoryStore` of
/// analytics-swift): docs/adr/0006.
const FILE_CLOSERS: [&[u8]; 2] = [b"analytics-kotlin", b"analytics-swift"];

/// True for a library of whose `sentAt` nothing follows when it lies before the receipt.
pub(super) fn closes_files(library: &[u8]) -> bool {
    FILE_CLOSERS.contains(&library)
}

/// True when something was received so long after it says it was sent that either the clock is
/// behind or it was on its way for long.
pub(super) fn could_be_late(sent_at: UnixMillis, received_at: UnixMillis) -> bool {
    received_at.0.saturating_sub(sent_at.0) > SKEW_LIMIT_MILLIS
}

/// The time of an event from its own time, the time at which its client says it was sent, and the
/// time of receipt.
///
/// A clock that is off by more than five minutes is corrected by the skew rounded to minutes, so
/// that a resend, which takes another few milliseconds, gives the same time again. Without an own
/// time the event happened at receipt.
///
/// A `sentAt` that makes no sense beside the event's own time corrects nothing: it lies more than a
/// day before it (the zero time of some language), or the correction would lead out of Mixpanel's
/// calendar.
#[must_use]
pub fn event_time(
    own: Option<UnixMillis>,
    sent_at: Option<UnixMillis>,
    received_at: UnixMillis,
) -> (UnixMillis, TimeSource) {
    let Some(own) = own else {
        return (received_at, TimeSource::Receipt);
    };
    let sent_at = sent_at.filter(|sent_at| own.0.saturating_sub(sent_at.0) <= ODD_SENT_MILLIS);
    let skew = sent_at.map_or(0, |sent_at| received_at.0.saturating_sub(sent_at.0));
    if skew.saturating_abs() <= SKEW_LIMIT_MILLIS {
        return (own, TimeSource::Client);
    }
    let minutes = skew.saturating_add(MINUTE_MILLIS / 2).div_euclid(MINUTE_MILLIS);
    let corrected = own.0.saturating_add(minutes.saturating_mul(MINUTE_MILLIS));
    if corrected < FIRST_MILLIS && own.0 >= FIRST_MILLIS {
        return (own, TimeSource::Client);
    }
    (UnixMillis(corrected), TimeSource::Corrected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECEIVED: UnixMillis = UnixMillis(1_763_800_000_000);

    #[test]
    fn only_a_large_skew_corrects_and_only_by_minutes() {
        let minutes = |count: i64| count * 60_000;
        // own time and sentAt, both before receipt; wanted time before receipt; source
        let table = [
            (Some(minutes(1)), None, minutes(1), TimeSource::Client),
            (Some(minutes(90)), Some(0), minutes(90), TimeSource::Client),
            (Some(minutes(5)), Some(minutes(5)), minutes(5), TimeSource::Client),
            (Some(minutes(-5)), Some(minutes(-5)), minutes(-5), TimeSource::Client),
            (Some(minutes(5) + 1), Some(minutes(5) + 1), 1, TimeSource::Corrected),
            (Some(minutes(61)), Some(minutes(60)), minutes(1), TimeSource::Corrected),
            (Some(minutes(-59)), Some(minutes(-60)), minutes(1), TimeSource::Corrected),
            (Some(minutes(61)), Some(minutes(60) + 29_999), minutes(1), TimeSource::Corrected),
            (Some(minutes(61)), Some(minutes(60) - 29_999), minutes(1), TimeSource::Corrected),
            (None, Some(minutes(60)), 0, TimeSource::Receipt),
            (None, None, 0, TimeSource::Receipt),
        ];
        for (own, sent, wanted, source) in table {
            let before = |span: i64| UnixMillis(RECEIVED.0 - span);
            assert_eq!(
                event_time(own.map(before), sent.map(before), RECEIVED),
                (before(wanted), source),
                "{own:?} {sent:?}"
            );
        }
    }

    #[test]
    fn a_sent_time_that_makes_no_sense_corrects_nothing() {
        let own = UnixMillis::parse("2025-11-20T10:11:12.345Z");
        for sent in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"] {
            let (time, source) = event_time(own, UnixMillis::parse(sent), RECEIVED);
            assert_eq!((Some(time), source), (own, TimeSource::Client), "{sent}");
        }
        // A clock without a battery has both wrong, in the same way.
        let (own, sent) = (UnixMillis(5_000), UnixMillis(65_000));
        let wanted = UnixMillis((RECEIVED.0 - 65_000 + 30_000).div_euclid(60_000) * 60_000 + 5_000);
        assert_eq!(event_time(Some(own), Some(sent), RECEIVED), (wanted, TimeSource::Corrected));
    }

    #[test]
    fn numbers_are_seconds_or_milliseconds() {
        for (number, wanted) in [
            ("1763633472345", Some(1_763_633_472_345)),
            ("1763633472", Some(1_763_633_472_000)),
            ("1763633472.345", Some(1_763_633_472_345)),
            ("1.763633472345e12", Some(1_763_633_472_345)),
            ("0", None),
            ("-1", None),
            ("1e400", None),
            ("12345678901234567890123", None),
        ] {
            assert_eq!(numeric_time(number.as_bytes()).map(|time| time.0), wanted, "{number}");
        }
    }

    proptest! {
        #[test]
        fn nothing_overflows(own: i64, sent: i64, received: i64) {
            let _ = event_time(Some(UnixMillis(own)), Some(UnixMillis(sent)), UnixMillis(received));
        }

        #[test]
        fn a_resend_does_not_move_the_event(
            skew in -10_000_000_i64..10_000_000, later in 0..1_000_000_i64
        ) {
            let own = Some(UnixMillis(RECEIVED.0 - 1_000_000));
            let sent = |at: i64| Some(UnixMillis(at - skew));
            let first = event_time(own, sent(RECEIVED.0), RECEIVED);
            let again = event_time(own, sent(RECEIVED.0 + later), UnixMillis(RECEIVED.0 + later));
            prop_assert_eq!(first, again);
        }
    }
}
