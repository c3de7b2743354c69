//! The engine on the real journal, over the real disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_delivery::engine::{Engine, EngineHandle, EngineOptions, EngineParts};
use millrace_delivery::journal::{Journal, JournalOptions, JournalWorker};
use millrace_delivery::mixpanel::Transport;
use millrace_delivery::scheduler::PerEndpoint;
use millrace_log::RealDisk;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, DedupeKey, Item};
use millrace_model::id::{IntegrationId, PipelineId};
use millrace_model::intake::Intake;
use millrace_model::time::{Clock, SystemClock};
use serde_json::Value;

use crate::far_end::FarEnd;
use crate::world::{
    Reply, ScriptMapper, ScriptTransport, Seen, engage, event, good, import, lock, options,
    transport,
};

pub(crate) fn open(folder: &Path) -> (Journal, JournalWorker) {
    let integration: IntegrationId = "mixpanel".parse().unwrap();
    let pipeline: PipelineId = "dev".parse().unwrap();
    let options = JournalOptions {
        integrations: vec![(integration, pipeline)],
        reserve_bytes: 0,
        ..JournalOptions::default()
    };
    let disk = RealDisk::open(folder).unwrap();
    Journal::open(disk, options, Arc::new(SystemClock::default())).unwrap()
}

/// A batch whose items are no duplicates of each other.
pub(crate) fn batch(first: u64, items: Vec<Item>) -> Batch {
    let pipeline: PipelineId = "dev".parse().unwrap();
    let number = |(at, mut item): (usize, Item)| {
        if let Item::Event(event) = &mut item {
            event.facts.message_id = format!("m-{}", first + at as u64);
            event.dedupe_key = DedupeKey::new(&pipeline, &event.facts.message_id);
        }
        item
    };
    let items = items.into_iter().enumerate().map(number).collect();
    let received_at = SystemClock::default().now();
    Batch { pipeline, received_at, items }
}

fn start(journal: &Journal, transport: &Arc<ScriptTransport>) -> EngineHandle {
    let options = quick_options();
    let parts = EngineParts::on_journal(
        journal.clone(),
        &options.id,
        Arc::new(ScriptMapper),
        Arc::clone(transport) as Arc<dyn Transport>,
        Arc::new(SystemClock::default()),
        Arc::new(SeededEntropy::new(3)),
    )
    .unwrap();
    Engine::start_with(options, parts)
}

pub(crate) fn quick_options() -> EngineOptions {
    let mut options = options();
    options.limits.linger = Duration::from_millis(1);
    options.limits.backoff_first = Duration::from_millis(1);
    options.limits.backoff_last = Duration::from_millis(2);
    options
}

/// A copy of a folder as a crash would leave it: only what has been written.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_adds_up_whatever_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, worker) = open(folder.path());
    let (mut far_end, chance) = (FarEnd::default(), SeededEntropy::new(5));
    let transport = transport(move |seen| {
        let mut reply = far_end.answer(seen, &chance);
        reply.after /= 100;
        reply
    });
    let options = {
        let mut options = quick_options();
        options.limits.request_rows = PerEndpoint { import: 61, engage: 61, groups: 61 };
        options.limits.window_rows = 400;
        options.read_bytes = 4096;
        options
    };
    let id = options.id.clone();
    let parts = EngineParts::on_journal(
        journal.clone(),
        &id,
        Arc::new(ScriptMapper),
        Arc::clone(&transport) as Arc<dyn Transport>,
        Arc::new(SystemClock::default()),
        Arc::new(SeededEntropy::new(3)),
    )
    .unwrap();
    let engine = Engine::start_with(options, parts);
    for number in 0..40_u64 {
        let items: Vec<Item> = (0..50)
            .map(|user| event(&[import(&format!("u{user}"), &number.to_string())]))
            .collect();
        journal.admit(batch(number * 50, items)).await.unwrap();
    }
    engine.drained().await;
    let status = engine.status();
    engine.stop(Duration::from_secs(5)).await;
    let sums = journal.ledger(&id).unwrap();
    assert_eq!(sums.received.events, 2_000);
    assert_eq!(sums.pending.events, 0);
    assert_eq!(sums.unaccounted(), 0);
    assert_eq!(sums.delivered.events, status.delivered_rows);
    assert_eq!(sums.rejected.events, status.failed_rows);
    journal.shutdown().await;
    drop(journal);
    worker.join();

    let (journal, worker) = open(folder.path());
    assert_eq!(journal.ledger(&id).unwrap(), sums);
    drop(journal);
    worker.join();
}

#[test]
fn what_was_in_flight_at_a_crash_is_sent_again_with_the_same_bytes() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let items = || -> Vec<Item> {
        (0..20)
            .map(|n: u32| {
                let user = format!("u{}", n % 5);
                event(&[import(&user, &n.to_string()), engage(&user, &n.to_string())])
            })
            .collect()
    };

    let imported = |transport: &ScriptTransport| -> Vec<Value> {
        let seen = lock(&transport.seen).clone();
        seen.into_iter()
            .filter(|s| s.path == "/import" && !s.is_probe())
            .flat_map(|s| s.rows)
            .collect()
    };

    // The first life: Mixpanel takes everything and never says so. Then a crash.
    let first = runtime();
    let (journal, _worker) = open(folder.path());
    let silent = transport(|seen: &Seen| Reply { after: Duration::from_hours(1), ..good(seen) });
    let engine = first.block_on(async {
        let engine = start(&journal, &silent);
        journal.admit(batch(0, items())).await.unwrap();
        while imported(&silent).len() < 20 {
            tokio::task::yield_now().await;
        }
        copy(folder.path(), copied.path());
        engine
    });
    first.shutdown_background();
    drop(engine);

    // The second life.
    let second = runtime();
    let (journal, worker) = open(copied.path());
    let kind = transport(good);
    second.block_on(async {
        let engine = start(&journal, &kind);
        engine.drained().await;
        engine.stop(Duration::from_secs(5)).await;
        let sums = journal.ledger(&"mixpanel".parse().unwrap()).unwrap();
        assert_eq!((sums.received.events, sums.delivered.events), (20, 20));
        assert_eq!(sums.delivered.rows, 40);
        assert_eq!(sums.resent, 20);
        assert_eq!(sums.unaccounted(), 0);
    });
    assert_eq!(imported(&silent), imported(&kind));
    drop(journal);
    worker.join();
}
