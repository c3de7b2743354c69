//! A data folder that was written before events had a passage: every record and every index in its
//! first version, as that code wrote it, is opened and gone on with.

use std::sync::Arc;
use std::time::Duration;

use millrace_log::{Entry, LogStore, SegmentLog};
use millrace_model::event::{Batch, Item};
use millrace_model::id::Seq;
use millrace_model::record::{decode_batch, put_bytes, put_varint};
use millrace_model::time::Clock;
use millrace_testkit::sim_disk::SimDisk;

use super::{PIPELINES, World, log_options};
use crate::journal::checkpoint;
use crate::journal::core::{KIND_BATCH, KIND_CHECKPOINT, KIND_PROGRESS};
use crate::journal::index::Pipelines;

/// A batch as version 1 wrote it. The test's events are tracks with a time of their own.
fn old_batch(batch: &Batch) -> Vec<u8> {
    let mut out = vec![1];
    put_bytes(&mut out, batch.pipeline.as_str().as_bytes());
    out.extend_from_slice(&batch.received_at.0.to_le_bytes());
    put_varint(&mut out, batch.items.len() as u64);
    for item in &batch.items {
        match item {
            Item::Event(event) => {
                out.extend_from_slice(&[0, 0, 0, 0]);
                out.extend_from_slice(&event.facts.time.0.to_le_bytes());
                out.extend_from_slice(&event.dedupe_key.0.to_le_bytes());
                out.extend_from_slice(&event.body_hash.to_le_bytes());
                put_bytes(&mut out, event.facts.message_id.as_bytes());
                put_bytes(&mut out, &event.body);
            }
            Item::SetAside(aside) => {
                out.push(1);
                put_bytes(&mut out, aside.code.as_str().as_bytes());
                put_bytes(&mut out, aside.reason.as_bytes());
                put_varint(&mut out, aside.full_length);
                put_bytes(&mut out, &aside.body);
            }
            Item::Duplicate(duplicate) => {
                out.extend_from_slice(&[2, u8::from(duplicate.differs)]);
                put_bytes(&mut out, duplicate.message_id.as_bytes());
            }
            Item::Filtered(_) => panic!("there were none"),
        }
    }
    out
}

/// A record as it was written before.
fn old_record(entry: &Entry) -> Vec<u8> {
    match entry.kind {
        KIND_BATCH => old_batch(&decode_batch(entry.payload.clone()).unwrap()),
        KIND_CHECKPOINT => {
            let read = checkpoint::decode(entry.payload.clone(), &mut Pipelines::default());
            let since = read.unwrap().quarantine.unwrap().len();
            let mut old = entry.payload[..entry.payload.len() - since].to_vec();
            old[0] = 1;
            old
        }
        KIND_PROGRESS => entry.payload.to_vec(),
        kind => panic!("there was no record of kind {kind}"),
    }
}

/// The index of some records as version 1 wrote it.
fn old_index(entries: &[&Entry]) -> Vec<u8> {
    let batches = entries.iter().filter(|entry| entry.kind == KIND_BATCH);
    let batches: Vec<(Seq, Batch)> =
        batches.map(|entry| (entry.seq, decode_batch(entry.payload.clone()).unwrap())).collect();
    let mut out = vec![1];
    put_varint(&mut out, 3);
    for name in PIPELINES {
        put_bytes(&mut out, name.as_bytes());
    }
    put_varint(&mut out, batches.len() as u64);
    let (mut before, mut keys, mut count) = (0, Vec::new(), 0);
    for (seq, batch) in &batches {
        put_varint(&mut out, seq.0 - before);
        before = seq.0;
        let pipeline = PIPELINES.iter().position(|name| *name == batch.pipeline.as_str());
        put_varint(&mut out, pipeline.unwrap() as u64);
        out.extend_from_slice(&batch.received_at.minute().to_le_bytes());
        let (mut events, mut bytes) = (0, 0);
        for item in &batch.items {
            let Item::Event(event) = item else { continue };
            events += 1;
            bytes += event.body.len() as u64;
            keys.extend_from_slice(&event.dedupe_key.0.to_le_bytes());
            keys.extend_from_slice(&(event.body_hash as u32).to_le_bytes());
            let second = u32::try_from(batch.received_at.0 / 1000).unwrap();
            keys.extend_from_slice(&second.to_le_bytes());
        }
        put_varint(&mut out, events);
        put_varint(&mut out, bytes);
        count += events;
    }
    put_varint(&mut out, count);
    out.extend(keys);
    out
}

#[test]
fn a_folder_of_the_first_version_opens_and_nothing_is_lost() {
    let mut world = World::new(1);
    // Ids that say nothing about consent, since nothing was said then.
    for round in 0..12_u32 {
        let ids: Vec<u32> = (0..4).map(|at| (round * 2 + at) * 4).collect();
        let aside = [u8::try_from(round).unwrap()];
        world.admit_all(round as usize % 3, &ids, if round < 10 { &aside } else { &[] }, 0);
        assert!(!world.commit());
        world.close(round as usize % 3, 1, 2, u8::try_from(round % 6).unwrap(), false);
        assert!(!world.commit());
        world.clock.advance(Duration::from_secs(60));
    }
    world.check();
    let end = world.core().log.next();
    let mut entries = Vec::new();
    while entries.last().is_none_or(|last: &Entry| last.seq.next() < end) {
        let from = entries.last().map_or(Seq(1), |last: &Entry| last.seq.next());
        entries.extend(world.core().log.read(from, 1 << 20).unwrap());
    }

    let disk = SimDisk::new(2);
    let clock: Arc<dyn Clock> = world.clock.clone();
    let (mut log, _) = SegmentLog::open(disk.handle(), log_options(), clock).unwrap();
    for entry in &entries {
        let old = old_record(entry);
        let seq = log.append_with(entry.kind, &mut |out| out.extend_from_slice(&old)).unwrap();
        assert_eq!(seq, entry.seq);
        log.commit().unwrap();
    }
    let segments = log.stats().segments;
    assert!(segments.len() > 2, "several segments");
    for pair in segments.windows(2) {
        let span = pair[0].base..pair[1].base;
        let inside: Vec<&Entry> = entries.iter().filter(|one| span.contains(&one.seq)).collect();
        log.write_side(pair[0].base, &old_index(&inside)).unwrap();
    }
    drop(log);

    world.core = None;
    world.disk = disk;
    world.reopen(false);
    // There was no quarantine: what was set aside before the last checkpoint is in log and ledger.
    let is_checkpoint = |entry: &&Entry| entry.kind == KIND_CHECKPOINT;
    let checkpoint = entries.iter().rfind(is_checkpoint).map(|entry| entry.seq).unwrap();
    world.held.retain(|position, _| position.seq > checkpoint);
    world.check();

    // Ids of then are known now, and the two versions stand in one log.
    world.admit_all(0, &[0, 4, 21, 22], &[20], 1);
    assert!(!world.commit());
    world.check();
    world.disk.crash();
    world.reopen(false);
    world.check();
    for track in 0..3 {
        world.close(track, 0, usize::MAX, 0, false);
    }
    assert!(!world.commit());
    world.check();
}
