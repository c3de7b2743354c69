//! The journal against an oracle that only remembers what was acknowledged, on a disk that loses,
//! tears and fails. The law: every acknowledged item is in the ledger once; what is open after a
//! restart is what was acknowledged and not closed by a commit; ids are known across crashes; and
//! the ledger equals a recount of the log. An item that was set aside is held until it is fed again
//! or makes room, and is counted once however often it is fed.

mod consenting;
mod feeding;
mod situations;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::{LogOptions, LogStore, SegmentLog};
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::id::{PipelineId, Position, Seq};
use millrace_model::intake::AdmitError;
use millrace_model::record::decode_batch;
use millrace_model::time::{Clock, ManualClock, UnixMillis};
use millrace_testkit::sim_disk::{Fault, SimDisk};
use proptest::prelude::*;

use crate::journal::consents::KnownConsents;
use crate::journal::core::JournalCore;
use crate::journal::options::{JournalOptions, QuarantineOptions};
use crate::journal::refeed::batch_of;
use crate::journal::types::{Closed, JournalError};

use feeding::{Becomes, MOST_HELD, aside, becomes, filtered};

type Core = JournalCore<SegmentLog<SimDisk>>;

const PIPELINES: [&str; 3] = ["web", "app", "lonely"];
const INTEGRATIONS: [(&str, &str); 3] = [("one", "web"), ("two", "web"), ("three", "app")];

#[derive(Clone, Debug)]
enum Action {
    Admit { pipeline: usize, ids: Vec<u32>, asides: Vec<u8>, filtered: usize },
    Refeed { pick: usize, becomes: Becomes },
    Close { track: usize, skip: usize, count: usize, state: u8, again: bool },
    Sending { track: usize, skip: usize, count: usize },
    Commit,
    Reopen,
    Crash,
    Fail { fault: Fault, after: u32, crash: bool },
    Fill { room: u64 },
    MakeRoom,
    Wait { hours: u64 },
    Tidy,
}

fn action() -> impl Strategy<Value = Action> {
    let fault = prop_oneof![Just(Fault::Write), Just(Fault::Sync), Just(Fault::SyncDir)];
    let ids = proptest::collection::vec(0..60_u32, 0..7);
    prop_oneof![
        8 => (0..3_usize, ids, proptest::collection::vec(0..30_u8, 0..4), 0..2_usize).prop_map(
            |(pipeline, ids, asides, filtered)| Action::Admit { pipeline, ids, asides, filtered }
        ),
        4 => (0..20_usize, becomes())
            .prop_map(|(pick, becomes)| Action::Refeed { pick, becomes }),
        6 => (0..3_usize, 0..8_usize, 0..20_usize, 0..6_u8, any::<bool>()).prop_map(
            |(track, skip, count, state, again)| Action::Close { track, skip, count, state, again }
        ),
        3 => (0..3_usize, 0..8_usize, 0..20_usize)
            .prop_map(|(track, skip, count)| Action::Sending { track, skip, count }),
        6 => Just(Action::Commit),
        1 => Just(Action::Reopen),
        2 => Just(Action::Crash),
        1 => (fault, 0..3_u32, any::<bool>())
            .prop_map(|(fault, after, crash)| Action::Fail { fault, after, crash }),
        1 => (0..3000_u64).prop_map(|room| Action::Fill { room }),
        1 => Just(Action::MakeRoom),
        1 => (1..100_u64).prop_map(|hours| Action::Wait { hours }),
        1 => Just(Action::Tidy),
    ]
}

/// What the oracle knows of one integration.
#[derive(Default)]
struct Expected {
    open: BTreeSet<Position>,
    sent: BTreeSet<Position>,
    ended: BTreeMap<Disposition, u64>,
    /// What waits for a commit.
    closing: BTreeMap<Position, Disposition>,
    sending: BTreeSet<Position>,
}

struct World {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    core: Option<Core>,
    tracks: Vec<Expected>,
    /// Items that were acknowledged, by pipeline: all, duplicates, put aside, filtered.
    counted: BTreeMap<usize, [u64; 4]>,
    /// When an id of a pipeline was first accepted.
    known: BTreeMap<(usize, u32), i64>,
    /// What the quarantine holds, with its pipeline.
    held: BTreeMap<Position, usize>,
    /// What was said about consent.
    heard: KnownConsents,
    /// The batches of the open group, with the item whose place one takes.
    group: Vec<(Seq, usize, Batch, Option<Position>)>,
}

fn log_options() -> LogOptions {
    LogOptions {
        segment_bytes: 3000,
        cache_bytes: 1000,
        entropy: Arc::new(SeededEntropy::new(3)),
        ..LogOptions::default()
    }
}

fn event(pipeline: usize, id: u32) -> Item {
    let name: PipelineId = PIPELINES[pipeline].parse().unwrap();
    let message_id = format!("message-{id}");
    Item::Event(Event {
        kind: EventKind::Track,
        dedupe_key: DedupeKey::new(&name, &message_id),
        facts: Facts {
            message_id,
            time: UnixMillis(0),
            time_source: TimeSource::Client,
            client_ip: None,
        },
        passage: consenting::passage(id),
        body_hash: u64::from(id),
        body: Bytes::from(vec![b'x'; 20 + id as usize * 3]),
    })
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            disk: SimDisk::new(seed),
            clock: Arc::new(ManualClock::at(UnixMillis(1_700_000_000_000))),
            core: None,
            tracks: INTEGRATIONS.iter().map(|_| Expected::default()).collect(),
            counted: BTreeMap::new(),
            known: BTreeMap::new(),
            held: BTreeMap::new(),
            heard: KnownConsents::default(),
            group: Vec::new(),
        };
        world.core = Some(world.open(&INTEGRATIONS, &[]).unwrap());
        world
    }

    fn open(&self, wanted: &[(&str, &str)], forget: &[&str]) -> Result<Core, JournalError> {
        let options = JournalOptions {
            checkpoint_bytes: 2000,
            reserve_bytes: 1000,
            quarantine: QuarantineOptions { entries: MOST_HELD, bytes: 1 << 20 },
            integrations: wanted
                .iter()
                .map(|(name, pipeline)| (name.parse().unwrap(), pipeline.parse().unwrap()))
                .collect(),
            forget: forget.iter().map(|name| name.parse().unwrap()).collect(),
            ..JournalOptions::default()
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (log, _) = SegmentLog::open(self.disk.handle(), log_options(), Arc::clone(&clock))?;
        JournalCore::open(log, options, clock)
    }

    fn core(&mut self) -> &mut Core {
        self.core.as_mut().unwrap()
    }

    fn admit(&mut self, pipeline: usize, ids: &[u32], aside: bool) {
        self.admit_all(pipeline, ids, if aside { &[0] } else { &[] }, 0);
    }

    fn admit_all(&mut self, pipeline: usize, ids: &[u32], asides: &[u8], filtered: usize) {
        let mut items: Vec<Item> = ids.iter().map(|id| event(pipeline, *id)).collect();
        for number in asides {
            items.insert(items.len() / 2, aside(*number, Code::NotAnObject));
        }
        // What is refused at the door has still said something.
        let first = ids.first().copied().unwrap_or_default();
        items.extend((0..filtered).map(|at| self::filtered(first + u32::try_from(at).unwrap())));
        let received_at = self.clock.now();
        let batch = Batch { pipeline: PIPELINES[pipeline].parse().unwrap(), received_at, items };
        let admitted = self.core().admit(batch.clone()).unwrap();
        assert_eq!(
            admitted.events + admitted.duplicates + admitted.set_aside,
            u32::try_from(batch.items.len() - filtered).unwrap()
        );
        self.group.push((admitted.seq, pipeline, batch, None));
    }

    /// Takes a durable batch into the oracle.
    fn acknowledge(&mut self, seq: Seq, pipeline: usize, batch: &Batch, former: Option<Position>) {
        let at = batch.received_at.0 / 1000;
        if let Some(former) = former {
            self.release(former, pipeline);
        }
        let mut repeated = Vec::new();
        for (item, index) in batch.items.iter().zip(0_u32..) {
            let known = self.is_known(pipeline, item, at);
            let [all, duplicates, asides, filtered] = self.counted.entry(pipeline).or_default();
            *all += 1;
            if known && former.is_none() {
                *duplicates += 1;
                repeated.push(index as usize);
                continue;
            }
            if let Item::SetAside(_) = item {
                *asides += 1;
                self.hold(Position { seq, index }, pipeline);
                continue;
            }
            let Item::Event(_) = item else {
                *filtered += 1;
                continue;
            };
            for (track, (_, name)) in self.tracks.iter_mut().zip(INTEGRATIONS) {
                if name == PIPELINES[pipeline] {
                    track.open.insert(Position { seq, index });
                }
            }
        }
        self.hear(seq, batch, &repeated, former.is_some());
    }

    /// Takes durable closes and sendings into the oracle.
    fn settle(&mut self) {
        for track in &mut self.tracks {
            for position in std::mem::take(&mut track.sending) {
                if track.open.contains(&position) {
                    track.sent.insert(position);
                }
            }
            for (position, state) in std::mem::take(&mut track.closing) {
                if track.open.remove(&position) {
                    *track.ended.entry(state).or_default() += 1;
                }
                track.sent.remove(&position);
            }
        }
    }

    /// Commits; true when poisoned.
    fn commit(&mut self) -> bool {
        let result = self.core().commit();
        let group = std::mem::take(&mut self.group);
        match result {
            Ok(()) => {
                for (seq, pipeline, batch, former) in group {
                    self.acknowledge(seq, pipeline, &batch, former);
                }
                self.expire();
                self.settle();
                false
            }
            Err(AdmitError::DiskFull { .. }) => {
                if !self.core().has_progress() {
                    self.settle();
                }
                false
            }
            Err(AdmitError::Poisoned) => {
                self.group = group;
                true
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn pick(&self, track: usize, skip: usize, count: usize) -> Vec<Position> {
        self.tracks[track].open.iter().skip(skip).take(count).copied().collect()
    }

    fn close(&mut self, track: usize, skip: usize, count: usize, state: u8, again: bool) {
        let state = [
            Disposition::Delivered,
            Disposition::Delivered,
            Disposition::Delivered,
            Disposition::Filtered,
            Disposition::Rejected,
            Disposition::SetAside,
        ][usize::from(state)];
        let code = (state != Disposition::Delivered).then_some("why".into());
        let mut positions = self.pick(track, skip, count);
        positions.retain(|position| !self.tracks[track].closing.contains_key(position));
        for position in &positions {
            self.tracks[track].closing.insert(*position, state);
        }
        if again {
            // What is not open any more, or never was, changes nothing.
            positions.push(Position { seq: Seq(1), index: 0 });
            positions.push(Position { seq: Seq(u64::MAX), index: 7 });
        }
        let closed = positions.into_iter().map(|position| Closed {
            position,
            state,
            code: code.clone(),
            detail: None,
            rows: 1,
            resent: false,
        });
        let closed = closed.collect();
        self.core().close(track, closed);
    }

    /// Opens again. After a failed commit its records may be there or not: what the log holds
    /// decides, but only in the order in which they were written.
    fn reopen(&mut self, doubtful: bool) {
        self.core = None;
        // A start that finds no room for its checkpoint is fine; one that fails is not.
        self.core = Some(self.open(&INTEGRATIONS, &[]).unwrap());
        let group = std::mem::take(&mut self.group);
        if !doubtful {
            for track in &mut self.tracks {
                track.closing.clear();
                track.sending.clear();
            }
            return;
        }
        for (seq, pipeline, batch, former) in group {
            let entries = self.core().log.read(seq, 0).unwrap();
            let stored = entries.first().and_then(|entry| batch_of(entry).unwrap());
            let there = stored.is_some_and(|(stored, before)| {
                stored.items.len() == batch.items.len() && before.map(|b| b.position) == former
            });
            if there {
                self.acknowledge(seq, pipeline, &batch, former);
            }
        }
        for at in 0..self.tracks.len() {
            let (open, sent) = self.actually_open(at);
            let track = &mut self.tracks[at];
            track.closing.retain(|position, _| !open.contains(position));
            track.sending.retain(|position| sent.contains(position));
        }
        self.settle();
    }

    fn actually_open(&mut self, track: usize) -> (BTreeSet<Position>, BTreeSet<Position>) {
        let (mut open, mut sent, mut from) = (BTreeSet::new(), BTreeSet::new(), Seq(0));
        loop {
            let (batches, next) = self.core().read_open(track, from, 700).unwrap();
            if batches.is_empty() {
                return (open, sent);
            }
            from = next;
            for raw in batches {
                let batch = decode_batch(raw.payload).unwrap();
                let all = || {
                    let items = batch.items.iter().zip(0_u32..);
                    items
                        .filter(|(item, _)| matches!(item, Item::Event(_)))
                        .map(|(_, i)| i)
                        .collect()
                };
                let at = |index| Position { seq: raw.seq, index };
                open.extend(raw.open.unwrap_or_else(all).into_iter().map(at));
                sent.extend(raw.perhaps_sent.into_iter().map(at));
            }
        }
    }

    /// The law.
    fn check(&mut self) {
        for (at, (name, pipeline)) in INTEGRATIONS.into_iter().enumerate() {
            let (open, sent) = self.actually_open(at);
            assert_eq!(open, self.tracks[at].open, "open events of {name}");
            assert_eq!(sent, self.tracks[at].sent, "events of {name} that are perhaps sent");
            let number = PIPELINES.iter().position(|known| *known == pipeline).unwrap();
            let counted = self.counted.get(&number).copied().unwrap_or_default();
            let [all, duplicates, asides, filtered] = counted;
            let core = self.core.as_ref().unwrap();
            let sums = core.ledger(&core.tracks[at]);
            let ended = |state| self.tracks[at].ended.get(&state).copied().unwrap_or_default();
            assert_eq!(sums.unaccounted(), 0);
            assert_eq!(sums.received.events, all);
            assert_eq!(sums.duplicates.events, duplicates);
            assert_eq!(sums.set_aside.events, asides + ended(Disposition::SetAside));
            assert_eq!(sums.delivered.events, ended(Disposition::Delivered));
            assert_eq!(sums.filtered.events, filtered + ended(Disposition::Filtered));
            assert_eq!(sums.rejected.events, ended(Disposition::Rejected));
            assert_eq!(sums.pending.events, open.len() as u64);
        }
        let [all, ..] = self.counted.get(&2).copied().unwrap_or_default();
        let lonely = self.core().unrouted.get(&PIPELINES[2].parse().unwrap()).cloned();
        let sums = lonely.unwrap_or_default().sums().clone();
        assert_eq!((sums.received.events, sums.unaccounted()), (all, 0));
        let verified = self.core().verify().unwrap();
        assert_eq!(verified.differences, Vec::<String>::new());
        self.check_held();
        self.check_consents();
    }

    fn step(&mut self, action: &Action) {
        match action {
            Action::Admit { pipeline, ids, asides, filtered } => {
                self.admit_all(*pipeline, ids, asides, *filtered);
            }
            Action::Refeed { pick, becomes } => self.refeed(*pick, *becomes),
            Action::Close { track, skip, count, state, again } => {
                self.close(*track, *skip, *count, *state, *again);
            }
            Action::Sending { track, skip, count } => {
                let events = self.pick(*track, *skip, *count);
                self.core().sending(*track, &events);
                self.tracks[*track].sending.extend(events);
            }
            Action::Commit => {
                assert!(!self.commit());
                self.check();
            }
            Action::Reopen => {
                self.reopen(false);
                self.check();
            }
            Action::Crash => {
                self.disk.crash();
                self.reopen(false);
                self.check();
            }
            Action::Fail { fault, after, crash } => {
                self.disk.fail(*fault, *after);
                let mut poisoned = false;
                for id in 0..3 {
                    if !poisoned {
                        self.admit(0, &[100 + id], true);
                        poisoned = self.commit();
                    }
                }
                self.disk.clear_faults();
                if *crash {
                    self.disk.crash();
                }
                self.reopen(poisoned);
                self.check();
            }
            Action::Fill { room } => self.disk.set_capacity(self.disk.used_bytes() + room),
            Action::MakeRoom => self.disk.set_capacity(u64::MAX),
            Action::Tidy => {
                // The writer tidies only when no group is open.
                assert!(!self.commit());
                self.core().tidy();
                self.expire();
                self.check();
            }
            Action::Wait { hours } => self.clock.advance(Duration::from_secs(hours * 3600)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_ledger_adds_up_whatever_the_disk_does(
        seed in any::<u64>(),
        actions in proptest::collection::vec(action(), 1..80),
    ) {
        let mut world = World::new(seed);
        for action in &actions {
            world.step(action);
        }
        world.disk.set_capacity(u64::MAX);
        world.disk.crash();
        world.reopen(false);
        world.check();
    }
}
