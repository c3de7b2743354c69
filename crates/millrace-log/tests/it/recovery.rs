//! Named situations of a crash, a full disk, a failing disk and damage.

use std::sync::Arc;

use millrace_log::{LogError, LogOptions, LogStore, Recovery, SegmentLog};
use millrace_model::entropy::SeededEntropy;
use millrace_model::id::Seq;
use millrace_model::time::{ManualClock, UnixMillis};
use millrace_testkit::sim_disk::{Fault, SimDisk};

type Log = SegmentLog<SimDisk>;

const HEADER: u64 = 52;
const FRAME: u64 = 21;

fn try_open(disk: &SimDisk, segment_bytes: u64) -> Result<(Log, Recovery), LogError> {
    let options = LogOptions {
        segment_bytes,
        cache_bytes: 0,
        entropy: Arc::new(SeededEntropy::new(5)),
        ..LogOptions::default()
    };
    SegmentLog::open(disk.handle(), options, Arc::new(ManualClock::at(UnixMillis(0))))
}

fn open(disk: &SimDisk, segment_bytes: u64) -> Log {
    try_open(disk, segment_bytes).unwrap().0
}

fn commit(log: &mut Log, payload: &[u8]) -> Seq {
    let seq = log.append(1, payload).unwrap();
    log.commit().unwrap();
    seq
}

fn all(log: &mut Log) -> Vec<(u64, Vec<u8>)> {
    let (mut out, mut from) = (Vec::new(), log.first());
    while from < log.next() {
        for entry in log.read(from, 100).unwrap() {
            assert_eq!(entry.seq, from);
            out.push((entry.seq.0, entry.payload.to_vec()));
            from = from.next();
        }
    }
    out
}

fn newest_file(disk: &SimDisk) -> (String, u64) {
    disk.files().into_iter().rfind(|(name, _)| name.ends_with(".seg")).unwrap()
}

#[test]
fn records_are_read_only_when_committed_and_survive_a_crash() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 1 << 20);
    assert_eq!(log.append(7, b"one").unwrap(), Seq(1));
    assert_eq!(log.read(Seq(1), 100).unwrap(), []);
    log.commit().unwrap();
    log.append(7, b"lost").unwrap();
    disk.crash();
    let mut log = open(&disk, 1 << 20);
    assert_eq!(all(&mut log), [(1, b"one".to_vec())]);
    assert_eq!(log.next(), Seq(2));
}

#[test]
fn a_second_process_is_kept_out_until_the_first_has_gone() {
    let disk = SimDisk::new(1);
    let log = open(&disk, 1 << 20);
    assert!(matches!(try_open(&disk, 1 << 20), Err(LogError::Locked)));
    drop(log);
    assert!(try_open(&disk, 1 << 20).is_ok());
}

#[test]
fn a_torn_tail_is_cut_whatever_it_looks_like() {
    // What stands behind the last whole frame: cut short, zeros, noise.
    let tails: [fn(&SimDisk, &str, u64); 2] = [
        |disk, name, length| disk.cut(name, length - 3),
        |disk, name, length| assert!(disk.corrupt(name, length - 1, 0xff)),
    ];
    for tail in tails {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, 1 << 20);
        commit(&mut log, b"kept");
        commit(&mut log, b"torn");
        drop(log);
        let (name, length) = newest_file(&disk);
        tail(&disk, &name, length);
        let (mut log, recovery) = try_open(&disk, 1 << 20).unwrap();
        assert_eq!(recovery.truncated.unwrap().offset, HEADER + FRAME + 4);
        assert_eq!(all(&mut log), [(1, b"kept".to_vec())]);
        assert_eq!(commit(&mut log, b"again"), Seq(2));
    }
}

#[test]
fn a_tail_of_zeros_is_cut() {
    use millrace_log::{Disk, DiskFile};
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 1 << 20);
    commit(&mut log, b"kept");
    drop(log);
    let (name, length) = newest_file(&disk);
    disk.handle().open(&name).unwrap().set_len(length + 5000).unwrap();
    let (mut log, recovery) = try_open(&disk, 1 << 20).unwrap();
    assert_eq!(recovery.truncated.unwrap().bytes, 5000);
    assert_eq!(all(&mut log).len(), 1);
}

#[test]
fn damage_before_a_later_commit_is_refused_and_nothing_is_changed() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 1 << 20);
    for payload in [b"one", b"two", b"six"] {
        commit(&mut log, payload);
    }
    drop(log);
    let (name, length) = newest_file(&disk);
    // Any byte of the first two records, whose sync the third one proves.
    for offset in HEADER..HEADER + 2 * (FRAME + 3) {
        assert!(disk.corrupt(&name, offset, 0x10));
        let error = try_open(&disk, 1 << 20).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "byte {offset}: {error}");
        assert_eq!(newest_file(&disk), (name.clone(), length));
        assert!(disk.corrupt(&name, offset, 0x10));
    }
    assert_eq!(all(&mut open(&disk, 1 << 20)).len(), 3);
}

#[test]
fn a_bigger_group_that_is_torn_in_its_middle_is_no_damage() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 1 << 20);
    commit(&mut log, b"kept");
    for payload in [b"aaa", b"bbb", b"ccc"] {
        log.append(1, payload).unwrap();
    }
    log.commit().unwrap();
    drop(log);
    let (name, _) = newest_file(&disk);
    assert!(disk.corrupt(&name, HEADER + FRAME + 4 + FRAME + 3 + FRAME, 1));
    let (mut log, recovery) = try_open(&disk, 1 << 20).unwrap();
    assert!(recovery.truncated.is_some());
    assert_eq!(all(&mut log).len(), 2, "the frames of one group prove nothing about each other");
}

#[test]
fn sealed_segments_that_are_short_missing_or_damaged_are_noticed() {
    let build = || {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, 200);
        for _ in 0..12 {
            commit(&mut log, &[7; 60]);
        }
        assert!(log.stats().segments.len() > 3);
        (disk, log)
    };
    let (disk, log) = build();
    drop(log);
    let (name, length) = disk.files()[1].clone();
    disk.cut(&name, length - 1);
    assert!(matches!(try_open(&disk, 200), Err(LogError::Damaged { .. })), "short");

    let (disk, log) = build();
    drop(log);
    millrace_log::Disk::remove(&disk.handle(), &disk.files()[1].0).unwrap();
    assert!(matches!(try_open(&disk, 200), Err(LogError::Damaged { .. })), "missing");

    let (disk, mut log) = build();
    assert!(disk.corrupt(&disk.files()[1].0, HEADER + FRAME + 10, 1));
    let second = log.stats().segments[1].base;
    assert!(matches!(log.read(second, 10), Err(LogError::Damaged { .. })), "on reading");
    assert!(log.read(Seq(1), 10).is_ok(), "others can be read");
}

#[test]
fn a_segment_that_was_begun_and_never_used_is_removed() {
    for length in [0, 1, 30, HEADER - 1] {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, 1 << 20);
        commit(&mut log, b"kept");
        drop(log);
        let handle = disk.handle();
        let mut file = millrace_log::Disk::create(&handle, "00000000000000000002.seg").unwrap();
        millrace_log::DiskFile::set_len(&mut file, length).unwrap();
        let (mut log, recovery) = try_open(&disk, 1 << 20).unwrap();
        assert!(recovery.removed.is_some());
        assert_eq!(all(&mut log).len(), 1);
        assert_eq!(commit(&mut log, b"next"), Seq(2));
    }
}

#[test]
fn a_newer_version_is_not_touched() {
    let disk = SimDisk::new(1);
    drop(open(&disk, 1 << 20));
    let (name, length) = newest_file(&disk);
    assert!(disk.corrupt(&name, 8, 2));
    let error = try_open(&disk, 1 << 20).unwrap_err();
    assert!(matches!(error, LogError::Version { version: 3, .. }), "{error}");
    assert_eq!(newest_file(&disk), (name, length));
}

#[test]
fn a_full_disk_takes_back_one_group_and_the_log_goes_on() {
    for segment_bytes in [1 << 20, 100] {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, segment_bytes);
        commit(&mut log, b"kept");
        disk.set_capacity(disk.used_bytes() + 40);
        assert_eq!(log.append(1, &[9; 500]).unwrap(), Seq(2));
        assert!(matches!(log.commit(), Err(LogError::DiskFull)));
        assert_eq!(log.next(), Seq(2));
        disk.set_capacity(u64::MAX);
        assert_eq!(commit(&mut log, b"after"), Seq(2));
        assert_eq!(all(&mut log), [(1, b"kept".to_vec()), (2, b"after".to_vec())]);
        drop(log);
        assert_eq!(all(&mut open(&disk, segment_bytes)).len(), 2);
    }
}

#[test]
fn a_failed_write_or_sync_poisons_and_keeps_what_was_acknowledged() {
    // In small segments the fault meets the roll, in large ones the commit itself.
    let cases = [
        (Fault::Write, 100),
        (Fault::Write, 1 << 20),
        (Fault::Sync, 100),
        (Fault::Sync, 1 << 20),
        (Fault::SyncDir, 100),
    ];
    for (fault, segment_bytes) in cases {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let mut log = open(&disk, segment_bytes);
            commit(&mut log, &[1; 60]);
            disk.fail(fault, 0);
            log.append(1, &[2; 60]).unwrap();
            assert!(matches!(log.commit(), Err(LogError::Io { .. })));
            assert!(matches!(log.append(1, b"x"), Err(LogError::Poisoned)));
            assert!(matches!(log.commit(), Err(LogError::Poisoned)));
            assert!(matches!(log.read(Seq(1), 1), Err(LogError::Poisoned)));
            drop(log);
            // What the reopened log shows must be durable, although the failed sync may have lost
            // bytes that the system still shows.
            let shown = all(&mut open(&disk, segment_bytes));
            assert_eq!(shown[0], (1, vec![1; 60]));
            disk.crash();
            assert_eq!(all(&mut open(&disk, segment_bytes)), shown, "{fault:?}, seed {seed}");
        }
    }
}

#[test]
fn whole_segments_are_dropped_and_the_rest_opens() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 300);
    for _ in 0..10 {
        commit(&mut log, &[7; 60]);
    }
    let segments = log.stats().segments;
    log.write_side(segments[0].base, b"beside").unwrap();
    assert_eq!(log.drop_before(Seq(segments[2].base.0 + 1)).unwrap(), 2);
    assert_eq!(log.first(), segments[2].base);
    assert!(matches!(log.read(Seq(1), 1), Err(LogError::Dropped { .. })));
    assert_eq!(log.read_side(segments[0].base), None);
    assert_eq!(log.drop_before(Seq(1000)).unwrap(), segments.len() - 3, "never the newest");
    let first = log.first();
    disk.crash();
    assert_eq!(open(&disk, 300).first(), first);
}

#[test]
fn bytes_beside_a_segment_are_whole_or_not_there() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 200);
    commit(&mut log, b"one");
    assert_eq!(log.read_side(Seq(1)), None);
    log.write_side(Seq(1), b"beside").unwrap();
    assert_eq!(log.read_side(Seq(1)).unwrap().as_ref(), b"beside");
    for offset in 0..10 {
        disk.corrupt("00000000000000000001.idx", offset, 1);
        assert_eq!(log.read_side(Seq(1)), None, "byte {offset}");
        disk.corrupt("00000000000000000001.idx", offset, 1);
    }
}

#[test]
fn what_is_too_large_is_refused_and_leaves_no_trace() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 200);
    log.append(1, b"one").unwrap();
    let before = log.open_bytes();
    let huge = vec![0; (64 << 20) + 1];
    assert!(matches!(log.append(1, &huge), Err(LogError::TooLarge { .. })));
    assert_eq!(log.open_bytes(), before);
    assert_eq!(log.append(1, b"two").unwrap(), Seq(2));
    log.commit().unwrap();
    assert_eq!(all(&mut log).len(), 2);
}

#[test]
fn an_old_segment_ends_by_age() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(ManualClock::at(UnixMillis(0)));
    let options = LogOptions::default();
    let age = options.segment_age;
    let (mut log, _) = SegmentLog::open(disk.handle(), options, clock.clone()).unwrap();
    for _ in 0..2 {
        log.append(1, b"x").unwrap();
        log.commit().unwrap();
        clock.advance(age);
    }
    assert_eq!(log.stats().segments.len(), 2);
}
