//! The log in a real folder.

use std::sync::Arc;

use millrace_log::{LogError, LogOptions, LogStore, RealDisk, SegmentLog};
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
