//! The log in a real folder.

use std::ops::ControlFlow;
use std::sync::Arc;

use millrace_log::{LogError, LogOptions, LogStore, RealDisk, SegmentLog, read_folder};
use millrace_model::id::Seq;
use millrace_model::time::SystemClock;

fn open(path: &std::path::Path) -> Result<SegmentLog<RealDisk>, LogError> {
    let options = LogOptions { segment_bytes: 10_000, cache_bytes: 0, ..LogOptions::default() };
    let disk = RealDisk::open(path).unwrap();
    SegmentLog::open(disk, options, Arc::new(SystemClock::default())).map(|(log, _)| log)
}

#[test]
fn records_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/log");
    let mut log = open(&path).unwrap();
    for number in 0..100_u64 {
        log.append(3, &number.to_le_bytes().repeat(50)).unwrap();
        if number % 7 == 0 {
            log.commit().unwrap();
        }
    }
    log.commit().unwrap();
    assert!(log.stats().segments.len() > 3);
    assert!(log.free_bytes().unwrap() > 0);
    assert!(matches!(open(&path), Err(LogError::Locked)));
    drop(log);
    let mut log = open(&path).unwrap();
    // Backwards, so that every read finds its place in a file on its own.
    for number in (0..100_u64).rev() {
        let entry = log.read(Seq(number + 1), 1).unwrap().remove(0);
        assert_eq!(entry.payload, number.to_le_bytes().repeat(50));
        assert_eq!(entry.kind, 3);
    }
    assert!(log.drop_before(Seq(60)).unwrap() > 0);
    drop(log);
    let mut log = open(&path).unwrap();
    assert!(log.first() > Seq(1));
    assert_eq!(log.read(Seq(100), 1).unwrap().len(), 1);
}

fn numbers(path: &std::path::Path) -> Result<Vec<u64>, LogError> {
    let mut found = Vec::new();
    read_folder(path, |entry| {
        assert_eq!(entry.payload, (entry.seq.0 - 1).to_le_bytes().repeat(50));
        found.push(entry.seq.0);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

#[test]
fn a_folder_in_use_can_be_looked_at_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut log = open(path).unwrap();
    assert_eq!(numbers(path).unwrap(), [0; 0]);
    for number in 0..100_u64 {
        log.append(3, &number.to_le_bytes().repeat(50)).unwrap();
        log.commit().unwrap();
    }
    // The owner still has it.
    assert_eq!(numbers(path).unwrap(), (1..=100).collect::<Vec<_>>());
    let mut count = 0;
    let stopped = read_folder(path, |_| {
        count += 1;
        if count == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(stopped.is_ok() && count == 7);
    log.drop_before(Seq(60)).unwrap();
    let first = log.first().0;
    assert_eq!(numbers(path).unwrap(), (first..=100).collect::<Vec<_>>());

    // An unfinished commit at the end is left out, damage before it is told.
    let mut names: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    names.sort();
    let newest = names.last().unwrap();
    let mut bytes = std::fs::read(newest).unwrap();
    bytes.extend_from_slice(&[7; 40]);
    std::fs::write(newest, &bytes).unwrap();
    assert_eq!(numbers(path).unwrap(), (first..=100).collect::<Vec<_>>());
    assert_eq!(std::fs::read(newest).unwrap(), bytes);
    let oldest = names.first().unwrap();
    let mut bytes = std::fs::read(oldest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(oldest, &bytes).unwrap();
    assert!(matches!(numbers(path), Err(LogError::Damaged { .. })));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(numbers(&folder.path().join("no")), Err(LogError::Io { .. })));
    assert_eq!(numbers(folder.path()).unwrap(), [0; 0]);
}
