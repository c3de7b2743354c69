//! How much one key may send: requests and events in a second, events in a day.
//!
//! Two token buckets and a counter for each key, all made when they are first needed. Keys come from
//! the configuration only, so their number is bounded. A batch counts with the number of its items;
//! one that is larger than the bucket is taken when the bucket is full, and what it takes too much is
//! paid back before the next. A day is a UTC day; the batch that crosses the quota is still taken, so
//! that a quota smaller than a batch does not make an SDK repeat itself for ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::time::UnixMillis;

const DAY_MILLIS: i64 = 86_400_000;

/// What one key may send. The default sets no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimits {
    /// Requests in a second.
    pub requests_per_second: Option<u32>,
    /// Events in a second.
    pub events_per_second: Option<u32>,
    /// How many seconds' worth may come at once after a silence. Default 2.
    pub burst_seconds: u32,
    /// Events in a UTC day.
    pub events_per_day: Option<u64>,
}

impl Default for RateLimits {
    fn default() -> RateLimits {
        RateLimits {
            requests_per_second: None,
            events_per_second: None,
            burst_seconds: 2,
            events_per_day: None,
        }
    }
}

impl RateLimits {
    fn is_none(&self) -> bool {
        self.requests_per_second.is_none()
            && self.events_per_second.is_none()
            && self.events_per_day.is_none()
    }
}

/// Names the counts of a key without being the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeterId(pub u128);

impl MeterId {
    /// The id of a key of a pipeline. Stable: it is stored.
    pub(crate) fn new(pipeline: &str, key: &str) -> MeterId {
        let mut text = Vec::with_capacity(pipeline.len() + key.len() + 1);
        text.extend_from_slice(pipeline.as_bytes());
        text.push(0);
        text.extend_from_slice(key.as_bytes());
        let digest = ring::digest::digest(&ring::digest::SHA256, &text);
        let first = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        MeterId(u128::from_be_bytes(first))
    }
}

/// What the keys have sent in one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DayUsage {
    /// The number of the day since 1970.
    pub day: i64,
    /// Events by key, of keys with a quota.
    pub events: Vec<(MeterId, u64)>,
}

/// Why a key has to wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) code: Code,
    pub(crate) span: Duration,
}

/// The counts of all keys.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<HashMap<MeterId, Meter>>);

/// The counts of one key.
#[derive(Debug)]
struct Meter {
    /// When the buckets were last filled, on the clock that never goes back.
    filled: Duration,
    requests: f64,
    events: f64,
    day: i64,
    today: u64,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: UnixMillis,
    pub(crate) elapsed: Duration,
}

impl Moment {
    fn day(self) -> i64 {
        self.now.0.div_euclid(DAY_MILLIS)
    }

    fn until_midnight(self) -> Duration {
        let rest = DAY_MILLIS - self.now.0.rem_euclid(DAY_MILLIS);
        Duration::from_millis(u64::try_from(rest).unwrap_or_default())
    }
}

impl Meters {
    /// Takes a request with so many events, or says how long to wait. Nothing is taken then.
    pub(crate) fn charge(
        &self,
        id: MeterId,
        limits: &RateLimits,
        events: usize,
        at: Moment,
    ) -> Result<(), Wait> {
        if limits.is_none() {
            return Ok(());
        }
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters.entry(id).or_insert_with(|| Meter::full(limits, at));
        meter.charge(limits, events, at)
    }

    /// Gives back to the day what was not stored in the end.
    pub(crate) fn refund(&self, id: MeterId, events: usize) {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get_mut(&id) {
            meter.today = meter.today.saturating_sub(events as u64);
        }
    }

    /// What was sent on the day of this moment.
    pub(crate) fn usage(&self, now: UnixMillis) -> DayUsage {
        let day = now.0.div_euclid(DAY_MILLIS);
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_today = meters.iter().filter(|(_, meter)| meter.day == day && meter.today > 0);
        let mut events: Vec<_> = of_today.map(|(id, meter)| (*id, meter.today)).collect();
        events.sort_unstable();
        DayUsage { day, events }
    }

    /// Goes on with what was counted before a restart.
    pub(crate) fn restore(&self, usage: &DayUsage, elapsed: Duration) {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, events) in &usage.events {
            let empty = Meter {
                filled: elapsed,
                requests: f64::MAX,
                events: f64::MAX,
                day: usage.day,
                today: 0,
            };
            let meter = meters.entry(*id).or_insert(empty);
            if meter.day == usage.day {
                meter.today = meter.today.saturating_add(*events);
            }
        }
    }
}

impl Meter {
    fn full(limits: &RateLimits, at: Moment) -> Meter {
        Meter {
            filled: at.elapsed,
            requests: capacity(limits.requests_per_second, limits),
            events: capacity(limits.events_per_second, limits),
            day: at.day(),
            today: 0,
        }
    }

    fn charge(&mut self, limits: &RateLimits, events: usize, at: Moment) -> Result<(), Wait> {
        let passed = at.elapsed.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(at.elapsed);
        for (rate, tokens) in [
            (limits.requests_per_second, &mut self.requests),
            (limits.events_per_second, &mut self.events),
        ] {
            *tokens = match rate {
                Some(rate) => {
                    passed.mul_add(f64::from(rate), *tokens).min(capacity(Some(rate), limits))
                }
                // A limit that comes later begins with a full bucket.
                None => f64::MAX,
            };
        }
        if self.day != at.day() {
            (self.day, self.today) = (at.day(), 0);
        }
        if limits.events_per_day.is_some_and(|quota| self.today >= quota) {
            return Err(Wait { code: Code::QuotaUsedUp, span: at.until_midnight() });
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer events than 2^52")]
        let wanted = events as f64;
        let parts = [
            (limits.requests_per_second, self.requests, 1.0),
            (limits.events_per_second, self.events, wanted),
        ];
        let waits = parts.iter().filter_map(|(rate, tokens, wanted)| {
            let lacking = wanted.min(capacity(*rate, limits)) - tokens;
            rate.filter(|_| lacking > 0.0).map(|rate| lacking / f64::from(rate.max(1)))
        });
        if let Some(wait) = waits.reduce(f64::max) {
            // Far below the range of a duration: the rate is at least one in a second.
            let span = Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(1));
            return Err(Wait { code: Code::RateLimited, span });
        }
        self.requests -= 1.0;
        self.events -= wanted;
        self.today = self.today.saturating_add(events as u64);
        Ok(())
    }
}

fn capacity(rate: Option<u32>, limits: &RateLimits) -> f64 {
    rate.map_or(f64::MAX, |rate| f64::from(rate.max(1)) * f64::from(limits.burst_seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: MeterId = MeterId(1);
    const MIDNIGHT: i64 = 20_000 * DAY_MILLIS;

    fn at(seconds: u64) -> Moment {
        let elapsed = Duration::from_secs(seconds);
        Moment { now: UnixMillis(MIDNIGHT).plus(elapsed), elapsed }
    }

    fn limits(requests: u32, events: u32, day: u64) -> RateLimits {
        RateLimits {
            requests_per_second: Some(requests).filter(|rate| *rate > 0),
            events_per_second: Some(events).filter(|rate| *rate > 0),
            events_per_day: Some(day).filter(|quota| *quota > 0),
            ..RateLimits::default()
        }
    }

    fn span(waited: Result<(), Wait>) -> Option<(Code, u128)> {
        waited.err().map(|wait| (wait.code, wait.span.as_millis()))
    }

    #[test]
    fn requests_and_events_refill_each_second() {
        let meters = Meters::default();
        let two = limits(2, 0, 0);
        for _ in 0..4 {
            assert_eq!(meters.charge(ID, &two, 100, at(0)), Ok(()));
        }
        assert_eq!(span(meters.charge(ID, &two, 1, at(0))), Some((Code::RateLimited, 500)));
        assert_eq!(meters.charge(MeterId(2), &two, 1, at(0)), Ok(()), "another key");
        assert_eq!(meters.charge(ID, &two, 1, at(1)), Ok(()));
        assert_eq!(meters.charge(ID, &two, 1, at(1)), Ok(()));
        assert_eq!(span(meters.charge(ID, &two, 1, at(1))), Some((Code::RateLimited, 500)));
    }

    #[test]
    fn a_limit_that_was_away_comes_back_with_a_full_bucket() {
        let meters = Meters::default();
        assert_eq!(meters.charge(ID, &limits(0, 10, 0), 20, at(0)), Ok(()));
        for _ in 0..100 {
            assert_eq!(meters.charge(ID, &limits(1_000, 0, 0), 1_000, at(0)), Ok(()));
        }
        assert_eq!(meters.charge(ID, &limits(0, 10, 0), 20, at(0)), Ok(()));
        assert_eq!(
            span(meters.charge(ID, &limits(0, 10, 0), 10, at(0))),
            Some((Code::RateLimited, 1_000))
        );
    }

    #[test]
    fn a_batch_larger_than_the_bucket_is_paid_back() {
        let meters = Meters::default();
        let ten = limits(0, 10, 0);
        assert_eq!(meters.charge(ID, &ten, 50, at(0)), Ok(()));
        // 30 too much, and one event.
        assert_eq!(span(meters.charge(ID, &ten, 1, at(0))), Some((Code::RateLimited, 3_100)));
        assert_eq!(meters.charge(ID, &ten, 1, at(4)), Ok(()));
    }

    #[test]
    fn the_quota_is_of_a_day_and_goes_on_after_a_restart() {
        let meters = Meters::default();
        let quota = limits(0, 0, 10);
        assert_eq!(meters.charge(ID, &quota, 9, at(0)), Ok(()));
        assert_eq!(meters.charge(ID, &quota, 9, at(0)), Ok(()), "the one that crosses it");
        let until_midnight = Some((Code::QuotaUsedUp, 86_400_000 - 3_600_000));
        assert_eq!(span(meters.charge(ID, &quota, 1, at(3_600))), until_midnight);
        let usage = meters.usage(at(3_600).now);
        assert_eq!(usage, DayUsage { day: 20_000, events: vec![(ID, 18)] });

        let again = Meters::default();
        again.restore(&usage, Duration::ZERO);
        assert_eq!(span(again.charge(ID, &quota, 1, at(3_600))), until_midnight);
        again.refund(ID, 9);
        assert_eq!(again.charge(ID, &quota, 1, at(3_600)), Ok(()));
        assert_eq!(meters.charge(ID, &quota, 1, at(86_400)), Ok(()), "the next day");
        assert_eq!(meters.usage(at(86_400).now).events, [(ID, 1)]);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let meters = Meters::default();
        assert_eq!(meters.charge(ID, &RateLimits::default(), usize::MAX, at(0)), Ok(()));
        assert!(meters.0.lock().unwrap().is_empty());
    }

    proptest! {
        /// Whatever comes when: no more than the burst and what the time has given, and one batch.
        #[test]
        fn no_key_gets_more_than_its_rate(
            rate in 1_u32..50,
            calls in prop::collection::vec((0_u64..3, 1_usize..40), 1..60),
        ) {
            let meters = Meters::default();
            let limits = limits(0, rate, 0);
            let (mut now, mut taken) = (0, 0_usize);
            for (pause, events) in calls {
                now += pause;
                if meters.charge(ID, &limits, events, at(now)).is_ok() {
                    taken += events;
                }
                let most = u64::from(rate) * (now + 2) + 40;
                prop_assert!(taken as u64 <= most, "{} of {}", taken, most);
            }
        }
    }
}
