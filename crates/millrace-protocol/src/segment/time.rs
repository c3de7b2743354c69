//! When an event happened (DESIGN 9.6). It does not judge how far off a time is.

use millrace_model::event::TimeSource;
use millrace_model::time::UnixMillis;

/// How far a client's clock may be off before its times are corrected: five minutes.
pub const SKEW_LIMIT_MILLIS: i64 = 5 * 60_000;

const MINUTE_MILLIS: i64 = 60_000;

/// The time of an event from its own time, the time at which its client says it was sent, and the
/// time of receipt.
///
/// A clock that is off by more than five minutes is corrected by the skew rounded to minutes, so
/// that a resend, which takes another few milliseconds, gives the same time again. Without an own
/// time the event happened at receipt.
#[must_use]
pub fn event_time(
    own: Option<UnixMillis>,
    sent_at: Option<UnixMillis>,
    received_at: UnixMillis,
) -> (UnixMillis, TimeSource) {
    let Some(own) = own else {
        return (received_at, TimeSource::Receipt);
    };
    let skew = sent_at.map_or(0, |sent_at| received_at.0.saturating_sub(sent_at.0));
    if skew.saturating_abs() <= SKEW_LIMIT_MILLIS {
        return (own, TimeSource::Client);
    }
    let minutes = skew.saturating_add(MINUTE_MILLIS / 2).div_euclid(MINUTE_MILLIS);
    let corrected = own.0.saturating_add(minutes.saturating_mul(MINUTE_MILLIS));
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
