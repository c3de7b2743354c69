//! Named situations of the simulated world.

use std::time::Duration;

use millrace_log::LogStore;
use millrace_model::id::Seq;
use millrace_model::intake::AdmitError;

use super::{INTEGRATIONS, World};
use crate::journal::types::JournalError;

#[test]
fn a_repeated_event_is_a_duplicate_within_a_group_and_after_a_crash() {
    let mut world = World::new(1);
    world.admit(0, &[1, 1, 2], false);
    world.admit(0, &[2, 3], false);
    assert!(!world.commit());
    world.disk.crash();
    world.reopen(false);
    world.admit(0, &[3, 4], false);
    assert!(!world.commit());
    world.check();
    assert_eq!(world.counted[&0], [7, 3, 0, 0]);
}

#[test]
fn a_refused_batch_may_come_again() {
    let mut world = World::new(1);
    world.disk.set_capacity(world.disk.used_bytes() + 10);
    world.admit(0, &[1, 2], false);
    assert!(matches!(world.core().commit(), Err(AdmitError::DiskFull { .. })));
    world.group.clear();
    world.disk.set_capacity(u64::MAX);
    world.admit(0, &[1, 2], false);
    assert!(!world.commit());
    world.check();
    assert_eq!(world.tracks[0].open.len(), 2);
}

#[test]
fn closes_are_committed_when_there_is_no_room_for_batches() {
    let mut world = World::new(1);
    world.admit(0, &[1, 2], false);
    assert!(!world.commit());
    world.disk.set_capacity(world.disk.used_bytes() + 100);
    assert!(matches!(world.core().check_room(), Err(AdmitError::DiskFull { .. })));
    world.close(0, 0, 2, 0, false);
    world.admit(0, &[50, 51], false);
    assert!(!world.commit());
    assert!(!world.core().has_progress());
    world.check();
    assert_eq!(world.tracks[0].open.len(), 0);
}

#[test]
fn old_segments_are_dropped_when_all_is_closed_and_not_before() {
    let mut world = World::new(1);
    for id in 0..60 {
        world.admit(0, &[id], false);
        assert!(!world.commit());
    }
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let roll = |world: &mut World| {
        for id in 0..40 {
            world.admit(2, &[id], false);
            assert!(!world.commit());
        }
    };
    roll(&mut world);
    assert_eq!(world.core().log.first(), Seq(1), "open events are kept whatever their age");
    for track in 0..2 {
        world.close(track, 0, usize::MAX, 0, false);
    }
    assert!(!world.commit());
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    roll(&mut world);
    assert!(world.core().log.first() > Seq(60));
    world.check();
    world.disk.crash();
    world.reopen(false);
    world.check();
}

#[test]
fn a_segment_index_that_is_gone_is_made_again() {
    let mut world = World::new(1);
    for id in 0..60 {
        world.admit(0, &[id], false);
        assert!(!world.commit());
    }
    for (name, _) in world.disk.files() {
        if name.ends_with(".idx") {
            world.disk.cut(&name, 9);
        }
    }
    world.reopen(false);
    world.check();
    world.admit(0, &[0, 59], false);
    assert!(!world.commit());
    world.check();
    assert_eq!(world.counted[&0][1], 2);
}

#[test]
fn integrations_come_with_the_next_record_and_go_only_when_nothing_is_open() {
    let mut world = World::new(1);
    world.admit(1, &[1], false);
    assert!(!world.commit());
    world.core = None;
    let fewer = &INTEGRATIONS[..2];
    let error = world.open(fewer, &[]).err().unwrap();
    assert!(matches!(error, JournalError::StillOpen { pending: 1, .. }), "{error}");
    let core = world.open(fewer, &["three"]).unwrap();
    assert_eq!(core.tracks.len(), 2);
    drop(core);
    // It comes back as a new one.
    let core = world.open(&INTEGRATIONS, &[]).unwrap();
    assert_eq!(core.ledger(&core.tracks[2]).received.events, 0);
    drop(core);
    let twice = [INTEGRATIONS[0], INTEGRATIONS[0]];
    assert!(matches!(world.open(&twice, &[]), Err(JournalError::Twice(_))));
}

#[test]
fn tidying_drops_nothing_that_a_restart_needs() {
    let mut world = World::new(1);
    for id in 0..60 {
        world.admit(0, &[id], false);
        assert!(!world.commit());
    }
    // All is closed after the last checkpoint, which still says that it is open.
    for track in 0..2 {
        world.close(track, 0, usize::MAX, 0, false);
    }
    assert!(!world.commit());
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    world.core().tidy();
    assert!(world.core().log.first() > Seq(1), "an idle journal drops old segments too");
    world.check();
    world.disk.crash();
    world.reopen(false);
    world.check();
}

#[test]
fn a_full_disk_keeps_what_the_last_checkpoint_needs() {
    let mut world = World::new(1);
    for id in 0..60 {
        world.admit(0, &[id], false);
        assert!(!world.commit());
    }
    for track in 0..2 {
        world.close(track, 0, usize::MAX, 0, false);
    }
    assert!(!world.commit());
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    world.disk.set_capacity(world.disk.used_bytes());
    world.core().tidy();
    world.check();
    world.disk.set_capacity(u64::MAX);
    world.disk.crash();
    world.reopen(false);
    world.check();
}

/// DESIGN 9.5, to the second, whether the id is found in memory, in the newest segment or in the
/// index of one before.
#[test]
fn a_message_id_is_known_for_a_day_to_the_second_over_restarts() {
    for batches_between in [0, 60] {
        let mut world = World::new(1);
        let repeat = |world: &mut World, seconds: u64, duplicates: u64| {
            world.clock.advance(Duration::from_secs(seconds));
            world.disk.crash();
            world.reopen(false);
            world.admit(2, &[59], false);
            assert!(!world.commit());
            world.check();
            assert_eq!(world.counted[&2][1], duplicates);
        };
        world.admit(2, &[59], false);
        assert!(!world.commit());
        for id in 0..batches_between {
            world.admit(0, &[id % 50], false);
            assert!(!world.commit());
        }
        repeat(&mut world, 24 * 3600, 1);
        // A duplicate does not make the first any younger.
        repeat(&mut world, 1, 1);
        repeat(&mut world, 24 * 3600, 2);
        world.reopen(false);
        repeat(&mut world, 1, 2);
    }
}
