//! The ledger of one integration: how many events of which minute ended how.
//!
//! Lines are keyed by minute of receipt, state and code. Minutes older than the retention, and the
//! oldest beyond [`MOST_LINES`], are folded into one line for each state and code: a book stands in
//! every checkpoint, and a checkpoint must stay small. The sums are kept beside the lines.
//!
//! ```text
//! book := resent:varint count:varint line*
//! line := minute:i64le state:u8 code:text events:varint rows:varint bytes:varint
//! ```
//! `state` is the byte form of a disposition, or 255 for what was received, 254 for notes of the
//! door (by kind, in place of the code) and 253 for duplicates that differ from their first.

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_model::disposition::Disposition;
use millrace_model::ledger::{LedgerSums, Tally};
use millrace_model::passage::NoteKind;
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};

const RECEIVED: u8 = 255;
const NOTED: u8 = 254;
const DIFFERS: u8 = 253;
/// At most about this many lines are kept apart: three days with a line for each state and minute.
const MOST_LINES: usize = 10_000;
/// The minute of everything that was folded.
const BEFORE: i64 = i64::MIN;

/// The ledger of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    lines: BTreeMap<(i64, u8, String), Tally>,
    sums: LedgerSums,
}

impl Book {
    /// The sums; what is pending is not known here.
    pub(super) fn sums(&self) -> &LedgerSums {
        &self.sums
    }

    /// Counts items as received.
    pub(super) fn receive(&mut self, minute: i64, tally: Tally) {
        self.add(minute, RECEIVED, "", tally);
    }

    /// Counts events as ended.
    pub(super) fn end(&mut self, minute: i64, state: Disposition, code: &str, tally: Tally) {
        self.add(minute, state.to_byte(), code, tally);
    }

    /// Counts what the door noted on events.
    pub(super) fn note(&mut self, minute: i64, kind: NoteKind, count: u64) {
        let tally = Tally { events: count, ..Tally::default() };
        self.add(minute, NOTED, kind.as_str(), tally);
    }

    /// Counts duplicates that differ from their first.
    pub(super) fn differ(&mut self, minute: i64, count: u64) {
        self.add(minute, DIFFERS, "", Tally { events: count, ..Tally::default() });
    }

    /// Takes back events that were received in a minute and ended in a state, as if they had never
    /// come. Nothing happens when the book has counted none with this state and code.
    pub(super) fn take_back(&mut self, minute: i64, state: Disposition, code: &str, tally: Tally) {
        let known = self.sums.by_code.get(&format!("{state}/{code}")).copied();
        if known.unwrap_or_default() < tally.events {
            return;
        }
        self.subtract(minute, RECEIVED, "", tally);
        self.subtract(minute, state.to_byte(), code, tally);
    }

    /// Subtracts from the line of a minute; what had been folded is in another line.
    fn subtract(&mut self, minute: i64, state: u8, code: &str, tally: Tally) {
        let mut rest = tally;
        let folded = [minute, BEFORE].into_iter();
        let keys = self.lines.keys().filter(|(_, of, why)| *of == state && why == code);
        let others: Vec<i64> = keys.map(|(at, ..)| *at).collect();
        for at in folded.chain(others) {
            let key = (at, state, code.to_owned());
            let Some(line) = self.lines.get_mut(&key) else { continue };
            let part = Tally {
                events: rest.events.min(line.events),
                rows: rest.rows.min(line.rows),
                bytes: rest.bytes.min(line.bytes),
            };
            less(line, part);
            less(&mut rest, part);
            if *line == Tally::default() {
                self.lines.remove(&key);
            }
            if rest == Tally::default() {
                break;
            }
        }
        let mut gone = tally;
        less(&mut gone, rest);
        let Some(sum) = self.sum(state) else { return };
        less(sum, gone);
        let Some(name) = Disposition::from_byte(state) else { return };
        let key = format!("{name}/{code}");
        if let Some(count) = self.sums.by_code.get_mut(&key) {
            *count = count.saturating_sub(gone.events);
            if *count == 0 {
                self.sums.by_code.remove(&key);
            }
        }
    }

    /// The sum of a state; none for what is no state of an event.
    fn sum(&mut self, state: u8) -> Option<&mut Tally> {
        if state == RECEIVED {
            return Some(&mut self.sums.received);
        }
        Some(match Disposition::from_byte(state)? {
            Disposition::Delivered => &mut self.sums.delivered,
            Disposition::Filtered => &mut self.sums.filtered,
            Disposition::Duplicate => &mut self.sums.duplicates,
            Disposition::SetAside => &mut self.sums.set_aside,
            Disposition::Rejected => &mut self.sums.rejected,
            Disposition::Dead => &mut self.sums.dead,
            Disposition::Erased => &mut self.sums.erased,
        })
    }

    /// Counts events of which a row was sent again.
    pub(super) fn resend(&mut self, events: u64) {
        self.sums.resent = self.sums.resent.saturating_add(events);
    }

    fn add(&mut self, minute: i64, state: u8, code: &str, tally: Tally) {
        if tally == Tally::default() {
            return;
        }
        self.lines.entry((minute, state, code.to_owned())).or_default().add(tally);
        match (state, self.sum(state)) {
            (_, Some(sum)) => sum.add(tally),
            (NOTED, None) => {
                *self.sums.notes.entry(code.to_owned()).or_default() += tally.events;
            }
            (_, None) => self.sums.differs = self.sums.differs.saturating_add(tally.events),
        }
        if let Some(state) = Disposition::from_byte(state)
            && !code.is_empty()
            && tally.events > 0
        {
            *self.sums.by_code.entry(format!("{state}/{code}")).or_default() += tally.events;
        }
    }

    /// Folds what was received before a minute, and what is too much.
    pub(super) fn fold(&mut self, before: i64) {
        let mut surplus = self.lines.len().saturating_sub(MOST_LINES);
        while let Some(entry) = self.lines.range((BEFORE + 1, 0, String::new())..).next() {
            let (minute, state, code) = entry.0.clone();
            if minute >= before && surplus == 0 {
                return;
            }
            surplus = surplus.saturating_sub(1);
            let tally = self.lines.remove(&(minute, state, code.clone())).unwrap_or_default();
            self.lines.entry((BEFORE, state, code)).or_default().add(tally);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sums.resent);
        put_varint(out, self.lines.len() as u64);
        for ((minute, state, code), tally) in &self.lines {
            out.extend_from_slice(&minute.to_le_bytes());
            out.push(*state);
            put_bytes(out, code.as_bytes());
            put_varint(out, tally.events);
            put_varint(out, tally.rows);
            put_varint(out, tally.bytes);
        }
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Result<Book, RecordError> {
        let mut book = Book::default();
        book.sums.resent = take_varint(bytes)?;
        for _ in 0..take_varint(bytes)? {
            let minute = take_i64(bytes)?;
            let state = take_u8(bytes)?;
            if state < DIFFERS && Disposition::from_byte(state).is_none() {
                return Err(RecordError::Bad("state"));
            }
            let code = take_text(bytes)?;
            let tally = Tally {
                events: take_varint(bytes)?,
                rows: take_varint(bytes)?,
                bytes: take_varint(bytes)?,
            };
            book.add(minute, state, &code, tally);
        }
        Ok(book)
    }
}

fn less(tally: &mut Tally, part: Tally) {
    tally.events = tally.events.saturating_sub(part.events);
    tally.rows = tally.rows.saturating_sub(part.rows);
    tally.bytes = tally.bytes.saturating_sub(part.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_was_never_there_folded_or_not() {
        let one = |bytes| Tally { events: 1, rows: 0, bytes };
        for fold in [i64::MIN, 6, 100] {
            let mut book = Book::default();
            for (minute, bytes) in [(5, 30), (5, 10), (7, 20)] {
                book.receive(minute, one(bytes));
                book.end(minute, Disposition::SetAside, "MR1101", one(bytes));
            }
            book.note(5, NoteKind::Hashed, 3);
            book.differ(5, 2);
            book.fold(fold);
            // A code that it does not know is left alone.
            book.take_back(5, Disposition::SetAside, "MR1102", one(1));
            assert_eq!(book.sums().received.events, 3);
            book.take_back(5, Disposition::SetAside, "MR1101", one(30));
            assert_eq!(book.sums().received, Tally { events: 2, rows: 0, bytes: 30 });
            assert_eq!(book.sums().set_aside, book.sums().received);
            assert_eq!(book.sums().by_code["set_aside/MR1101"], 2);
            book.take_back(5, Disposition::SetAside, "MR1101", one(10));
            book.take_back(7, Disposition::SetAside, "MR1101", one(20));
            book.take_back(7, Disposition::SetAside, "MR1101", one(20));
            assert_eq!(book.sums().received, Tally::default());
            assert!(book.sums().by_code.is_empty());
            assert_eq!((book.sums().notes["hashed"], book.sums().differs), (3, 2));
            let mut out = Vec::new();
            book.encode(&mut out);
            let back = Book::decode(&mut Bytes::from(out)).unwrap();
            assert_eq!(back, book, "the lines are those of the sums");
        }
    }

    #[test]
    fn a_book_is_small_whatever_the_retention() {
        let mut book = Book::default();
        let one = Tally { events: 1, rows: 1, bytes: 200 };
        for minute in 0..200_000 {
            book.receive(minute, one);
            book.end(minute, Disposition::Delivered, "", one);
        }
        book.fold(i64::MIN);
        assert!(book.lines.len() <= MOST_LINES + 2, "{} lines", book.lines.len());
        assert!(book.lines.contains_key(&(199_999, RECEIVED, String::new())));
        let mut out = Vec::new();
        book.encode(&mut out);
        assert!(out.len() < 300_000, "{} octets", out.len());
        let back = Book::decode(&mut Bytes::from(out)).unwrap();
        assert_eq!(back.sums(), book.sums());
    }

    #[test]
    fn a_book_reads_back_and_folding_keeps_the_sums() {
        let mut book = Book::default();
        for minute in 0..50 {
            book.receive(minute, Tally { events: 3, rows: 0, bytes: 300 });
            book.end(minute, Disposition::Delivered, "", Tally { events: 2, rows: 2, bytes: 200 });
            book.end(
                minute,
                Disposition::Filtered,
                "no_rule",
                Tally { events: 1, rows: 0, bytes: 9 },
            );
        }
        book.resend(4);
        let sums = book.sums().clone();
        assert_eq!((sums.received.events, sums.by_code["filtered/no_rule"]), (150, 50));
        assert_eq!(sums.unaccounted(), 0);
        book.fold(40);
        assert_eq!(book.lines.len(), 3 * 11);
        let mut out = Vec::new();
        book.encode(&mut out);
        let back = Book::decode(&mut Bytes::from(out)).unwrap();
        assert_eq!(back, book);
        assert_eq!(back.sums(), &sums);
    }
}
