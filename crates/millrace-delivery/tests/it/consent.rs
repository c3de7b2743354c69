//! Consent between the door and Mixpanel: row C-04 on the real journal, with crashes in between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_delivery::engine::{Engine, EngineParts};
use millrace_delivery::journal::Journal;
use millrace_delivery::mixpanel::Transport;
use millrace_model::disposition::FilterReason;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Filtered, Item};
use millrace_model::intake::Intake;
use millrace_model::ledger::LedgerSums;
use millrace_model::passage::{Consent, Subject};
use millrace_model::time::SystemClock;

use crate::engine_on_journal::{batch, copy, open, quick_options};
use crate::world::{ScriptMapper, event, good, import, lock, transport};

fn consent(people: &[&str], said: &[(&str, bool)], otherwise: bool) -> Option<Box<Consent>> {
    let pipeline = "dev".parse().unwrap();
    Some(Box::new(Consent {
        categories: said.iter().map(|(name, granted)| ((*name).to_owned(), *granted)).collect(),
        otherwise,
        subjects: people.iter().map(|person| Subject::new(&pipeline, person)).collect(),
    }))
}

fn with(name: &str, consent: Option<Box<Consent>>) -> Item {
    let mut item = event(&[import("lane", name)]);
    if let Item::Event(event) = &mut item {
        event.passage.consent = consent;
    }
    item
}

/// An event that the door has refused, which leaves nothing but what its person said.
fn refused(consent: Option<Box<Consent>>) -> Item {
    let (reason, rule) = (FilterReason::Consent, "analytics: denied".to_owned());
    Item::Filtered(Filtered { reason, rule, full_length: 10, consent })
}

/// Sends what is open; the names of what arrived, and the ledger.
async fn deliver(journal: &Journal, required: &[&str]) -> (Vec<String>, LedgerSums) {
    let mut options = quick_options();
    options.required_consent = required.iter().map(|name| (*name).to_owned()).collect();
    let (id, far_end) = (options.id.clone(), transport(good));
    let parts = EngineParts::on_journal(
        journal.clone(),
        &id,
        Arc::new(ScriptMapper),
        Arc::clone(&far_end) as Arc<dyn Transport>,
        Arc::new(SystemClock::default()),
        Arc::new(SeededEntropy::new(3)),
    )
    .unwrap();
    let engine = Engine::start_with(options, parts);
    engine.drained().await;
    engine.stop(Duration::from_secs(5)).await;
    journal.flush().await.unwrap();
    let seen = lock(&far_end.seen).clone();
    let rows = seen.iter().filter(|seen| !seen.is_probe()).flat_map(|seen| &seen.rows);
    let mut names: Vec<String> =
        rows.map(|row| row["event"].as_str().unwrap().to_owned()).collect();
    names.sort();
    (names, journal.ledger(&id).unwrap())
}

/// A journal on what a crash would leave of a folder.
fn after_crash(folder: &Path) -> tempfile::TempDir {
    let copied = tempfile::tempdir().unwrap();
    copy(folder, copied.path());
    copied
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_between_capture_and_send_is_not_sent_whatever_comes_later() {
    let (yes, no) = ([("marketing", true)], [("marketing", false)]);
    let first = tempfile::tempdir().unwrap();
    let (journal, _worker) = open(first.path());
    let items = vec![
        with("by-user", consent(&["u1", "a1"], &yes, false)),
        with("by-device", consent(&["a1"], &yes, false)),
        with("other", consent(&["u2"], &yes, false)),
        with("never", consent(&["u3"], &no, true)),
        with("silent", consent(&["u4"], &[], false)),
        with("assumed", consent(&["u4"], &[], true)),
        with("before", None),
    ];
    journal.admit(batch(0, items)).await.unwrap();
    // The withdrawal of a1 comes by an event that the door itself refuses. Then a crash.
    let withdrawal = vec![refused(consent(&["a1"], &no, false))];
    journal.admit(batch(100, withdrawal)).await.unwrap();
    let second = after_crash(first.path());

    let (journal, _worker) = open(second.path());
    let again = vec![
        refused(consent(&["a1"], &yes, false)),
        with("after-grant", consent(&["a1"], &yes, false)),
        with("silent-after-grant", consent(&["a1"], &[], false)),
    ];
    journal.admit(batch(200, again)).await.unwrap();
    let third = after_crash(second.path());

    let (journal, _worker) = open(third.path());
    let (names, sums) = deliver(&journal, &["marketing"]).await;
    assert_eq!(names, ["after-grant", "assumed", "other", "silent-after-grant"]);
    // Five of the mapping, two of the door.
    assert_eq!(sums.by_code["filtered/consent"], 5 + 2);
    assert_eq!((sums.received.events, sums.delivered.events), (7 + 1 + 3, 4));
    assert_eq!((sums.pending.events, sums.unaccounted()), (0, 0));
    let mut reasons: Vec<String> =
        journal.dispositions().into_iter().filter_map(|disposed| disposed.reason).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "marketing: denied",
            "marketing: nothing said",
            "marketing: nothing said",
            "marketing: withdrawn later",
            "marketing: withdrawn later",
        ]
    );
    assert_eq!(journal.verify().await.unwrap().differences, Vec::<String>::new());

    // What was filtered stays filtered, though it is granted now.
    let (names, again) = deliver(&journal, &["marketing"]).await;
    assert_eq!((names.len(), &again), (0, &sums));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integration_that_requires_nothing_sends_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _worker) = open(folder.path());
    let items = vec![
        with("denied", consent(&["u1"], &[("marketing", false)], false)),
        with("before", None),
    ];
    journal.admit(batch(0, items)).await.unwrap();
    assert_eq!(deliver(&journal, &[]).await.0, ["before", "denied"]);
    let items = vec![with("essential", None)];
    journal.admit(batch(10, items)).await.unwrap();
    assert_eq!(deliver(&journal, &["essential"]).await.0, ["essential"]);
}
