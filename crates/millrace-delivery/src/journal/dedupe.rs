//! The message ids of the last hours, to tell a repeated event from a new one (DESIGN 9.5).
//!
//! Ids are kept in five generations. When the newest has its share of the cap or of the window, the
//! oldest is dropped as a whole; within a generation the time of receipt decides exactly. What the
//! open group has added can be taken back, so that a refused batch may come again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use millrace_model::event::{Batch, DedupeKey, Item};
use millrace_model::time::UnixMillis;

/// More generations are dropped in smaller steps and make every look-up slower. Five of 200,000 ids
/// each, the default cap, just fit tables of 2^18 slots: four would need twice the memory.
const GENERATIONS: usize = 5;

/// What is known of the first event with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) key: DedupeKey,
    /// The low half of the hash of its body.
    pub(super) body: u32,
    /// The second of its receipt.
    pub(super) at: u32,
}

impl First {
    pub(super) fn new(key: DedupeKey, body_hash: u64, at: UnixMillis) -> First {
        First { key, body: body_hash as u32, at: seconds(at) }
    }

    /// What is known of an item of a batch, if it can have repetitions: of an event by its id, of
    /// an item set aside by its bytes.
    pub(super) fn of(batch: &Batch, item: &Item) -> Option<First> {
        match item {
            Item::Event(event) => {
                Some(First::new(event.dedupe_key, event.body_hash, batch.received_at))
            }
            Item::SetAside(aside) => {
                let key = DedupeKey::of_set_aside(&batch.pipeline, aside)?;
                Some(First::new(key, 0, batch.received_at))
            }
            Item::Duplicate(_) | Item::Filtered(_) => None,
        }
    }
}

fn seconds(at: UnixMillis) -> u32 {
    u32::try_from(at.0.div_euclid(1000).max(0)).unwrap_or(u32::MAX)
}

type Generation = HashMap<[u64; 2], (u32, u32), RandomState>;

/// The ids that are remembered.
#[derive(Debug)]
pub(super) struct Dedupe {
    /// Newest first.
    generations: VecDeque<Generation>,
    /// The second at which the newest generation began.
    began: u32,
    window: u32,
    share: usize,
    /// What the open group has added.
    open: Vec<First>,
}

fn halves(key: DedupeKey) -> [u64; 2] {
    [key.0 as u64, (key.0 >> 64) as u64]
}

impl Dedupe {
    pub(super) fn new(window: Duration, cap: usize) -> Dedupe {
        Dedupe {
            generations: VecDeque::from([Generation::default()]),
            began: 0,
            window: u32::try_from(window.as_secs()).unwrap_or(u32::MAX),
            share: (cap / GENERATIONS).max(1),
            open: Vec::new(),
        }
    }

    /// True in the value when the body differs: the event is a repetition. None when it is the
    /// first one, which is remembered now.
    pub(super) fn check(&mut self, event: First) -> Option<bool> {
        let key = halves(event.key);
        for generation in &self.generations {
            if let Some((body, at)) = generation.get(&key)
                && event.at.saturating_sub(*at) <= self.window
            {
                return Some(*body != event.body);
            }
        }
        self.open.push(event);
        self.remember(event);
        None
    }

    /// Remembers an event that is in the log.
    pub(super) fn remember(&mut self, event: First) {
        if let Some(newest) = self.generations.front_mut() {
            let known = newest.entry(halves(event.key)).or_insert((event.body, event.at));
            // One that was fed again keeps its old time of receipt, and another may be younger.
            if known.1 < event.at {
                *known = (event.body, event.at);
            }
        }
    }

    /// What the open group has added, which stays now.
    pub(super) fn commit(&mut self) -> Vec<First> {
        std::mem::take(&mut self.open)
    }

    /// How much the open group has added so far.
    pub(super) fn mark(&self) -> usize {
        self.open.len()
    }

    /// Takes back what the open group has added since a mark; 0 for all of it.
    pub(super) fn rollback(&mut self, mark: usize) {
        for event in self.open.drain(mark.min(self.open.len())..) {
            if let Some(newest) = self.generations.front_mut() {
                newest.remove(&halves(event.key));
            }
        }
    }

    /// Begins a new generation when it is time. Not while a group is open.
    pub(super) fn turn(&mut self, now: UnixMillis) {
        let (now, length) = (seconds(now), self.generations.front().map_or(0, HashMap::len));
        let span = (self.window / (GENERATIONS as u32 - 1)).max(1);
        if length >= self.share || (length > 0 && now.saturating_sub(self.began) > span) {
            self.generations.push_front(Generation::default());
            self.generations.truncate(GENERATIONS);
            self.began = now;
        } else if length == 0 {
            self.began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: u128, body: u64, second: i64) -> First {
        First::new(DedupeKey(key), body, UnixMillis(second * 1000))
    }

    #[test]
    fn the_first_wins_within_the_window_and_a_differing_body_is_told() {
        let mut dedupe = Dedupe::new(Duration::from_secs(100), 1000);
        assert_eq!(dedupe.check(event(1, 7, 10)), None);
        assert_eq!(dedupe.check(event(1, 7, 110)), Some(false));
        assert_eq!(dedupe.check(event(1, 8, 20)), Some(true));
        assert_eq!(dedupe.check(event(1, 7, 111)), None, "too late to be a repetition");
    }

    #[test]
    fn what_a_group_added_can_be_taken_back() {
        let mut dedupe = Dedupe::new(Duration::from_secs(100), 1000);
        assert_eq!(dedupe.check(event(1, 7, 10)), None);
        assert_eq!(dedupe.commit().len(), 1);
        assert_eq!(dedupe.check(event(2, 7, 10)), None);
        dedupe.rollback(0);
        assert_eq!(dedupe.check(event(2, 7, 10)), None);
        assert_eq!(dedupe.check(event(1, 7, 10)), Some(false));
    }

    #[test]
    fn the_cap_drops_the_oldest() {
        let mut dedupe = Dedupe::new(Duration::from_secs(100_000), 40);
        for key in 0..200_u128 {
            dedupe.turn(UnixMillis(1000));
            assert_eq!(dedupe.check(event(key, 1, 1)), None);
            dedupe.commit();
            let held: usize = dedupe.generations.iter().map(HashMap::len).sum();
            assert!(held <= 40, "{held}");
        }
        assert_eq!(dedupe.check(event(199, 1, 1)), Some(false));
        assert_eq!(dedupe.check(event(180, 1, 1)), Some(false));
    }
}
