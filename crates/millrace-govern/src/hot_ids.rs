//! Ids that have so many events a day that Mixpanel may rename them (200,000 a day on one id).
//!
//! Counts are kept per pipeline and UTC day in bounded memory: of many ids the ones with the fewest
//! events are forgotten, and who comes new may have been forgotten before. What is alarmed is what
//! an id has had for certain. Counts begin anew at a start of the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::FixedState;
use millrace_model::time::UnixMillis;
use xxhash_rust::xxh3::xxh3_64;

use crate::document::{Finds, PathId, Watch};

/// Events a day on one distinct id after which Mixpanel renames it (reference/mixpanel-api.md).
pub const MIXPANEL_LIMIT: u64 = 200_000;

/// As many ids are always counted, and up to twice as many in between.
const KEPT: usize = 4_096;
/// No more ids of one day are listed: they are heavy, so there cannot be many.
const LISTED: usize = 100;
const DAY: i64 = 86_400_000;

/// An id with too many events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotId {
    /// The id, as privacy rules leave it.
    pub id: String,
    /// Its events of today, at least.
    pub events: u64,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    /// As many of them may be another id's.
    error: u64,
}

#[derive(Debug, Default)]
struct Today {
    day: i64,
    counts: HashMap<u64, Count, FixedState>,
    /// No id that is not counted has had more.
    floor: u64,
    hot: HashMap<u64, HotId, FixedState>,
    alarms: Vec<HotId>,
}

/// The counts of one pipeline.
#[derive(Debug)]
pub struct HotIds {
    alarm_at: u64,
    today: Mutex<Today>,
}

impl HotIds {
    /// Alarms at a number of events and again at [`MIXPANEL_LIMIT`].
    #[must_use]
    pub fn new(alarm_at: u64) -> HotIds {
        HotIds { alarm_at: alarm_at.max(1), today: Mutex::default() }
    }

    /// The number of events at which it alarms first.
    #[must_use]
    pub fn alarm_at(&self) -> u64 {
        self.alarm_at
    }

    /// Counts an event. The number of events of its id, when they are too many.
    pub(crate) fn count(
        &self,
        id: &str,
        at: UnixMillis,
        shown: impl FnOnce() -> String,
    ) -> Option<u64> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let day = at.0.div_euclid(DAY);
        // A clock that goes back does not bring yesterday back.
        if day > today.day {
            let alarms = std::mem::take(&mut today.alarms);
            *today = Today { day, alarms, ..Today::default() };
        }
        let key = xxh3_64(id.as_bytes());
        let error = today.floor;
        let new = Count { count: error, error };
        let count = today.counts.entry(key).or_insert(new);
        count.count += 1;
        let events = count.count - count.error;
        if today.counts.len() >= 2 * KEPT {
            today.forget_the_lightest();
        }
        if events < self.alarm_at {
            return None;
        }
        let full = today.hot.len() >= LISTED;
        match today.hot.get_mut(&key) {
            Some(hot) => hot.events = events,
            None if full => {}
            None => {
                let hot = HotId { id: shown(), events };
                today.alarms.push(hot.clone());
                today.hot.insert(key, hot);
            }
        }
        if events == MIXPANEL_LIMIT
            && self.alarm_at < MIXPANEL_LIMIT
            && let Some(hot) = today.hot.get(&key).cloned()
        {
            today.alarms.push(hot);
        }
        Some(events)
    }

    /// The alarms since the last call. Each id gives one at each of the two marks a day.
    pub fn take_alarms(&self) -> Vec<HotId> {
        std::mem::take(&mut self.today.lock().unwrap_or_else(PoisonError::into_inner).alarms)
    }

    /// The ids that have too many events today, the heaviest first.
    pub fn hot(&self) -> Vec<HotId> {
        let today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hot: Vec<HotId> = today.hot.values().cloned().collect();
        hot.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.id.cmp(&b.id)));
        hot
    }
}

impl Today {
    fn forget_the_lightest(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().map(|count| count.count).collect();
        let (_, least, _) = counts.select_nth_unstable_by(KEPT, |a, b| b.cmp(a));
        let least = *least;
        self.floor = self.floor.max(least);
        // Strictly more, so that ids of one event each do not all stay.
        self.counts.retain(|_, count| count.count > least);
    }
}

/// Finds the id that Mixpanel will see.
#[derive(Debug)]
pub(crate) struct IdOf {
    paths: [PathId; 4],
}

impl IdOf {
    pub(crate) fn new(watch: &mut Watch) -> IdOf {
        let paths = [
            "$.userId",
            "$.anonymousId",
            "$.properties.distinct_id",
            "$.xdm.identityMap.ECID[0].id",
        ];
        IdOf { paths: paths.map(|path| watch.look_at(path)) }
    }

    pub(crate) fn of<'a>(
        &self,
        finds: &Finds,
        body: &'a [u8],
    ) -> Option<std::borrow::Cow<'a, str>> {
        self.paths.iter().find_map(|path| finds.id(*path, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_alarmed_once_at_each_mark_and_every_day_anew() {
        let hot = HotIds::new(3);
        let at = |day: i64| UnixMillis(day * DAY + 5);
        let count = |id: &str, day| hot.count(id, at(day), || format!("<{id}>"));
        assert_eq!([count("a", 1), count("a", 1), count("b", 1)], [None, None, None]);
        assert_eq!([count("a", 1), count("a", 1)], [Some(3), Some(4)]);
        assert_eq!(hot.take_alarms(), [HotId { id: "<a>".to_owned(), events: 3 }]);
        assert_eq!(hot.take_alarms(), []);
        assert_eq!(hot.hot(), [HotId { id: "<a>".to_owned(), events: 4 }]);
        assert_eq!(count("a", 2), None);
        assert_eq!(hot.hot(), []);
        // The clock went back: still the newer day.
        assert_eq!([count("a", 1), count("a", 1)], [None, Some(3)]);
        for _ in 3..MIXPANEL_LIMIT {
            count("a", 2);
        }
        let alarms: Vec<u64> = hot.take_alarms().iter().map(|alarm| alarm.events).collect();
        assert_eq!(alarms, [3, MIXPANEL_LIMIT]);
    }

    #[test]
    fn heavy_ids_are_found_among_very_many_in_bounded_memory() {
        let hot = HotIds::new(1_000);
        for round in 0..100_000 {
            hot.count(&format!("light {round}"), UnixMillis(0), String::new);
            if round % 50 == 0 {
                hot.count("heavy", UnixMillis(0), || "heavy".to_owned());
            }
        }
        assert!(hot.today.lock().unwrap().counts.len() < 2 * KEPT);
        let found = hot.hot();
        assert_eq!(found.len(), 1);
        assert!((1_000..=2_000).contains(&found[0].events), "{found:?}");
    }
}
