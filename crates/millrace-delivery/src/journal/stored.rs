//! A batch as it is stored: what the ledger, the quarantine, the index and the consents take from it,
//! counted once, the same for a commit and for a replay.

use std::collections::BTreeMap;

use millrace_model::code::Code;
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::event::{Batch, Item};
use millrace_model::id::Seq;
use millrace_model::intake::Admitted;
use millrace_model::ledger::Tally;
use millrace_model::passage::NoteKind;
use millrace_model::time::UnixMillis;

use super::book::Book;
use super::consents::{self, Said};
use super::index::{BatchNote, PipelineNumber};
use super::quarantine::Entry;
use super::refeed::Former;

/// A batch as it is stored, counted.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) note: BatchNote,
    received: Tally,
    duplicates: u64,
    pub(super) set_aside: BTreeMap<Code, Tally>,
    filtered: BTreeMap<FilterReason, Tally>,
    noted: BTreeMap<NoteKind, u64>,
    differs: u64,
    /// What was set aside, for the quarantine.
    pub(super) held: Vec<(u32, Entry)>,
    /// The run whose place it takes.
    pub(super) former: Option<Former>,
    /// The number of its first ids, and the ids beside them.
    pub(super) keys: u32,
    pub(super) also: Vec<u64>,
    /// What is said in it about consent, and when.
    pub(super) said: Vec<Said>,
    pub(super) received_at: UnixMillis,
}

impl Stored {
    pub(super) fn of(
        seq: Seq,
        batch: &Batch,
        pipeline: PipelineNumber,
        former: Option<Former>,
    ) -> Stored {
        let note = BatchNote::of(seq, batch, pipeline);
        let (mut duplicates, mut set_aside) = (0, BTreeMap::<Code, Tally>::new());
        let (mut differs, mut noted) = (0, BTreeMap::<NoteKind, u64>::new());
        let mut filtered = BTreeMap::<FilterReason, Tally>::new();
        let mut received = Tally { events: batch.items.len() as u64, rows: 0, bytes: note.bytes };
        for item in &batch.items {
            match item {
                Item::Event(event) => {
                    for note in &event.passage.notes {
                        *noted.entry(note.kind).or_default() += 1;
                    }
                }
                Item::Duplicate(duplicate) => {
                    duplicates += 1;
                    differs += u64::from(duplicate.differs);
                }
                Item::Filtered(item) => {
                    let one = Tally { events: 1, rows: 0, bytes: item.full_length };
                    received.bytes = received.bytes.saturating_add(item.full_length);
                    filtered.entry(item.reason).or_default().add(one);
                }
                Item::SetAside(aside) => {
                    received.bytes = received.bytes.saturating_add(aside.full_length);
                    set_aside.entry(aside.code).or_default().add(Tally {
                        events: 1,
                        rows: 0,
                        bytes: aside.full_length,
                    });
                }
            }
        }
        let held = if set_aside.is_empty() { Vec::new() } else { Entry::of(batch, pipeline) };
        let (keys, also) = (0, Vec::new());
        let said = consents::said_in(batch, former.is_some());
        Stored {
            note,
            received,
            duplicates,
            set_aside,
            filtered,
            noted,
            differs,
            held,
            former,
            keys,
            also,
            said,
            received_at: batch.received_at,
        }
    }

    pub(super) fn admitted(&self) -> Admitted {
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Admitted {
            seq: self.note.seq,
            events: self.note.events,
            duplicates: count(self.duplicates),
            set_aside: count(self.set_aside.values().map(|tally| tally.events).sum()),
        }
    }

    /// Writes what is known at the door into a book.
    pub(super) fn enter(&self, book: &mut Book) {
        let minute = self.note.minute;
        book.receive(minute, self.received);
        let duplicates = Tally { events: self.duplicates, ..Tally::default() };
        book.end(minute, Disposition::Duplicate, "", duplicates);
        for (code, tally) in &self.set_aside {
            book.end(minute, Disposition::SetAside, code.as_str(), *tally);
        }
        for (reason, tally) in &self.filtered {
            book.end(minute, Disposition::Filtered, reason.as_str(), *tally);
        }
        for (kind, count) in &self.noted {
            book.note(minute, *kind, *count);
        }
        book.differ(minute, self.differs);
    }
}
