//! The journal through its handle: the thread, the answers, the readers.

use std::sync::Arc;

use bytes::Bytes;
use millrace_delivery::journal::{
    Closed, Journal, JournalOptions, JournalWorker, ReadError, Reader,
};
use millrace_log::RealDisk;
use millrace_model::disposition::Disposition;
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::id::{IntegrationId, PipelineId, Position, Seq};
use millrace_model::intake::{AdmitError, Intake};
use millrace_model::time::{Clock, SystemClock, UnixMillis};

fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 100_000,
        reserve_bytes: 0,
        integrations: vec![("mixpanel".parse().unwrap(), "web".parse().unwrap())],
        ..JournalOptions::default()
    }
}

fn open(folder: &std::path::Path) -> (Journal, JournalWorker) {
    let clock = Arc::new(SystemClock::default());
    Journal::open(RealDisk::open(folder).unwrap(), options(), clock).unwrap()
}

fn batch(first: u32, count: u32) -> Batch {
    let pipeline: PipelineId = "web".parse().unwrap();
    let event = |id: u32| {
        let message_id = format!("message-{id}");
        Item::Event(Event {
            kind: EventKind::Track,
            dedupe_key: DedupeKey::new(&pipeline, &message_id),
            facts: Facts {
                message_id,
                time: UnixMillis(1_700_000_000_000),
                time_source: TimeSource::Client,
                client_ip: None,
            },
            passage: millrace_model::passage::Passage::default(),
            body_hash: u64::from(id),
            body: Bytes::from(vec![b'{'; 400]),
        })
    };
    let items = (first..first + count).map(event).collect();
    Batch { pipeline, received_at: SystemClock::default().now(), items }
}

fn mixpanel() -> IntegrationId {
    "mixpanel".parse().unwrap()
}

async fn read(reader: &mut Reader, events: usize) -> Vec<Position> {
    let mut positions = Vec::new();
    while positions.len() < events {
        for open in reader.next(50_000).await.unwrap() {
            positions
                .extend(open.open.iter().map(|index| Position { seq: open.seq, index: *index }));
        }
    }
    positions
}

#[tokio::test]
async fn what_is_admitted_is_read_closed_and_gone_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, worker) = open(folder.path());
    assert_eq!(journal.ready(), Ok(()));
    let mut reader = journal.reader(&mixpanel()).unwrap();
    let early = tokio::spawn(async move { read(&mut reader, 40).await });
    let answers = (0..4).map(|at| journal.admit(batch(at * 10, 10)));
    for answer in answers {
        assert_eq!(answer.await.unwrap().events, 10);
    }
    // Before the next batch, which the reader would otherwise see or not see as it comes.
    assert_eq!(early.await.unwrap().len(), 40, "a reader that waits is woken");
    assert_eq!(journal.admit(batch(35, 10)).await.unwrap().duplicates, 5);
    assert_eq!(journal.pending(&mixpanel()), 45);

    let mut reader = journal.reader(&mixpanel()).unwrap();
    let positions = read(&mut reader, 45).await;
    journal.sending(&mixpanel(), &positions[..20]);
    journal.close(
        &mixpanel(),
        positions[..15].iter().map(|position| Closed::delivered(*position, 1)).collect(),
    );
    let refused = Closed {
        state: Disposition::Rejected,
        code: Some("MR3001".into()),
        detail: Some("'$insert_id' is missing".to_owned()),
        ..Closed::delivered(positions[15], 1)
    };
    journal.close(&mixpanel(), vec![refused]);
    journal.flush().await.unwrap();
    let shown = journal.dispositions();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].message_id.as_deref(), Some("message-15"));
    assert_eq!(shown[0].code.as_deref(), Some("MR3001"));
    let before = journal.ledger(&mixpanel()).unwrap();
    assert_eq!((before.delivered.events, before.pending.events), (15, 29));
    assert_eq!(journal.verify().await.unwrap().differences, Vec::<String>::new());
    journal.shutdown().await;
    assert_eq!(journal.ready(), Err(AdmitError::ShuttingDown));
    assert_eq!(journal.admit(batch(90, 1)).await, Err(AdmitError::ShuttingDown));
    assert!(matches!(reader.next(1).await, Err(ReadError::Stopped)));
    worker.join();

    let (journal, worker) = open(folder.path());
    assert_eq!(journal.ledger(&mixpanel()).unwrap(), before);
    let mut reader = journal.reader(&mixpanel()).unwrap();
    let open = reader.next(usize::MAX).await.unwrap();
    assert_eq!(open[0].open, [6, 7, 8, 9]);
    assert_eq!(open[0].perhaps_sent, [6, 7, 8, 9]);
    assert_eq!(open[1].perhaps_sent, Vec::<u32>::new());
    assert_eq!(journal.admit(batch(0, 45)).await.unwrap().events, 0, "ids outlive a restart");
    drop((journal, reader));
    worker.join();
}

#[tokio::test]
async fn a_pipeline_without_integration_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _worker) = open(folder.path());
    let lonely: PipelineId = "lonely".parse().unwrap();
    let answer = journal.admit(Batch { pipeline: lonely.clone(), ..batch(0, 3) }).await.unwrap();
    assert_eq!((answer.seq, answer.events), (Seq(2), 3));
    let sums = journal.unrouted(&lonely).unwrap();
    assert_eq!(sums.by_code["filtered/no_integration"], 3);
    assert_eq!(sums.unaccounted(), 0);
    assert!(journal.is_drained(&mixpanel()));
    journal.shutdown().await;
}

/// Mixpanel's key holds name and time beside the insert id: the trace finds it by the insert id, in
/// the newest segment and in those before, live and from what a restart has read.
#[tokio::test]
async fn an_event_whose_key_is_made_of_more_is_traced_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, worker) = open(folder.path());
    let pipeline: PipelineId = "web".parse().unwrap();
    let of_mixpanel = |id: u32, name: &str| {
        let mut batch = batch(id, 1);
        for item in &mut batch.items {
            let Item::Event(event) = item else { continue };
            let repeats = format!("{name}\0{}", event.facts.message_id);
            event.dedupe_key = DedupeKey::new(&pipeline, &repeats);
        }
        batch
    };
    for name in ["A", "B", "A"] {
        journal.admit(of_mixpanel(7, name)).await.unwrap();
    }
    for id in 0..10 {
        journal.admit(batch(1000 + id * 50, 50)).await.unwrap();
    }
    journal.admit(of_mixpanel(7, "C")).await.unwrap();
    let before = journal.trace(&pipeline, "message-7").await.unwrap();
    let events = |item: &Item| matches!(item, Item::Event(_));
    assert_eq!(before.copies.len(), 4, "{before:?}");
    assert_eq!(before.copies.iter().filter(|copy| events(&copy.item)).count(), 3);
    assert!(!before.incomplete);
    assert!(before.copies[0].position.seq > before.copies[1].position.seq.next());
    journal.shutdown().await;
    worker.join();
    let (journal, worker) = open(folder.path());
    assert_eq!(journal.trace(&pipeline, "message-7").await.unwrap(), before);
    drop(journal);
    worker.join();
}
