//! The part of the simulated world that is about items set aside: what the quarantine must hold, and
//! feeding it again.

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::disposition::FilterReason;
use millrace_model::event::{Batch, Filtered, Item, SetAside};
use millrace_model::id::{Position, Seq};
use millrace_model::passage::Origin;
use proptest::prelude::*;

use super::consenting::passage;
use super::{PIPELINES, World, event};
use crate::journal::quarantine::HeldQuery;
use crate::journal::refeed::RefeedError;

/// The cap: so low that it is met.
pub(super) const MOST_HELD: usize = 12;

/// What an item is made into when it is fed again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Becomes {
    Event(u32),
    Aside(u8),
    Filtered(u32),
    /// Two items of one.
    Both(u32, u8),
}

pub(super) fn becomes() -> impl Strategy<Value = Becomes> {
    prop_oneof![
        (0..80_u32).prop_map(Becomes::Event),
        (0..30_u8).prop_map(Becomes::Aside),
        (0..80_u32).prop_map(Becomes::Filtered),
        (0..80_u32, 0..30_u8).prop_map(|(id, number)| Becomes::Both(id, number)),
    ]
}

pub(super) fn aside(number: u8, code: Code) -> Item {
    let body = vec![b'!'; usize::from(number) + 1];
    let full_length = body.len() as u64;
    let reason = "not an object".to_owned();
    let body = Bytes::from(body);
    Item::SetAside(SetAside { origin: Origin::Spec, kind: None, code, reason, body, full_length })
}

pub(super) fn filtered(number: u32) -> Item {
    let (rule, consent) = ("a rule".to_owned(), passage(number).consent);
    Item::Filtered(Filtered { reason: FilterReason::Bot, rule, full_length: 55, consent })
}

/// What stands for an item among the known ids: above those of events.
fn number_of(item: &Item) -> Option<u32> {
    match item {
        Item::Event(event) => u32::try_from(event.body_hash).ok(),
        Item::SetAside(aside) => {
            let again = if aside.code == Code::NotAnObject { 1000 } else { 2000 };
            u32::try_from(aside.body.len()).ok().map(|length| again + length)
        }
        Item::Duplicate(_) | Item::Filtered(_) => None,
    }
}

impl World {
    /// True for a repetition; else the item is known from now on.
    pub(super) fn is_known(&mut self, pipeline: usize, item: &Item, at: i64) -> bool {
        let Some(number) = number_of(item) else { return false };
        let first = self.known.get(&(pipeline, number)).copied();
        let known = first.is_some_and(|first| at - first <= 24 * 3600);
        if !known {
            self.known.insert((pipeline, number), at);
        }
        known
    }

    pub(super) fn hold(&mut self, position: Position, pipeline: usize) {
        self.held.insert(position, pipeline);
        if self.held.len() > MOST_HELD {
            self.held.pop_first();
        }
    }

    /// The former run of an item is no more.
    pub(super) fn release(&mut self, position: Position, pipeline: usize) {
        self.held.remove(&position);
        let [all, _, asides, _] = self.counted.entry(pipeline).or_default();
        *all -= 1;
        *asides -= 1;
    }

    /// What was dropped with its segment is held no more.
    pub(super) fn expire(&mut self) {
        use millrace_log::LogStore as _;
        let first = self.core().log.first();
        self.held.retain(|position, _| position.seq >= first);
    }

    pub(super) fn refeed(&mut self, pick: usize, becomes: Becomes) {
        let held: Vec<_> = self.held.iter().map(|(at, pipeline)| (*at, *pipeline)).collect();
        let Some((position, pipeline)) = held.get(pick % held.len().max(1)).copied() else {
            let nowhere = Position { seq: Seq(1), index: 90 };
            let batch = self.batch(0, vec![filtered(1)]);
            assert_eq!(self.core().refeed(nowhere, &batch), Err(RefeedError::NotHeld(nowhere)));
            return;
        };
        let items = match becomes {
            Becomes::Event(id) => vec![event(pipeline, id)],
            Becomes::Aside(number) => vec![aside(number, Code::UnknownType)],
            Becomes::Filtered(number) => vec![filtered(number)],
            Becomes::Both(id, number) => {
                vec![event(pipeline, id), aside(number, Code::UnknownType)]
            }
        };
        let held = self.core().held_at(position).unwrap();
        let batch = Batch { received_at: held.received_at, ..self.batch(pipeline, items) };
        let twice = self.group.iter().any(|(.., former)| *former == Some(position));
        match self.core().refeed(position, &batch) {
            Ok(admitted) => {
                assert!(!twice, "an item is fed again once");
                assert_eq!(admitted.duplicates, 0, "nothing in it is a duplicate");
                self.group.push((admitted.seq, pipeline, batch, Some(position)));
            }
            Err(error) => assert!(twice && error == RefeedError::NotHeld(position), "{error}"),
        }
    }

    fn batch(&self, pipeline: usize, items: Vec<Item>) -> Batch {
        use millrace_model::time::Clock as _;
        let received_at = self.clock.now();
        Batch { pipeline: PIPELINES[pipeline].parse().unwrap(), received_at, items }
    }

    /// The quarantine is what it must be, after a restart as before.
    pub(super) fn check_held(&mut self) {
        let query = HeldQuery { limit: 1000, oldest_first: true, ..HeldQuery::default() };
        let page = self.core().held(&query);
        let held: Vec<_> =
            page.items.iter().map(|held| (held.position, held.pipeline.as_str())).collect();
        let wanted: Vec<_> = self.held.iter().map(|(at, p)| (*at, PIPELINES[*p])).collect();
        assert_eq!(held, wanted, "what the quarantine holds");
    }
}

#[test]
fn an_item_is_counted_once_however_often_it_is_fed() {
    let mut world = World::new(1);
    world.admit_all(0, &[1], &[3, 4], 1);
    world.admit_all(2, &[1], &[3], 0);
    assert!(!world.commit());
    world.check();
    // A resend of what was set aside fills nothing.
    world.admit_all(0, &[], &[3, 4], 0);
    assert!(!world.commit());
    world.check();
    assert_eq!((world.held.len(), world.counted[&0]), (3, [6, 2, 2, 1]));
    for (pick, becomes) in [
        (0, Becomes::Aside(9)),
        // The known id of an event does not make a duplicate of what is fed again.
        (0, Becomes::Event(1)),
        (0, Becomes::Event(70)),
        (0, Becomes::Both(71, 8)),
    ] {
        world.refeed(pick, becomes);
        // Not twice in one group.
        world.refeed(pick, becomes);
        assert!(!world.commit());
        world.check();
        world.disk.crash();
        world.reopen(false);
        world.check();
    }
    // The id of what was fed again is known.
    world.admit_all(2, &[70], &[], 0);
    assert!(!world.commit());
    world.check();
}

#[test]
fn a_flood_of_bad_items_pins_no_memory_and_no_disk() {
    use millrace_log::LogStore as _;
    let mut world = World::new(1);
    for round in 0..60_u64 {
        world.clock.advance(std::time::Duration::from_secs(25 * 3600));
        world.admit_all(0, &[], &[1, 2, 3], 0);
        assert!(!world.commit());
        world.check();
        assert_eq!(world.held.len(), MOST_HELD.min(usize::try_from(round + 1).unwrap() * 3));
    }
    assert!(world.core().log.first() > Seq(1), "segments end with the retention");
    let page = world.core().held(&HeldQuery { limit: 5, ..HeldQuery::default() });
    let dropped: u64 = page.dropped.iter().map(|(.., count)| count).sum();
    assert!(dropped > 0 && page.items.len() == 5 && page.more, "{page:?}");
}
